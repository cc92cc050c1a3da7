// SPDX-License-Identifier: MIT OR Apache-2.0
//! Platform configuration registers (Part 3, 22).

pub mod allocate;
pub mod event;
pub mod extend;
pub mod read;
pub mod reset;
pub mod set_auth_policy;
pub mod set_auth_value;
