// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clocks and timers (Part 3, 29).

pub mod clock_rate_adjust;
pub mod clock_set;
pub mod read_clock;
