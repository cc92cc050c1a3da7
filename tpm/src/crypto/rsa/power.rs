// SPDX-License-Identifier: MIT OR Apache-2.0
//! Modular exponentiation, the only expensive part of RSA.

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, Uint};

use crate::crypto::CryptoError;

/// An implementation of modular exponentiation. Numbers are little-endian 64-bit limbs.
///
/// A program may bring one that is faster than [`Portable`]; it is trusted as much as the engine.
pub trait ModularPower: Sync {
    /// `result = base ^ exponent mod modulus`, in constant time for secret `base`, `exponent` and
    /// `modulus` of a given length.
    ///
    /// All four slices are equally long (8, 16, 24 or 32 limbs), `base` is less than `modulus`,
    /// `modulus` is odd.
    ///
    /// # Errors
    /// [`CryptoError::Size`] for slices of other lengths, [`CryptoError::Value`] for an even
    /// modulus.
    fn secret(
        &self,
        base: &[u64],
        exponent: &[u64],
        modulus: &[u64],
        result: &mut [u64],
    ) -> Result<(), CryptoError>;

    /// `result = base ^ exponent mod modulus`, in constant time for a secret `base` only.
    ///
    /// All three slices are equally long (16, 32, 48 or 64 limbs), `base` is less than
    /// `modulus`, `modulus` is odd.
    ///
    /// # Errors
    /// As [`secret`](Self::secret).
    fn public(
        &self,
        base: &[u64],
        exponent: u32,
        modulus: &[u64],
        result: &mut [u64],
    ) -> Result<(), CryptoError>;
}

/// The implementation that runs everywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

impl ModularPower for Portable {
    fn secret(
        &self,
        base: &[u64],
        exponent: &[u64],
        modulus: &[u64],
        result: &mut [u64],
    ) -> Result<(), CryptoError> {
        match modulus.len() {
            8 => secret::<8>(base, exponent, modulus, result),
            16 => secret::<16>(base, exponent, modulus, result),
            24 => secret::<24>(base, exponent, modulus, result),
            32 => secret::<32>(base, exponent, modulus, result),
            _ => Err(CryptoError::Size),
        }
    }

    fn public(
        &self,
        base: &[u64],
        exponent: u32,
        modulus: &[u64],
        result: &mut [u64],
    ) -> Result<(), CryptoError> {
        match modulus.len() {
            16 => public::<16>(base, exponent, modulus, result),
            32 => public::<32>(base, exponent, modulus, result),
            48 => public::<48>(base, exponent, modulus, result),
            64 => public::<64>(base, exponent, modulus, result),
            _ => Err(CryptoError::Size),
        }
    }
}

fn secret<const N: usize>(
    base: &[u64],
    exponent: &[u64],
    modulus: &[u64],
    result: &mut [u64],
) -> Result<(), CryptoError> {
    let parameters = FixedMontyParams::new(odd::<N>(modulus)?);
    let power = FixedMontyForm::new(&number(base)?, &parameters).pow(&number::<N>(exponent)?);
    write(&power.retrieve(), result)
}

fn public<const N: usize>(
    base: &[u64],
    exponent: u32,
    modulus: &[u64],
    result: &mut [u64],
) -> Result<(), CryptoError> {
    let parameters = FixedMontyParams::new_vartime(odd::<N>(modulus)?);
    let exponent = Uint::<1>::from_u32(exponent);
    let power = FixedMontyForm::new(&number(base)?, &parameters).pow_vartime(&exponent);
    write(&power.retrieve(), result)
}

fn number<const N: usize>(limbs: &[u64]) -> Result<Uint<N>, CryptoError> {
    limbs.try_into().map(Uint::from_words).map_err(|_| CryptoError::Size)
}

fn odd<const N: usize>(limbs: &[u64]) -> Result<Odd<Uint<N>>, CryptoError> {
    Odd::new(number(limbs)?).into_option().ok_or(CryptoError::Value)
}

fn write<const N: usize>(number: &Uint<N>, result: &mut [u64]) -> Result<(), CryptoError> {
    *<&mut [u64; N]>::try_from(result).map_err(|_| CryptoError::Size)? = number.to_words();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_lengths_and_even_moduli_are_refused() {
        let mut result = [0; 64];
        let limbs = [3; 64];
        for length in [0, 1, 7, 9, 33, 64] {
            let s = &limbs[..length];
            let refused = Portable.secret(s, s, s, &mut result[..length]);
            assert_eq!(refused, Err(CryptoError::Size));
        }
        for length in [0, 8, 24, 63] {
            let s = &limbs[..length];
            let refused = Portable.public(s, 3, s, &mut result[..length]);
            assert_eq!(refused, Err(CryptoError::Size));
        }
        let mixed = Portable.secret(&limbs[..8], &limbs[..7], &limbs[..8], &mut result[..8]);
        assert_eq!(mixed, Err(CryptoError::Size));
        let even = [2; 16];
        let refused = Portable.public(&limbs[..16], 3, &even, &mut result[..16]);
        assert_eq!(refused, Err(CryptoError::Value));
    }

    #[test]
    fn small_powers() {
        let number = |value: u64| {
            let mut limbs = [0; 16];
            limbs[0] = value;
            limbs
        };
        let mut result = [0; 16];
        Portable.secret(&number(3), &number(5), &number(1001), &mut result).unwrap();
        assert_eq!(result, number(243));
        Portable.public(&number(10), 7, &number(1_000_001), &mut result).unwrap();
        assert_eq!(result, number(999_991));
        Portable.secret(&number(3), &number(0), &number(7), &mut result).unwrap();
        assert_eq!(result, number(1));
    }
}
