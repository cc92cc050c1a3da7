// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signing and signature verification (Part 3, 20).

pub mod sign;
#[cfg(test)]
pub(in crate::command) mod test_key;
pub mod verify_signature;
