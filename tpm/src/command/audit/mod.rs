// SPDX-License-Identifier: MIT OR Apache-2.0
//! Command audit (Part 3, 21).

pub mod set_command_code_audit_status;
