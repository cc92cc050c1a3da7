// SPDX-License-Identifier: MIT OR Apache-2.0
//! Dictionary attack functions (Part 3, 25).

pub mod lock_reset;
pub mod parameters;
