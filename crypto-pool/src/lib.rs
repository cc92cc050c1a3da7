// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSA keys that nobody has to wait for: their search in bounded steps, a pool of ready ones, and
//! a cache of derived ones.
#![no_std]
#![deny(unsafe_code)]

pub mod arithmetic;
mod random;
pub mod search;

pub use random::{NoRandomness, Random};
