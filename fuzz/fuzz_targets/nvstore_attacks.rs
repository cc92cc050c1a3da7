// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host that edits, swaps, replays, truncates and forges.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nvstore::simulation::fuzz::attacks(bytes));
