// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSASSA-PKCS1-v1_5 (RFC 8017, 8.2 and 9.2; Part 1, B.5).

use subtle::ConstantTimeEq;

use super::key::{RsaNumber, RsaPublicKey};
use super::power::ModularPower;
use super::private::RsaPrivateKey;
use crate::crypto::hash::HashAlgorithm;
use crate::crypto::{CryptoError, Random};

/// Least number of 0xff bytes (RFC 8017, 9.2, step 3).
const PADDING_SIZE_MIN: usize = 8;

/// Signs `digest`, which is one of `algorithm`.
///
/// # Errors
/// [`CryptoError::Size`] if the digest has another length or the key is too short for it; those
/// of the private operation.
pub fn rsassa_sign(
    key: &mut RsaPrivateKey,
    power: &dyn ModularPower,
    random: &mut dyn Random,
    algorithm: HashAlgorithm,
    digest: &[u8],
) -> Result<RsaNumber, CryptoError> {
    let encoded = encode(algorithm, digest, key.public().size())?;
    key.apply(power, random, encoded.as_bytes())
}

/// Verifies the signature of `digest`.
///
/// # Errors
/// [`CryptoError::Signature`] if it is not valid, [`CryptoError::Size`] as in [`rsassa_sign`].
pub fn rsassa_verify(
    key: &RsaPublicKey,
    power: &dyn ModularPower,
    algorithm: HashAlgorithm,
    digest: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    let encoded = encode(algorithm, digest, key.size())?;
    if signature.len() != key.size() {
        return Err(CryptoError::Signature);
    }
    let opened = key.apply(power, signature).map_err(|_| CryptoError::Signature)?;
    // The whole encoding is compared, so no parser can be deceived.
    if bool::from(opened.as_bytes().ct_eq(encoded.as_bytes())) {
        Ok(())
    } else {
        Err(CryptoError::Signature)
    }
}

/// EMSA-PKCS1-v1_5: 00 01 ff … ff 00 DigestInfo.
fn encode(algorithm: HashAlgorithm, digest: &[u8], size: usize) -> Result<RsaNumber, CryptoError> {
    let prefix = digest_info_prefix(algorithm);
    let information = prefix.len().saturating_add(digest.len());
    let padding = size.checked_sub(information.saturating_add(3)).ok_or(CryptoError::Size)?;
    if digest.len() != algorithm.digest_size() || padding < PADDING_SIZE_MIN {
        return Err(CryptoError::Size);
    }
    let mut encoded = RsaNumber::zero(size);
    let bytes = [0, 1].into_iter().chain(core::iter::repeat_n(0xff, padding)).chain([0]);
    let bytes = bytes.chain(prefix.iter().chain(digest).copied());
    encoded.as_mut_bytes().iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    Ok(encoded)
}

/// The DER encoding of DigestInfo up to the digest (RFC 8017, 9.2, note 1; the object identifiers
/// of SHA-3 are NIST's 2.16.840.1.101.3.4.2.8 to 10, that of SM3 is 1.2.156.10197.1.401).
fn digest_info_prefix(algorithm: HashAlgorithm) -> &'static [u8] {
    macro_rules! nist {
        ($object:literal, $digest:literal) => {
            &[
                0x30,
                0x11 + $digest,
                0x30,
                0x0d,
                0x06,
                0x09,
                0x60,
                0x86,
                0x48,
                0x01,
                0x65,
                0x03,
                0x04,
                0x02,
                $object,
                0x05,
                0x00,
                0x04,
                $digest,
            ]
        };
    }
    match algorithm {
        HashAlgorithm::Sha1 => &[
            0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04,
            0x14,
        ],
        HashAlgorithm::Sha256 => nist!(1, 32),
        HashAlgorithm::Sha384 => nist!(2, 48),
        HashAlgorithm::Sha512 => nist!(3, 64),
        HashAlgorithm::Sha3_256 => nist!(8, 32),
        HashAlgorithm::Sha3_384 => nist!(9, 48),
        HashAlgorithm::Sha3_512 => nist!(10, 64),
        HashAlgorithm::Sm3_256 => &[
            0x30, 0x30, 0x30, 0x0c, 0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x11,
            0x05, 0x00, 0x04, 0x20,
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::drbg::CtrDrbg;
    use crate::crypto::rsa::Portable;
    use crate::crypto::rsa::private::tests::keys;
    use crate::crypto::rsa::testing::{check_nist_signatures, check_signatures};

    #[test]
    fn wrong_digests_and_signatures_are_refused() {
        let mut drbg = CtrDrbg::from_seed(&[1; 48]);
        let mut key = keys().remove(0);
        for length in [0, 31, 33] {
            let digest = &[7; 64][..length];
            let refused =
                rsassa_sign(&mut key, &Portable, &mut drbg, HashAlgorithm::Sha256, digest);
            assert_eq!(refused.err(), Some(CryptoError::Size));
        }
        let digest = [7; 32];
        let hash = HashAlgorithm::Sha256;
        let mut signature = rsassa_sign(&mut key, &Portable, &mut drbg, hash, &digest).unwrap();
        let public = key.public();
        rsassa_verify(public, &Portable, hash, &digest, signature.as_bytes()).unwrap();
        for (algorithm, digest, signature) in [
            (hash, [8; 32], signature.as_bytes()),
            (HashAlgorithm::Sha3_256, digest, signature.as_bytes()),
            (HashAlgorithm::Sm3_256, digest, signature.as_bytes()),
            (hash, digest, &signature.as_bytes()[1..]),
            (hash, digest, public.modulus()),
            (hash, digest, &[]),
        ] {
            let refused = rsassa_verify(public, &Portable, algorithm, &digest, signature);
            assert_eq!(refused, Err(CryptoError::Signature));
        }
        signature.as_mut_bytes()[100] ^= 4;
        let refused = rsassa_verify(public, &Portable, hash, &digest, signature.as_bytes());
        assert_eq!(refused, Err(CryptoError::Signature));
    }

    #[test]
    fn nist_vectors() {
        check_nist_signatures(include_str!("../vectors/nist_rsassa.txt"), rsassa_verify);
    }

    #[test]
    fn vectors() {
        check_signatures(include_str!("../vectors/rsassa.txt"), rsassa_verify);
    }
}
