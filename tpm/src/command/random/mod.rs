// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random numbers (Part 3, 16).

pub mod get_random;
pub mod stir_random;
