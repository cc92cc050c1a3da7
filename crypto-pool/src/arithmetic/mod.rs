// SPDX-License-Identifier: MIT OR Apache-2.0
//! Montgomery arithmetic modulo an odd number of `N` 64-bit limbs, with two backends: one that runs
//! everywhere, and one with MULX and ADX that is chosen at run time.
//!
//! Numbers are little-endian limbs. A number x is held as its Montgomery form x·2^(64·N) modulo
//! the modulus, always less than it, and both backends give the same limbs.

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the assembly and the calls into it")]
mod adx;
mod backend;
pub(crate) mod limbs;
mod modulus;
pub(crate) mod power;
pub(crate) mod shift;

pub use backend::Backend;
pub use modulus::{Modulus, Residue, Scratch};
pub use power::{BadLength, Power, WINDOW_BITS, public_power, secret_power};
