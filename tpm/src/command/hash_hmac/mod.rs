// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hashes and HMACs, whole and in sequences (Part 3, 15.4, 15.5 and 17).

pub mod event_sequence_complete;
pub mod hash;
pub mod hash_sequence_start;
pub mod mac;
mod mac_key;
pub mod mac_start;
pub mod sequence_complete;
pub mod sequence_update;
