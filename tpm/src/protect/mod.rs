// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys of objects as the algorithms want them, and how secrets travel (Part 1, 22 to 24 and
//! annexes B.10 and C.6): shared under asymmetric keys, and wrapped for a parent.

pub mod key;
pub mod secret;
