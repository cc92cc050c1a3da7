// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SVSM's manifest, and public areas.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attest::fuzz::manifest(bytes));
