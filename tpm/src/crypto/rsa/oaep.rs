// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSAES-OAEP (RFC 8017, 7.1; Part 1, B.4) with MGF1 over the same hash.
//!
//! A TPM's label contains its terminating zero ("SECRET\0"), and the caller passes it so; an
//! empty label is empty. The padding is examined in constant time.

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::key::{RsaNumber, RsaPublicKey};
use super::power::ModularPower;
use super::private::RsaPrivateKey;
use crate::crypto::hash::HashAlgorithm;
use crate::crypto::kdf::mgf1_xor;
use crate::crypto::{CryptoError, Random};

/// Encrypts `message`.
///
/// # Errors
/// [`CryptoError::Value`] if the message is too long for key and hash, [`CryptoError::Size`] if
/// the key is too short for the hash; those of `random`.
pub fn oaep_encrypt(
    key: &RsaPublicKey,
    power: &dyn ModularPower,
    random: &mut dyn Random,
    algorithm: HashAlgorithm,
    label: &[u8],
    message: &[u8],
) -> Result<RsaNumber, CryptoError> {
    let hash_size = algorithm.digest_size();
    let overhead = hash_size.saturating_mul(2).saturating_add(2);
    let space = key.size().checked_sub(overhead).ok_or(CryptoError::Size)?;
    if message.len() > space {
        return Err(CryptoError::Value);
    }
    let mut encoded = RsaNumber::zero(key.size());
    let (seed, data) = split(encoded.as_mut_bytes(), hash_size)?;
    random.fill(seed)?;
    let (hash, padded) = data.split_at_mut_checked(hash_size).ok_or(CryptoError::Size)?;
    let digest = algorithm.digest(&[label]);
    hash.iter_mut().zip(digest.as_bytes()).for_each(|(place, byte)| *place = *byte);
    let bytes = message.iter().rev().copied().chain([1]);
    padded.iter_mut().rev().zip(bytes).for_each(|(place, byte)| *place = byte);
    mgf1_xor(algorithm, seed, data);
    mgf1_xor(algorithm, data, seed);
    key.apply(power, encoded.as_bytes())
}

/// Decrypts `ciphertext` into `message` and returns the length of the message.
///
/// # Errors
/// [`CryptoError::Size`] if `ciphertext` is not as long as the key or `message` is too short,
/// [`CryptoError::Value`] if the padding or the label is wrong; those of the private operation.
pub fn oaep_decrypt(
    key: &mut RsaPrivateKey,
    power: &dyn ModularPower,
    random: &mut dyn Random,
    (algorithm, label): (HashAlgorithm, &[u8]),
    ciphertext: &[u8],
    message: &mut [u8],
) -> Result<usize, CryptoError> {
    if ciphertext.len() != key.public().size() {
        return Err(CryptoError::Size);
    }
    let mut encoded = key.apply(power, random, ciphertext)?;
    let found = decode(algorithm, label, encoded.as_mut_bytes())?;
    message.get_mut(..found.len()).ok_or(CryptoError::Size)?.copy_from_slice(found);
    Ok(found.len())
}

/// Unmasks `encoded` in place and returns the message in it.
fn decode<'a>(
    algorithm: HashAlgorithm,
    label: &[u8],
    encoded: &'a mut [u8],
) -> Result<&'a [u8], CryptoError> {
    let hash_size = algorithm.digest_size();
    let leading_zero = encoded.first().map_or(Choice::from(0), |first| first.ct_eq(&0));
    let (seed, data) = split(encoded, hash_size)?;
    mgf1_xor(algorithm, data, seed);
    mgf1_xor(algorithm, seed, data);
    let (hash, padded) = data.split_at_checked(hash_size).ok_or(CryptoError::Size)?;
    let mut valid = leading_zero & hash.ct_eq(&algorithm.digest(&[label]));
    // The first byte that is not zero must be the 1 before the message.
    let mut found = Choice::from(0);
    let mut position = 0u32;
    for (index, byte) in (0u32..).zip(padded) {
        let first_one = byte.ct_eq(&1) & !found;
        valid &= byte.ct_eq(&0) | first_one | found;
        position.conditional_assign(&index, first_one);
        found |= first_one;
    }
    if !bool::from(valid & found) {
        return Err(CryptoError::Value);
    }
    let start = usize::try_from(position).map_err(|_| CryptoError::Value)?.saturating_add(1);
    padded.get(start..).ok_or(CryptoError::Value)
}

/// Seed and data block of an encoded message 00 ‖ seed ‖ data block.
fn split(encoded: &mut [u8], hash_size: usize) -> Result<(&mut [u8], &mut [u8]), CryptoError> {
    if encoded.len() < hash_size.saturating_mul(2).saturating_add(2) {
        return Err(CryptoError::Size);
    }
    let (_, rest) = encoded.split_first_mut().ok_or(CryptoError::Size)?;
    rest.split_at_mut_checked(hash_size).ok_or(CryptoError::Size)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::crypto::drbg::CtrDrbg;
    use crate::crypto::rsa::Portable;
    use crate::crypto::rsa::private::tests::{key, keys};
    use crate::crypto::vectors::records;

    const HASH: HashAlgorithm = HashAlgorithm::Sha256;

    #[test]
    fn every_changed_byte_of_the_padding_is_noticed() {
        let mut drbg = CtrDrbg::from_seed(&[5; 48]);
        let mut key = keys().remove(0);
        let public = key.public().clone();
        let ciphertext =
            oaep_encrypt(&public, &Portable, &mut drbg, HASH, b"LABEL\0", b"").unwrap();
        let encoded = key.apply(&Portable, &mut drbg, ciphertext.as_bytes()).unwrap();
        assert_eq!(decode(HASH, b"LABEL\0", encoded.clone().as_mut_bytes()), Ok(&[][..]));
        for label in [&b"LABEL"[..], b"", b"LABEL\0\0", b"label\0"] {
            let mut copy = encoded.clone();
            assert_eq!(decode(HASH, label, copy.as_mut_bytes()), Err(CryptoError::Value));
        }
        for position in 0..encoded.as_bytes().len() {
            let mut changed = encoded.clone();
            changed.as_mut_bytes()[position] ^= 0x10;
            let result = decode(HASH, b"LABEL\0", changed.as_mut_bytes());
            assert_eq!(result, Err(CryptoError::Value), "byte {position}");
        }
        assert_eq!(decode(HASH, b"", &mut [0; 65]), Err(CryptoError::Size));
    }

    #[test]
    fn messages_come_back() {
        let mut drbg = CtrDrbg::from_seed(&[6; 48]);
        let mut key = keys().remove(0);
        let public = key.public().clone();
        for length in [0, 1, 62] {
            let message = std::vec![1; length];
            let ciphertext =
                oaep_encrypt(&public, &Portable, &mut drbg, HASH, b"SECRET\0", &message).unwrap();
            let mut output = [0xff; 128];
            let scheme = (HASH, &b"SECRET\0"[..]);
            let bytes = ciphertext.as_bytes();
            let result = oaep_decrypt(&mut key, &Portable, &mut drbg, scheme, bytes, &mut output);
            assert_eq!(output[..result.unwrap()], message);
        }
        let result = oaep_encrypt(&public, &Portable, &mut drbg, HASH, b"", &[1; 63]);
        assert_eq!(result.err(), Some(CryptoError::Value));
        let hash = HashAlgorithm::Sha512;
        let result = oaep_encrypt(&public, &Portable, &mut drbg, hash, b"", b"");
        assert_eq!(result.err(), Some(CryptoError::Size));
    }

    #[test]
    fn vectors() {
        let mut drbg = CtrDrbg::from_seed(&[7; 48]);
        for record in records(include_str!("../vectors/oaep.txt")) {
            let label = record.bytes("label");
            let scheme = (record.hash(), &label[..]);
            let mut key = key(record.number("key"));
            let mut output = [0; 512];
            let ciphertext = record.bytes("ciphertext");
            let length =
                oaep_decrypt(&mut key, &Portable, &mut drbg, scheme, &ciphertext, &mut output)
                    .unwrap();
            assert_eq!(output[..length], record.bytes("message"));
        }
    }
}
