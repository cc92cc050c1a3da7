// SPDX-License-Identifier: MIT OR Apache-2.0
//! Testing (Part 3, 10).

pub mod get_test_result;
pub mod incremental_self_test;
mod known_answer;
mod known_key_answer;
pub mod self_test;
