// SPDX-License-Identifier: MIT OR Apache-2.0
//! Capabilities (Part 3, 30).

pub mod get_capability;
mod property;
pub mod set_capability;
pub mod test_parms;
