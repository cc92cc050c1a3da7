// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSA public keys (Part 2, 12.2.3.5 `TPMS_RSA_PARMS`; RFC 8017, 3.1 and 5.1.1).

use super::limbs::{LIMBS_MAX, from_bytes, to_bytes};
use super::power::ModularPower;
use super::{DEFAULT_EXPONENT, MODULUS_SIZE_MAX};
use crate::crypto::CryptoError;
use crypto_bigint::Uint;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A number as wide as a modulus or a prime: big-endian, padded on the left. Wiped on drop.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RsaNumber {
    length: usize,
    bytes: [u8; MODULUS_SIZE_MAX],
}

impl RsaNumber {
    /// Zero, `length` bytes wide (at most 512).
    #[must_use]
    pub fn zero(length: usize) -> Self {
        Self { length: length.min(MODULUS_SIZE_MAX), bytes: [0; MODULUS_SIZE_MAX] }
    }

    /// The number `value`, `length` bytes wide.
    ///
    /// # Errors
    /// [`CryptoError::Size`] if `length` is more than 512, [`CryptoError::Value`] if the number is
    /// longer than `length`.
    pub fn new(value: &[u8], length: usize) -> Result<Self, CryptoError> {
        if length > MODULUS_SIZE_MAX {
            return Err(CryptoError::Size);
        }
        let excess = value.len().saturating_sub(length);
        let (dropped, kept) = value.split_at_checked(excess).ok_or(CryptoError::Value)?;
        if dropped.iter().any(|byte| *byte != 0) {
            return Err(CryptoError::Value);
        }
        let mut number = Self::zero(length);
        let places = number.as_mut_bytes().iter_mut().rev();
        places.zip(kept.iter().rev()).for_each(|(place, byte)| *place = *byte);
        Ok(number)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }

    /// The bytes, to be written.
    pub fn as_mut_bytes(&mut self) -> &mut [u8] {
        let length = self.length.min(MODULUS_SIZE_MAX);
        self.bytes.split_at_mut(length).0
    }
}

impl PartialEq for RsaNumber {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl Eq for RsaNumber {}

impl core::fmt::Debug for RsaNumber {
    /// Only the width: the number may be a prime or a plaintext.
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "RsaNumber({} bytes)", self.length)
    }
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RsaPublicKey {
    modulus: RsaNumber,
    exponent: u32,
}

impl RsaPublicKey {
    /// The key with this modulus, big-endian without leading zeros, and this exponent, where 0
    /// stands for 65537.
    ///
    /// # Errors
    /// [`CryptoError::KeySize`] if the modulus has no supported length, [`CryptoError::Value`] if
    /// it is even or its highest bit is not set, or for an exponent that is no odd prime above 2.
    pub fn new(modulus: &[u8], exponent: u32) -> Result<Self, CryptoError> {
        if !matches!(modulus.len(), 128 | 256 | 384 | 512) {
            return Err(CryptoError::KeySize);
        }
        let exponent = if exponent == 0 { DEFAULT_EXPONENT } else { exponent };
        check_exponent(exponent)?;
        let full = modulus.first().is_some_and(|byte| byte & 0x80 != 0);
        let odd = modulus.last().is_some_and(|byte| byte & 1 != 0);
        if !full || !odd {
            return Err(CryptoError::Value);
        }
        Ok(Self { modulus: RsaNumber::new(modulus, modulus.len())?, exponent })
    }

    /// Length of the modulus, and of everything that the key computes, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.modulus.as_bytes().len()
    }

    /// The modulus.
    #[must_use]
    pub fn modulus(&self) -> &[u8] {
        self.modulus.as_bytes()
    }

    /// The exponent, never 0.
    #[must_use]
    pub fn exponent(&self) -> u32 {
        self.exponent
    }

    /// RSAEP and RSAVP1 (RFC 8017, 5.1.1): `input` to the power of the exponent. `input` may have
    /// leading zeros or lack them; the result is as wide as the modulus.
    ///
    /// # Errors
    /// [`CryptoError::Value`] if `input` is not less than the modulus.
    pub fn apply(&self, power: &dyn ModularPower, input: &[u8]) -> Result<RsaNumber, CryptoError> {
        match self.size() {
            128 => self.apply_limbs::<16>(power, input),
            256 => self.apply_limbs::<32>(power, input),
            384 => self.apply_limbs::<48>(power, input),
            512 => self.apply_limbs::<LIMBS_MAX>(power, input),
            _ => Err(CryptoError::KeySize),
        }
    }

    fn apply_limbs<const M: usize>(
        &self,
        power: &dyn ModularPower,
        input: &[u8],
    ) -> Result<RsaNumber, CryptoError> {
        let modulus: Uint<M> = from_bytes(self.modulus())?;
        let base: Uint<M> = from_bytes(input)?;
        if base >= modulus {
            return Err(CryptoError::Value);
        }
        let mut result = [0; M];
        power.public(base.as_words(), self.exponent, modulus.as_words(), &mut result)?;
        let mut output = RsaNumber::zero(self.size());
        to_bytes(&Uint::from_words(result), output.as_mut_bytes());
        result.zeroize();
        Ok(output)
    }
}

/// Checks a public exponent: an odd prime.
///
/// # Errors
/// [`CryptoError::Value`] if it is something else.
pub fn check_exponent(exponent: u32) -> Result<(), CryptoError> {
    if exponent == DEFAULT_EXPONENT {
        return Ok(());
    }
    // 2^16 bounds the trial divisors of a 32-bit number.
    let divisors = (3..=u32::from(u16::MAX)).step_by(2);
    let prime = exponent > 2
        && !exponent.is_multiple_of(2)
        && divisors
            .take_while(|divisor| divisor.saturating_mul(*divisor) <= exponent)
            .all(|divisor| !exponent.is_multiple_of(divisor));
    if prime { Ok(()) } else { Err(CryptoError::Value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rsa::Portable;

    #[test]
    fn what_is_no_key_is_refused() {
        let mut modulus = [0xff; 256];
        assert!(RsaPublicKey::new(&modulus, 0).is_ok());
        for length in [0, 127, 129, 255] {
            let result = RsaPublicKey::new(&modulus[..length], 0);
            assert_eq!(result, Err(CryptoError::KeySize));
        }
        for exponent in [1, 2, 4, 9, 65535, 0x1_0001 * 3, 65_521 * 65_521, u32::MAX] {
            assert_eq!(RsaPublicKey::new(&modulus, exponent), Err(CryptoError::Value));
        }
        for exponent in [3, 17, 65_537, 4_294_967_291] {
            assert!(RsaPublicKey::new(&modulus, exponent).is_ok());
        }
        modulus[0] = 0x7f;
        assert_eq!(RsaPublicKey::new(&modulus, 0), Err(CryptoError::Value));
        modulus[0] = 0x80;
        modulus[255] = 0xfe;
        assert_eq!(RsaPublicKey::new(&modulus, 0), Err(CryptoError::Value));
    }

    #[test]
    fn inputs_are_less_than_the_modulus() {
        let key = RsaPublicKey::new(&[0xf1; 128], 3).unwrap();
        assert_eq!(key.apply(&Portable, &[0xf1; 128]), Err(CryptoError::Value));
        assert_eq!(key.apply(&Portable, &[1; 129]), Err(CryptoError::Value));
        let cube = key.apply(&Portable, &[0, 0, 5]).unwrap();
        assert_eq!((cube.as_bytes().len(), cube.as_bytes()[127]), (128, 125));
        assert_eq!(key.apply(&Portable, &[]).unwrap().as_bytes(), [0; 128]);
    }
}
