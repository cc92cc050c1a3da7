// SPDX-License-Identifier: MIT OR Apache-2.0
//! Duplication (Part 3, 13).

pub mod duplicate;
pub mod import;
pub mod rewrap;
