// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSA (RFC 8017; Part 1, annex B) with moduli of 1024, 2048, 3072 and 4096 bits.
//!
//! The heavy arithmetic is behind [`ModularPower`], so that a program can bring a faster one;
//! [`Portable`] is always there. Private operations are blinded, use the Chinese remainder theorem
//! and check their own result; padding is checked in constant time.

mod crt;
mod key;
mod limbs;
mod oaep;
mod power;
mod prime;
mod private;
mod pss;
mod rsaes;
mod rsassa;
#[cfg(test)]
pub(crate) mod testing;

pub use key::{RsaNumber, RsaPublicKey, check_exponent};
pub use oaep::{oaep_decrypt, oaep_encrypt};
pub use power::{ModularPower, Portable};
pub use prime::{PRIME_DRAWS_MAX, generate_prime_pair, next_prime};
pub use private::RsaPrivateKey;
pub use pss::{pss_salt_size, pss_sign, pss_verify};
pub use rsaes::{rsaes_decrypt, rsaes_encrypt};
pub use rsassa::{rsassa_sign, rsassa_verify};

/// The longest modulus, in bytes.
pub const MODULUS_SIZE_MAX: usize = 512;
/// The longest prime, in bytes.
pub const PRIME_SIZE_MAX: usize = MODULUS_SIZE_MAX / 2;
/// The exponent that a key of exponent 0 has (Part 2, 12.2.3.5 `TPMS_RSA_PARMS`).
pub const DEFAULT_EXPONENT: u32 = 65537;
