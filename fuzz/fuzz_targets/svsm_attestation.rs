// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest's attestation calls with any arguments.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| svsm::protocol::fuzz::attestation(bytes));
