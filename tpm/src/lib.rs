// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TPM 2.0 command engine.
#![no_std]
#![forbid(unsafe_code)]

pub mod crypto;
