// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disks with any content.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nvstore::simulation::fuzz::arbitrary_image(bytes));
