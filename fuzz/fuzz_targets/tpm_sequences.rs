// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands that make sense, mostly, one after another.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tpm_trials::fuzz::sequences(bytes));
