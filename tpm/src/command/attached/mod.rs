// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attached components (Part 3, 32). None is attached, and none can be: a handle of one is of the
//! right type and names nothing, which is what the commands say once everything else is right.

pub mod get_capability;
pub mod policy_send_select;
pub mod send;
