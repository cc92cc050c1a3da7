// SPDX-License-Identifier: MIT OR Apache-2.0
//! The agent's file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attest::fuzz::evidence(bytes));
