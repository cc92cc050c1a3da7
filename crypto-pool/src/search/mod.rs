// SPDX-License-Identifier: MIT OR Apache-2.0
//! The search for RSA keys, in steps that are counted in multiplications.

mod effort;
mod key;
#[cfg(test)]
pub(crate) use key::tests;
mod prime;
mod trial;

pub use key::{KeyKind, KeySearch, OVERSHOOT, RsaPrimes};
pub use prime::SearchFault;
