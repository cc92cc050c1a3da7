// SPDX-License-Identifier: MIT OR Apache-2.0
//! Miscellaneous management (Part 3, 26).

pub mod pp_commands;
pub mod set_algorithm_set;
