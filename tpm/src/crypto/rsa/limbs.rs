// SPDX-License-Identifier: MIT OR Apache-2.0
//! Between big-endian bytes and the little-endian 64-bit limbs of the arithmetic.

use crypto_bigint::Uint;
use zeroize::Zeroize;

use super::MODULUS_SIZE_MAX;
use crate::crypto::CryptoError;

/// Bytes in a limb.
pub(super) const LIMB_SIZE: usize = 8;
/// Limbs of the longest modulus.
pub(super) const LIMBS_MAX: usize = MODULUS_SIZE_MAX / LIMB_SIZE;

/// The big-endian number `bytes` in `N` limbs.
///
/// # Errors
/// [`CryptoError::Value`] if it needs more.
pub(super) fn from_bytes<const N: usize>(bytes: &[u8]) -> Result<Uint<N>, CryptoError> {
    let mut words = [0; N];
    let mut chunks = bytes.rchunks(LIMB_SIZE);
    for (word, chunk) in words.iter_mut().zip(&mut chunks) {
        *word = chunk.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    }
    let number = Uint::from_words(words);
    words.zeroize();
    if chunks.flatten().any(|byte| *byte != 0) {
        return Err(CryptoError::Value);
    }
    Ok(number)
}

/// Writes `number` big-endian into `bytes`, padded on the left; bytes that don't fit are cut off,
/// which no caller lets happen.
pub(super) fn to_bytes<const N: usize>(number: &Uint<N>, bytes: &mut [u8]) {
    bytes.fill(0);
    for (word, chunk) in number.as_words().iter().zip(bytes.rchunks_mut(LIMB_SIZE)) {
        let word = word.to_le_bytes();
        chunk.iter_mut().rev().zip(word).for_each(|(place, byte)| *place = byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_long_numbers_are_refused() {
        let mut bytes = [0; 18];
        bytes[17] = 1;
        assert_eq!(from_bytes::<2>(&bytes), Ok(Uint::ONE));
        bytes[1] = 1;
        assert_eq!(from_bytes::<2>(&bytes), Err(CryptoError::Value));
    }

    #[test]
    fn bytes_come_back() {
        for length in 0..=16 {
            let mut bytes = [0; 16];
            bytes[16 - length..].iter_mut().zip(1..).for_each(|(place, i)| *place = i);
            let number = from_bytes::<2>(&bytes[16 - length..]).unwrap();
            let mut back = [0xff; 20];
            to_bytes(&number, &mut back);
            assert_eq!((&back[..4], &back[4..]), (&[0; 4][..], &bytes[..]));
        }
    }
}
