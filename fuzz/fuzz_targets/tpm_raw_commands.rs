// SPDX-License-Identifier: MIT OR Apache-2.0
//! Octets that pose as commands.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tpm_trials::fuzz::raw_commands(bytes));
