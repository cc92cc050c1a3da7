// SPDX-License-Identifier: MIT OR Apache-2.0
//! A quote.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attest::fuzz::quote(bytes));
