// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attached components (Part 3, 32), as far as there is anything to do without one.

pub mod policy_send_select;
