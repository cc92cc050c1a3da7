// SPDX-License-Identifier: MIT OR Apache-2.0
//! Objects (Part 3, 12 and 24.1).

pub mod activate_credential;
pub mod change_auth;
pub mod create;
pub mod create_loaded;
pub mod create_primary;
pub mod load;
pub mod load_external;
pub mod make_credential;
pub mod read_public;
pub mod unseal;
