// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hierarchies (Part 3, 24).

pub mod change_auth;
pub mod change_eps;
pub mod change_pps;
pub mod clear;
pub mod clear_control;
pub mod control;
pub mod read_only_control;
pub mod set_primary_policy;
