// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signatures of TPM keys: TPMT_SIGNATURE (TPM 2.0 Part 2, 11.3.4).

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::{BoxedUint, RsaPublicKey, pkcs1v15, pss};
use sha2::{Sha256, Sha384, Sha512};

use crate::{
    hash::Hash,
    public_area::{Curve, Key, PublicArea, Scheme},
    reader::Reader,
};

const ALG_RSASSA: u16 = 0x0014;
const ALG_RSAPSS: u16 = 0x0016;
const ALG_ECDSA: u16 = 0x0018;

/// Whether the TPMT_SIGNATURE is this key's over the message, made in the key's own scheme. A key
/// without a scheme, and one that hashes with SHA-1, signs nothing that is believed.
#[must_use]
pub fn is_signed(area: &PublicArea, message: &[u8], signature: &[u8]) -> bool {
    area.scheme.is_some_and(|scheme| check(area, scheme, message, signature).is_some())
}

fn check(area: &PublicArea, scheme: Scheme, message: &[u8], signature: &[u8]) -> Option<()> {
    let mut reader = Reader::new(signature);
    let algorithm = reader.be_u16()?;
    let hash = Hash::from_number(reader.be_u16()?)?;
    let expected = match scheme {
        Scheme::Rsassa(hash) => (ALG_RSASSA, hash),
        Scheme::Rsapss(hash) => (ALG_RSAPSS, hash),
        Scheme::Ecdsa(hash) => (ALG_ECDSA, hash),
    };
    if (algorithm, hash) != expected || hash == Hash::Sha1 {
        return None;
    }
    let digest = hash.digest(&[message]);
    match &area.key {
        Key::Rsa { modulus, exponent } => {
            let signature = reader.sized()?;
            let key = rsa_key(modulus, *exponent)?;
            reader.is_empty().then_some(())?;
            check_rsa(scheme, key, &digest, signature)
        }
        Key::Ecc { curve, point } => {
            let (r, s) = (reader.sized()?, reader.sized()?);
            reader.is_empty().then_some(())?;
            check_ecdsa(*curve, point, &digest, r, s)
        }
    }
}

/// An RSA key; `None` when it isn't one.
pub(crate) fn rsa_key(modulus: &[u8], exponent: u32) -> Option<RsaPublicKey> {
    let bits = u32::try_from(modulus.len().checked_mul(8)?).ok()?;
    let modulus = BoxedUint::from_be_slice(modulus, bits).ok()?;
    RsaPublicKey::new(modulus, BoxedUint::from(exponent)).ok()
}

fn check_rsa(scheme: Scheme, key: RsaPublicKey, digest: &[u8], signature: &[u8]) -> Option<()> {
    let result =
        match scheme {
            Scheme::Rsassa(hash) => {
                let signature = pkcs1v15::Signature::try_from(signature).ok()?;
                match hash {
                    Hash::Sha256 => pkcs1v15::VerifyingKey::<Sha256>::new(key)
                        .verify_prehash(digest, &signature),
                    Hash::Sha384 => pkcs1v15::VerifyingKey::<Sha384>::new(key)
                        .verify_prehash(digest, &signature),
                    Hash::Sha512 => pkcs1v15::VerifyingKey::<Sha512>::new(key)
                        .verify_prehash(digest, &signature),
                    Hash::Sha1 => return None,
                }
            }
            Scheme::Rsapss(hash) => {
                // The TPM takes the longest salt, or the hash's size where it obeys FIPS 186.
                let signature = pss::Signature::try_from(signature).ok()?;
                match hash {
                    Hash::Sha256 => pss::VerifyingKey::<Sha256>::new_with_auto_salt_len(key)
                        .verify_prehash(digest, &signature),
                    Hash::Sha384 => pss::VerifyingKey::<Sha384>::new_with_auto_salt_len(key)
                        .verify_prehash(digest, &signature),
                    Hash::Sha512 => pss::VerifyingKey::<Sha512>::new_with_auto_salt_len(key)
                        .verify_prehash(digest, &signature),
                    Hash::Sha1 => return None,
                }
            }
            Scheme::Ecdsa(_) => return None,
        };
    result.ok()
}

fn check_ecdsa(curve: Curve, point: &[u8], digest: &[u8], r: &[u8], s: &[u8]) -> Option<()> {
    match curve {
        Curve::P256 => {
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
            let (r, s) = (scalar::<32>(r)?, scalar::<32>(s)?);
            let signature = p256::ecdsa::Signature::from_scalars(r, s).ok()?;
            key.verify_prehash(digest, &signature).ok()
        }
        Curve::P384 => {
            let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
            let (r, s) = (scalar::<48>(r)?, scalar::<48>(s)?);
            let signature = p384::ecdsa::Signature::from_scalars(r, s).ok()?;
            key.verify_prehash(digest, &signature).ok()
        }
    }
}

/// A big-endian number at full length.
fn scalar<const BYTES: usize>(number: &[u8]) -> Option<[u8; BYTES]> {
    let mut scalar = [0; BYTES];
    let zeros = BYTES.checked_sub(number.len())?;
    scalar.get_mut(zeros..)?.copy_from_slice(number);
    Some(scalar)
}
