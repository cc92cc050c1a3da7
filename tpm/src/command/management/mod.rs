// SPDX-License-Identifier: MIT OR Apache-2.0
//! Persistent objects (Part 3, 28.5).

pub mod evict_control;
