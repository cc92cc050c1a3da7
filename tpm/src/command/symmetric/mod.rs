// SPDX-License-Identifier: MIT OR Apache-2.0
//! Symmetric encryption by loaded keys (Part 3, 15.2 and 15.3).

mod cipher;
pub mod encrypt_decrypt;
pub mod encrypt_decrypt_2;
