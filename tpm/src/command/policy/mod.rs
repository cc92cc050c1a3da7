// SPDX-License-Identifier: MIT OR Apache-2.0
//! Enhanced authorisation (Part 3, 23): each command adds a condition to a policy session, into the
//! digest at once, into what is checked at use where that is later.

pub mod auth_value;
pub mod authorize;
pub mod authorize_nv;
pub mod capability;
pub mod command_code;
pub mod comparison;
pub mod counter_timer;
pub mod cp_hash;
pub mod duplication_select;
pub mod get_digest;
pub mod locality;
pub mod name_hash;
pub mod nv;
pub mod nv_written;
pub mod or;
pub mod parameters;
pub mod password;
pub mod pcr;
pub mod physical_presence;
pub mod secret;
pub mod signed;
pub mod template;
pub mod ticket;
mod timed;
pub mod transport_spdm;

#[cfg(test)]
mod test_session;
