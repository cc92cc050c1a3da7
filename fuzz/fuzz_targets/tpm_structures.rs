// SPDX-License-Identifier: MIT OR Apache-2.0
//! Structures out of any octets.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tpm_trials::fuzz::structures(bytes));
