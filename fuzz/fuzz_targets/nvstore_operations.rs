// SPDX-License-Identifier: MIT OR Apache-2.0
//! Transactions, openings and changes of keys on a failing disk, against a map.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nvstore::simulation::fuzz::operations(bytes));
