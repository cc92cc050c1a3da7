// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hierarchies (Part 3, 24).

pub mod change_auth;
pub mod clear;
pub mod clear_control;
