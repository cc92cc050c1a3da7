// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the TPM's engine gets from this platform: entropy and a clock.

pub mod clock;
pub mod entropy;
