// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSA keys that nobody has to wait for: their search in bounded steps, a pool of ready ones, a
//! cache of derived ones, and jobs for those that were asked for too early.
//!
//! | module | what |
//! |---|---|
//! | [`arithmetic`] | Montgomery arithmetic and exponentiation, portable and with MULX/ADX |
//! | [`search`] | the search for a key as a state machine that counts its multiplications |
//! | [`shelf`] | ready things, to be taken without waiting by any processor |
//! | [`pool`] | a shelf for each length of key |
//! | [`primaries`] | the primes of derivations that were done before |
//! | [`jobs`] | searches that somebody comes again for |
//! | [`tally`] | what was done, in numbers |
//! | [`workshop`] | where one processor at a time works for all of these |
//!
//! The crate knows nothing of TPMs; it only finds primes. Its callers make keys of them.
#![no_std]
#![deny(unsafe_code)]

pub mod arithmetic;
pub mod jobs;
pub mod pool;
pub mod primaries;
mod random;
pub mod search;
pub mod shelf;
#[cfg(test)]
mod shelf_tests;
mod sync;
pub mod tally;
pub mod workshop;

pub use random::{NoRandomness, Random};
