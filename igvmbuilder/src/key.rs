// SPDX-License-Identifier: MIT OR Apache-2.0
//! P-384 keys that sign ID blocks: read from PEM, made new, and in the firmware's form. AMD 56860,
//! chapter 10 (ECDSA P-384 public keys and signatures).

use std::{
    fmt,
    io::{self, Read},
};

use igvm_defs::{
    IGVM_VHS_SNP_ID_BLOCK_PUBLIC_KEY as FilePublicKey, IGVM_VHS_SNP_ID_BLOCK_SIGNATURE as Signature,
};
use p384::{
    PublicKey, Sec1Point, SecretKey,
    ecdsa::{
        self, SigningKey, VerifyingKey,
        signature::hazmat::{PrehashSigner, PrehashVerifier},
    },
    elliptic_curve::sec1::ToSec1Point,
    pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, LineEnding},
};
use sha2::{Digest as _, Sha384};
use snp_abi::{
    launch::{CURVE_P384, Digest, IdKey},
    state_key,
};
use zerocopy::{FromZeros, IntoBytes};
use zeroize::Zeroizing;

/// Bytes of a coordinate or scalar of P-384.
const FIELD_SIZE: usize = 48;
/// Bytes of such a number in the firmware's structures.
const NUMBER_SIZE: usize = 72;

/// A key that signs.
#[derive(Clone)]
pub struct PrivateKey(SigningKey);

/// What is wrong with a key or a signature.
#[derive(Debug)]
pub enum KeyError {
    /// Not a private P-384 key in PEM, PKCS#8 or SEC1.
    Pem,
    /// Not a public key on P-384.
    Public,
    /// The signature isn't one by this key.
    Signature,
    /// No random numbers to make a key from.
    Random(io::Error),
}

impl fmt::Display for KeyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem => write!(formatter, "not a private P-384 key in PEM (PKCS#8 or SEC1)"),
            Self::Public => write!(formatter, "not a public key on P-384"),
            Self::Signature => write!(formatter, "the signature isn't by this key"),
            Self::Random(error) => write!(formatter, "no random numbers: {error}"),
        }
    }
}

impl std::error::Error for KeyError {}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PrivateKey({})", hex::encode(digest(&self.public_key())))
    }
}

impl PrivateKey {
    /// Reads a key as `openssl genpkey` or `openssl ecparam -genkey` writes it.
    ///
    /// # Errors
    /// [`KeyError::Pem`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let secret = SecretKey::from_pkcs8_pem(text).or_else(|_| sec1(text)).ok();
        secret.map(|secret| Self(SigningKey::from(secret))).ok_or(KeyError::Pem)
    }

    /// Makes a key from random bytes.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate(random: &mut impl Read) -> Result<Self, KeyError> {
        // One try in 2^190 gives a number that is not below the group's order.
        const TRIES: usize = 4;
        let mut scalar = Zeroizing::new([0; FIELD_SIZE]);
        for _ in 0..TRIES {
            random.read_exact(scalar.as_mut_slice()).map_err(KeyError::Random)?;
            if let Ok(key) = SigningKey::from_slice(scalar.as_slice()) {
                return Ok(Self(key));
            }
        }
        Err(KeyError::Random(io::Error::other("none of them is a scalar")))
    }

    /// The key as PKCS#8 in PEM.
    ///
    /// # Errors
    /// [`KeyError::Pem`], if the key can't be encoded.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        SecretKey::from(self.0.as_nonzero_scalar())
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|_| KeyError::Pem)
    }

    /// The public key in the firmware's form.
    #[must_use]
    pub fn public_key(&self) -> IdKey {
        let point = VerifyingKey::from(&self.0).to_sec1_point(false);
        let coordinate = |bytes: Option<_>| bytes.map_or([0; NUMBER_SIZE], firmware_number);
        IdKey {
            curve: CURVE_P384,
            x: coordinate(point.x().map(|x| x.as_slice())),
            y: coordinate(point.y().map(|y| y.as_slice())),
            ..IdKey::new_zeroed()
        }
    }

    /// Signs the SHA-384 of a message; the same message gives the same signature (RFC 6979).
    ///
    /// # Errors
    /// [`KeyError::Signature`], if no signature comes out.
    pub fn sign(&self, message: &[u8]) -> Result<Signature, KeyError> {
        let signed: Result<ecdsa::Signature, _> = self.0.sign_prehash(&Sha384::digest(message));
        let (r, s) = signed.map_err(|_| KeyError::Signature)?.split_bytes();
        Ok(Signature { r_comp: firmware_number(&r), s_comp: firmware_number(&s) })
    }
}

/// A key of an `EC PRIVATE KEY` section, which other sections may precede.
fn sec1(text: &str) -> Result<SecretKey, KeyError> {
    let start = text.find("-----BEGIN EC PRIVATE KEY-----").ok_or(KeyError::Pem)?;
    let section = text.get(start..).unwrap_or_default();
    SecretKey::from_sec1_pem(section).map_err(|_| KeyError::Pem)
}

/// The coordinates of the public key in a PEM text, which may hold the private key as well.
///
/// # Errors
/// [`KeyError::Public`].
pub fn public_point(text: &str) -> Result<state_key::PublicKey, KeyError> {
    let private = || PrivateKey::from_pem(text).map(|key| *VerifyingKey::from(&key.0).as_affine());
    let public = PublicKey::from_public_key_pem(text).map(|key| *key.as_affine());
    let point = public.or_else(|_| private()).map_err(|_| KeyError::Public)?;
    let encoded = point.to_sec1_point(false);
    encoded.as_bytes().get(1..).and_then(|xy| xy.try_into().ok()).ok_or(KeyError::Public)
}

/// By what reports name a key.
#[must_use]
pub fn digest(key: &IdKey) -> Digest {
    Sha384::digest(key.as_bytes()).into()
}

/// Whether a signature over the SHA-384 of a message is by this key.
///
/// # Errors
/// [`KeyError::Public`] and [`KeyError::Signature`].
pub fn verify(key: &IdKey, message: &[u8], signature: &Signature) -> Result<(), KeyError> {
    let verifying_key = verifying_key(key).ok_or(KeyError::Public)?;
    big_endian(&signature.r_comp)
        .zip(big_endian(&signature.s_comp))
        .and_then(|(r, s)| ecdsa::Signature::from_scalars(r, s).ok())
        .filter(|s| verifying_key.verify_prehash(&Sha384::digest(message), s).is_ok())
        .map(|_| ())
        .ok_or(KeyError::Signature)
}

/// The key as an IGVM file has it.
#[must_use]
pub const fn in_file(key: &IdKey) -> FilePublicKey {
    FilePublicKey { curve: key.curve, reserved: 0, qx: key.x, qy: key.y }
}

/// The key of an IGVM file as the firmware gets it.
#[must_use]
pub fn from_file(key: &FilePublicKey) -> IdKey {
    IdKey { curve: key.curve, x: key.qx, y: key.qy, ..IdKey::new_zeroed() }
}

fn verifying_key(key: &IdKey) -> Option<VerifyingKey> {
    if key.curve != CURVE_P384 {
        return None;
    }
    let (x, y) = (big_endian(&key.x)?, big_endian(&key.y)?);
    let point = Sec1Point::from_affine_coordinates(&x.into(), &y.into(), false);
    VerifyingKey::from_sec1_point(&point).ok()
}

/// The firmware's numbers are little endian and zero extended.
fn firmware_number(big_endian: &[u8]) -> [u8; NUMBER_SIZE] {
    let mut number = [0; NUMBER_SIZE];
    for (place, byte) in number.iter_mut().zip(big_endian.iter().rev()) {
        *place = *byte;
    }
    number
}

fn big_endian(number: &[u8; NUMBER_SIZE]) -> Option<[u8; FIELD_SIZE]> {
    let (low, high) = number.split_first_chunk::<FIELD_SIZE>()?;
    let mut bytes = *low;
    bytes.reverse();
    high.iter().all(|&byte| byte == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> PrivateKey {
        PrivateKey::generate(&mut io::repeat(byte)).expect("a scalar")
    }

    #[test]
    fn what_is_no_private_p384_key_is_refused() {
        // A P-256 key, in a form that is otherwise right.
        let p256 = "-----BEGIN EC PRIVATE KEY-----\n\
            MHcCAQEEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBoAoGCCqGSM49\n\
            AwEHoUQDQgAEb/A9lJ5c6MgbLzbdQaJ5jbC+Y2NEtH9OsbP2ChqfLBgx5BSXZcfe\n\
            ZA+dnO3BbYgSPMt6c4nDh3GVXb4mvA==\n-----END EC PRIVATE KEY-----\n";
        for text in ["", "key", p256] {
            assert!(matches!(PrivateKey::from_pem(text), Err(KeyError::Pem)), "{text}");
        }
        let scarce = PrivateKey::generate(&mut io::empty());
        assert!(matches!(scarce, Err(KeyError::Random(_))));
        let not_a_scalar = PrivateKey::generate(&mut io::repeat(0));
        assert!(matches!(not_a_scalar, Err(KeyError::Random(_))));
    }

    #[test]
    fn a_public_key_is_in_both_forms() {
        use p384::pkcs8::EncodePublicKey;
        let key = key(9);
        let private = key.to_pem().expect("a PEM text");
        let point = public_point(&private).expect("a key");
        let public = PublicKey::from(VerifyingKey::from(&key.0));
        let public = public.to_public_key_pem(LineEnding::LF).expect("a PEM text");
        assert_eq!(public_point(&public).expect("a key"), point);
        let own = key.public_key();
        assert!(point.iter().rev().skip(48).zip(&own.x).all(|(a, b)| a == b));
        assert!(point.iter().rev().take(48).zip(&own.y).all(|(a, b)| a == b));
        for text in ["", "key", public.replace("M", "N").as_str()] {
            assert!(matches!(public_point(text), Err(KeyError::Public)), "{text}");
        }
    }

    #[test]
    fn a_signature_is_for_one_key_and_one_message() {
        let signature = key(1).sign(b"message").expect("a signature");
        let public = key(1).public_key();
        assert!(verify(&public, b"message", &signature).is_ok());
        assert!(matches!(verify(&public, b"massage", &signature), Err(KeyError::Signature)));
        let other = key(2).public_key();
        assert!(matches!(verify(&other, b"message", &signature), Err(KeyError::Signature)));
        let long = Signature { r_comp: [1; 72], ..signature };
        assert!(matches!(verify(&public, b"message", &long), Err(KeyError::Signature)));
        let off_curve = IdKey { x: public.y, ..public };
        assert!(matches!(verify(&off_curve, b"message", &signature), Err(KeyError::Public)));
        let other_curve = IdKey { curve: 1, ..public };
        assert!(matches!(verify(&other_curve, b"message", &signature), Err(KeyError::Public)));
    }

    #[test]
    fn a_key_survives_pem_in_both_forms() {
        let key = key(7);
        let again = PrivateKey::from_pem(&key.to_pem().expect("a PEM text")).expect("a key");
        assert_eq!(digest(&again.public_key()), digest(&key.public_key()));
        let sec1 = SecretKey::from(key.0.as_nonzero_scalar())
            .to_sec1_pem(LineEnding::LF)
            .expect("a PEM text");
        // As openssl writes it, behind the curve's name.
        let text = format!(
            "-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n{}",
            sec1.as_str()
        );
        let again = PrivateKey::from_pem(&text).expect("a key");
        assert_eq!(digest(&again.public_key()), digest(&key.public_key()));
    }
}
