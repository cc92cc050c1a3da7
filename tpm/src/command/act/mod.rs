// SPDX-License-Identifier: MIT OR Apache-2.0
//! Authenticated countdown timers (Part 3, 33).

pub mod set_timeout;
