// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's table of certificates.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attest::fuzz::certificates(bytes));
