// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sessions (Part 3, 11), and the end of any context (28.4).

pub mod flush_context;
pub mod policy_restart;
pub mod start_auth_session;
