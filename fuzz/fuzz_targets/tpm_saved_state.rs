// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TPM that starts with damaged records.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tpm_trials::fuzz::saved_state(bytes));
