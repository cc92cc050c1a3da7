// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys of objects as the algorithms want them, what makes a valid object, how one is made, and
//! how secrets travel (Part 1, 22 to 27 and annexes B.10 and C.6).

pub mod attestation;
pub mod binding;
pub mod creation;
pub mod generate;
pub mod key;
pub mod load;
pub mod secret;
pub mod signature;
pub mod storage;
pub mod template;
