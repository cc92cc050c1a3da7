// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSASSA-PSS (RFC 8017, 8.1 and 9.1; Part 1, B.7) with MGF1 over the same hash.
//!
//! Signing uses a salt as long as the digest, or as long as fits if that is shorter. Verification
//! takes a salt of any length, as a TPM's public keys don't say how long it is.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::MODULUS_SIZE_MAX;
use super::key::{RsaNumber, RsaPublicKey};
use super::power::ModularPower;
use super::private::RsaPrivateKey;
use crate::crypto::hash::{DIGEST_SIZE_MAX, HashAlgorithm};
use crate::crypto::kdf::mgf1_xor;
use crate::crypto::{CryptoError, Random};

/// Last byte of an encoded message.
const TRAILER: u8 = 0xbc;
/// Eight bytes of zeros that begin the salted message.
const PREFIX: [u8; 8] = [0; 8];

/// Octets of the salt of [`pss_sign`] with a modulus of `size` octets; `None` if the key is too
/// short for the hash.
#[must_use]
pub fn pss_salt_size(algorithm: HashAlgorithm, size: usize) -> Option<usize> {
    let hash_size = algorithm.digest_size();
    let room = size.checked_sub(hash_size)?.checked_sub(2)?;
    Some(hash_size.min(room))
}

/// Signs `digest`, which is one of `algorithm`.
///
/// # Errors
/// [`CryptoError::Size`] if the digest has another length or the key is too short for it; those
/// of the private operation.
pub fn pss_sign(
    key: &mut RsaPrivateKey,
    power: &dyn ModularPower,
    random: &mut dyn Random,
    algorithm: HashAlgorithm,
    digest: &[u8],
) -> Result<RsaNumber, CryptoError> {
    let hash_size = algorithm.digest_size();
    let size = key.public().size();
    let data_size = size.checked_sub(hash_size.saturating_add(1)).ok_or(CryptoError::Size)?;
    let salt_size = pss_salt_size(algorithm, size).ok_or(CryptoError::Size)?;
    if digest.len() != hash_size {
        return Err(CryptoError::Size);
    }
    let mut salt = [0; DIGEST_SIZE_MAX];
    let salt = salt.get_mut(..salt_size).ok_or(CryptoError::Size)?;
    random.fill(salt)?;
    let hash = algorithm.digest(&[&PREFIX, digest, salt]);

    // data = 00 … 00 01 salt, masked; then the hash and the trailer.
    let mut encoded = RsaNumber::zero(size);
    let (data, rest) =
        encoded.as_mut_bytes().split_at_mut_checked(data_size).ok_or(CryptoError::Size)?;
    let bytes = salt.iter().rev().copied().chain([1]);
    data.iter_mut().rev().zip(bytes).for_each(|(place, byte)| *place = byte);
    mgf1_xor(algorithm, &hash, data);
    // A modulus has a multiple of eight bits, so exactly one bit of the encoding is unused.
    if let Some(first) = data.first_mut() {
        *first &= 0x7f;
    }
    let tail = hash.iter().copied().chain([TRAILER]);
    rest.iter_mut().zip(tail).for_each(|(place, byte)| *place = byte);
    key.apply(power, random, encoded.as_bytes())
}

/// Verifies the signature of `digest`.
///
/// # Errors
/// [`CryptoError::Signature`] if it is not valid, [`CryptoError::Size`] as in [`pss_sign`].
pub fn pss_verify(
    key: &RsaPublicKey,
    power: &dyn ModularPower,
    algorithm: HashAlgorithm,
    digest: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    if digest.len() != algorithm.digest_size() {
        return Err(CryptoError::Size);
    }
    if signature.len() != key.size() {
        return Err(CryptoError::Signature);
    }
    let opened = key.apply(power, signature).map_err(|_| CryptoError::Signature)?;
    if is_encoding(algorithm, digest, opened.as_bytes()) {
        Ok(())
    } else {
        Err(CryptoError::Signature)
    }
}

/// EMSA-PSS-VERIFY (9.1.2) with a salt of any length. Everything here is public.
fn is_encoding(algorithm: HashAlgorithm, digest: &[u8], encoded: &[u8]) -> bool {
    let Some((&TRAILER, body)) = encoded.split_last() else { return false };
    let Some(data_size) = body.len().checked_sub(algorithm.digest_size()) else { return false };
    let Some((masked, hash)) = body.split_at_checked(data_size) else { return false };
    if masked.first().is_none_or(|byte| byte & 0x80 != 0) {
        return false;
    }
    let mut data = Zeroizing::new([0; MODULUS_SIZE_MAX]);
    let Some(data) = data.get_mut(..data_size) else { return false };
    data.copy_from_slice(masked);
    mgf1_xor(algorithm, hash, data);
    if let Some(first) = data.first_mut() {
        *first &= 0x7f;
    }
    let Some(start) = data.iter().position(|byte| *byte != 0) else { return false };
    let Some((1, salt)) = data.get(start..).and_then(<[u8]>::split_first) else { return false };
    algorithm.digest(&[&PREFIX, digest, salt]).ct_eq(hash).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::drbg::CtrDrbg;
    use crate::crypto::rsa::Portable;
    use crate::crypto::rsa::private::tests::keys;
    use crate::crypto::rsa::testing::{check_nist_signatures, check_signatures};

    #[test]
    fn every_changed_byte_of_an_encoding_is_noticed() {
        let mut drbg = CtrDrbg::from_seed(&[2; 48]);
        let hash = HashAlgorithm::Sha256;
        let digest = [7; 32];
        let mut key = keys().remove(0);
        let signature = pss_sign(&mut key, &Portable, &mut drbg, hash, &digest).unwrap();
        let opened = key.public().apply(&Portable, signature.as_bytes()).unwrap();
        assert!(is_encoding(hash, &digest, opened.as_bytes()));
        for position in 0..opened.as_bytes().len() {
            let mut changed = opened.clone();
            changed.as_mut_bytes()[position] ^= 0x80;
            assert!(!is_encoding(hash, &digest, changed.as_bytes()), "byte {position}");
        }
        assert!(!is_encoding(hash, &[8; 32], opened.as_bytes()));
        assert!(!is_encoding(HashAlgorithm::Sha3_256, &digest, opened.as_bytes()));
        assert!(!is_encoding(hash, &digest, &[]));
        assert!(!is_encoding(hash, &digest, &[TRAILER; 20]));
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let mut drbg = CtrDrbg::from_seed(&[2; 48]);
        let mut key = keys().remove(0);
        let hash = HashAlgorithm::Sha512;
        let result = pss_sign(&mut key, &Portable, &mut drbg, hash, &[1; 63]);
        assert_eq!(result.err(), Some(CryptoError::Size));
        let signature = pss_sign(&mut key, &Portable, &mut drbg, hash, &[1; 64]).unwrap();
        let short = &signature.as_bytes()[1..];
        let result = pss_verify(key.public(), &Portable, hash, &[1; 64], short);
        assert_eq!(result, Err(CryptoError::Signature));
        let result = pss_verify(key.public(), &Portable, hash, &[1; 32], signature.as_bytes());
        assert_eq!(result, Err(CryptoError::Size));
    }

    #[test]
    fn nist_vectors() {
        check_nist_signatures(include_str!("../vectors/nist_pss.txt"), pss_verify);
    }

    #[test]
    fn vectors() {
        check_signatures(include_str!("../vectors/pss.txt"), pss_verify);
    }
}
