// SPDX-License-Identifier: MIT OR Apache-2.0
//! What tests of RSA have in common: an arithmetic that makes mistakes, and walks over vectors of
//! signatures.

use super::private::tests::public_key;
use super::{ModularPower, Portable, RsaPublicKey};
use crate::crypto::CryptoError;
use crate::crypto::hash::HashAlgorithm;
use crate::crypto::vectors::records;

/// Is right but for one secret modulus: the one with this lowest limb.
pub(crate) struct Faulty(pub(crate) u64);

impl Faulty {
    /// Wrong for a prime, given in big-endian octets.
    pub(crate) fn at(prime: &[u8]) -> Self {
        Self(u64::from_be_bytes(*prime.last_chunk().unwrap()))
    }
}

impl ModularPower for Faulty {
    fn secret(
        &self,
        base: &[u64],
        exponent: &[u64],
        modulus: &[u64],
        result: &mut [u64],
    ) -> Result<(), CryptoError> {
        Portable.secret(base, exponent, modulus, result)?;
        if modulus[0] == self.0 {
            result[0] ^= 1;
        }
        Ok(())
    }

    fn public(
        &self,
        base: &[u64],
        exponent: u32,
        modulus: &[u64],
        result: &mut [u64],
    ) -> Result<(), CryptoError> {
        Portable.public(base, exponent, modulus, result)
    }
}

/// A verification of a signature scheme.
pub(super) type Verify =
    fn(&RsaPublicKey, &dyn ModularPower, HashAlgorithm, &[u8], &[u8]) -> Result<(), CryptoError>;

/// Every record of a file of CAVP, whose signatures are valid or not.
pub(super) fn check_nist_signatures(file: &str, verify: Verify) {
    for record in records(file) {
        let exponent = u32::try_from(record.number("exponent")).unwrap();
        let key = RsaPublicKey::new(&record.bytes("n"), exponent).unwrap();
        let (digest, signature) = (record.bytes("digest"), record.bytes("signature"));
        let result = verify(&key, &Portable, record.hash(), &digest, &signature);
        assert_eq!(result.is_ok(), record.text("valid") == "yes");
    }
}

/// Every record of a file of this project's generator, whose signatures are all valid.
pub(super) fn check_signatures(file: &str, verify: Verify) {
    for record in records(file) {
        let key = public_key(record.number("key"));
        let (digest, signature) = (record.bytes("digest"), record.bytes("signature"));
        verify(&key, &Portable, record.hash(), &digest, &signature).unwrap();
    }
}
