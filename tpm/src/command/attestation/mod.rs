// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attestation (Part 3, 18): signed statements about objects, PCRs, sessions, commands and time.

pub mod certify;
pub mod certify_creation;
pub mod certify_x509;
pub mod get_command_audit_digest;
pub mod get_session_audit_digest;
pub mod get_time;
pub mod nv_certify;
pub mod quote;
