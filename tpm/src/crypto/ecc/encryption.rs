// SPDX-License-Identifier: MIT OR Apache-2.0
//! Encryption under the public point of a key (Part 1, annex C.8; with SM2's curve and SM3 it is
//! the public key encryption of GB/T 32918.4).
//!
//! With an ephemeral key k, and (x, y) = k · Q or, to decrypt, d · C1:
//! C1 = k · G; C2 = M ⊕ KDF2(x ‖ y); C3 = H(x ‖ M ‖ y).

use super::parameter::{EccParameter, EccPoint};
use super::{EccCurve, generate, multiply};
use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::crypto::kdf::kdf2_xor;
use crate::crypto::{CryptoError, Random};

/// Encrypts `data` in place (C2) under `public`: the ephemeral point (C1) and the digest (C3).
///
/// # Errors
/// [`CryptoError::Point`] if `public` is not on the curve; those of `random`.
pub fn encrypt(
    curve: EccCurve,
    hash: HashAlgorithm,
    public: &EccPoint,
    data: &mut [u8],
    random: &mut dyn Random,
) -> Result<(EccPoint, Digest), CryptoError> {
    let ephemeral = generate(curve, random)?;
    let shared = multiply(curve, &ephemeral.private, public)?;
    let digest = hash.digest(&[shared.x.as_bytes(), data, shared.y.as_bytes()]);
    kdf2_xor(hash, &[shared.x.as_bytes(), shared.y.as_bytes()], data);
    Ok((ephemeral.public, digest))
}

/// Decrypts `data` (C2) in place with a private key, an ephemeral point (C1) and a digest (C3).
///
/// # Errors
/// [`CryptoError::Point`] if the point is not on the curve, [`CryptoError::Value`] if the digest is
/// another, and then `data` is wiped.
pub fn decrypt(
    curve: EccCurve,
    hash: HashAlgorithm,
    private: &EccParameter,
    ephemeral: &EccPoint,
    data: &mut [u8],
    digest: &Digest,
) -> Result<(), CryptoError> {
    let shared = multiply(curve, private, ephemeral)?;
    kdf2_xor(hash, &[shared.x.as_bytes(), shared.y.as_bytes()], data);
    if hash.digest(&[shared.x.as_bytes(), data, shared.y.as_bytes()]) == *digest {
        return Ok(());
    }
    data.fill(0);
    Err(CryptoError::Value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::drbg::CtrDrbg;
    use crate::crypto::ecc::public_point;
    use crate::crypto::vectors::{Prepared, unhex};

    #[test]
    fn whatever_is_changed_gives_nothing() {
        let hash = HashAlgorithm::Sha256;
        for curve in EccCurve::ALL {
            let mut random = CtrDrbg::from_seed(&[8; 48]);
            let pair = generate(curve, &mut random).unwrap();
            let mut sent = *b"message";
            let (point, digest) =
                encrypt(curve, hash, &pair.public, &mut sent, &mut random).unwrap();
            assert_ne!(sent, *b"message");
            let decrypt = |point: &EccPoint, mut data: [u8; 7], digest: &Digest| {
                let result = decrypt(curve, hash, &pair.private, point, &mut data, digest);
                result.map_err(|error| (error, data)).map(|()| data)
            };
            assert_eq!(decrypt(&point, sent, &digest), Ok(*b"message"));
            let mut other = sent;
            other[6] ^= 1;
            let nothing = Err((CryptoError::Value, [0; 7]));
            assert_eq!(decrypt(&point, other, &digest), nothing);
            assert_eq!(decrypt(&pair.public, sent, &digest), nothing);
            assert_eq!(decrypt(&point, sent, &digest.truncated(31)), nothing);
            let off = EccPoint { x: point.x.clone(), y: point.x.clone() };
            assert_eq!(decrypt(&off, sent, &digest), Err((CryptoError::Point, sent)));
        }
    }

    /// The example of GB/T 32918.5, annex C. Drawing k - 1 makes the ephemeral key k.
    #[test]
    fn published_encryption() {
        let (curve, hash) = (EccCurve::Sm2P256, HashAlgorithm::Sm3_256);
        let number = |hex| EccParameter::new(curve, &unhex(hex)).unwrap();
        let private = number("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8");
        let public = public_point(curve, &private).unwrap();
        let draw = unhex("59276e27d506861a16680f3ad9c02dccef3cc1fa3cdbe4ce6d54b80deac1bc20");
        let mut data = *b"encryption standard";
        let (point, digest) =
            encrypt(curve, hash, &public, &mut data, &mut Prepared::new(&draw)).unwrap();
        let expected = EccPoint {
            x: number("04ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73"),
            y: number("e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0"),
        };
        assert_eq!(point, expected);
        assert_eq!(data, unhex("21886ca989ca9c7d58087307ca93092d651efa")[..]);
        let expected = unhex("59983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766");
        assert_eq!(digest.as_bytes(), expected);
        decrypt(curve, hash, &private, &point, &mut data, &digest).unwrap();
        assert_eq!(data, *b"encryption standard");
    }
}
