// SPDX-License-Identifier: MIT OR Apache-2.0
//! The launch event log.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attest::fuzz::event_log(bytes));
