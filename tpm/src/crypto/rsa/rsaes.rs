// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSAES-PKCS1-v1_5 (RFC 8017, 7.2; Part 1, B.4). The padding is examined in constant time; that
//! it was wrong is what `TPM2_RSA_Decrypt` must tell its caller all the same.

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater};

use super::key::{RsaNumber, RsaPublicKey};
use super::power::ModularPower;
use super::private::RsaPrivateKey;
use crate::crypto::{CryptoError, Random};

/// What surrounds a message at least: 00 02, eight random bytes, 00.
const OVERHEAD_SIZE: usize = 11;
/// Draws for each random byte that must not be zero.
const DRAWS_MAX: usize = 64;

/// Encrypts `message`.
///
/// # Errors
/// [`CryptoError::Value`] if the message is too long for the key; those of `random`.
pub fn rsaes_encrypt(
    key: &RsaPublicKey,
    power: &dyn ModularPower,
    random: &mut dyn Random,
    message: &[u8],
) -> Result<RsaNumber, CryptoError> {
    let space = key.size().checked_sub(OVERHEAD_SIZE).ok_or(CryptoError::Size)?;
    if message.len() > space {
        return Err(CryptoError::Value);
    }
    let mut encoded = RsaNumber::zero(key.size());
    let bytes = encoded.as_mut_bytes();
    let padding_end = bytes.len().saturating_sub(message.len().saturating_add(1));
    if let Some(kind) = bytes.get_mut(1) {
        *kind = 2;
    }
    let padding = bytes.get_mut(2..padding_end).ok_or(CryptoError::Size)?;
    random.fill(padding)?;
    for byte in padding {
        for _ in 0..DRAWS_MAX {
            if *byte != 0 {
                break;
            }
            random.fill(core::slice::from_mut(byte))?;
        }
        if *byte == 0 {
            return Err(CryptoError::Random);
        }
    }
    let places = bytes.iter_mut().rev();
    places.zip(message.iter().rev()).for_each(|(place, byte)| *place = *byte);
    key.apply(power, encoded.as_bytes())
}

/// Decrypts `ciphertext` into `message` and returns the length of the message.
///
/// # Errors
/// [`CryptoError::Size`] if `ciphertext` is not as long as the key or `message` is too short,
/// [`CryptoError::Value`] if the padding is wrong; those of the private operation.
pub fn rsaes_decrypt(
    key: &mut RsaPrivateKey,
    power: &dyn ModularPower,
    random: &mut dyn Random,
    ciphertext: &[u8],
    message: &mut [u8],
) -> Result<usize, CryptoError> {
    if ciphertext.len() != key.public().size() {
        return Err(CryptoError::Size);
    }
    let encoded = key.apply(power, random, ciphertext)?;
    let start = message_start(encoded.as_bytes()).ok_or(CryptoError::Value)?;
    let found = encoded.as_bytes().get(start..).ok_or(CryptoError::Value)?;
    message.get_mut(..found.len()).ok_or(CryptoError::Size)?.copy_from_slice(found);
    Ok(found.len())
}

/// Where the message begins, if the padding is right.
fn message_start(encoded: &[u8]) -> Option<usize> {
    let (head, tail) = encoded.split_first_chunk::<2>()?;
    let mut valid = head.ct_eq(&[0, 2]);
    let mut found = Choice::from(0);
    let mut position = 0u32;
    for (index, byte) in (2u32..).zip(tail) {
        let first_zero = byte.ct_eq(&0) & !found;
        position.conditional_assign(&index, first_zero);
        found |= first_zero;
    }
    // The separator is at offset 10 or later.
    valid &= found & position.ct_gt(&9);
    bool::from(valid).then_some(usize::try_from(position).ok()?.checked_add(1)?)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::crypto::drbg::CtrDrbg;
    use crate::crypto::rsa::Portable;
    use crate::crypto::rsa::private::tests::{key, keys};
    use crate::crypto::vectors::records;

    #[test]
    fn wrong_paddings_are_refused() {
        let mut good = [0xaa; 64];
        good[0] = 0;
        good[1] = 2;
        good[10] = 0;
        assert_eq!(message_start(&good), Some(11));
        good[63] = 0;
        assert_eq!(message_start(&good), Some(11));
        for (position, value) in [(0, 1), (1, 1), (1, 3), (2, 0), (9, 0)] {
            let mut bad = good;
            bad[position] = value;
            assert_eq!(message_start(&bad), None, "byte {position}");
        }
        let mut no_separator = [1; 64];
        no_separator[0] = 0;
        no_separator[1] = 2;
        assert_eq!(message_start(&no_separator), None);
        no_separator[63] = 0;
        assert_eq!(message_start(&no_separator), Some(64));
        assert_eq!(message_start(&[0]), None);
    }

    #[test]
    fn messages_come_back() {
        let mut drbg = CtrDrbg::from_seed(&[3; 48]);
        let mut key = keys().remove(0);
        let public = key.public().clone();
        for length in [0, 1, 100, 117] {
            let message = std::vec![0; length];
            let ciphertext = rsaes_encrypt(&public, &Portable, &mut drbg, &message).unwrap();
            let mut output = [0xff; 128];
            let bytes = ciphertext.as_bytes();
            let result = rsaes_decrypt(&mut key, &Portable, &mut drbg, bytes, &mut output);
            assert_eq!(output[..result.unwrap()], message);
            let short = rsaes_decrypt(&mut key, &Portable, &mut drbg, &bytes[1..], &mut output);
            assert_eq!(short, Err(CryptoError::Size));
        }
        let result = rsaes_encrypt(&public, &Portable, &mut drbg, &[1; 118]);
        assert_eq!(result.err(), Some(CryptoError::Value));
        let result = rsaes_decrypt(&mut key, &Portable, &mut drbg, &[1; 128], &mut [0; 128]);
        assert_eq!(result, Err(CryptoError::Value));
    }

    #[test]
    fn vectors() {
        let mut drbg = CtrDrbg::from_seed(&[4; 48]);
        for record in records(include_str!("../vectors/rsaes.txt")) {
            let mut key = key(record.number("key"));
            let mut output = [0; 512];
            let ciphertext = record.bytes("ciphertext");
            let length =
                rsaes_decrypt(&mut key, &Portable, &mut drbg, &ciphertext, &mut output).unwrap();
            assert_eq!(output[..length], record.bytes("message"));
        }
    }
}
