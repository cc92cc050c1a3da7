// SPDX-License-Identifier: MIT OR Apache-2.0
//! An attestation report.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attest::fuzz::report(bytes));
