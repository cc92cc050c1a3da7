// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSA keys that nobody has to wait for.
#![no_std]
#![deny(unsafe_code)]

pub mod arithmetic;
