// SPDX-License-Identifier: MIT OR Apache-2.0
//! ECDSA (FIPS 186-5, 6.4; Part 1, C.4.2) of a digest of any length.

use elliptic_curve::CurveArithmetic;
use elliptic_curve::ff::Field;
use elliptic_curve::group::Group;
use elliptic_curve::ops::{Invert, MulByGeneratorVartime};
use zeroize::Zeroizing;

use super::EccCurve;
use super::arithmetic::{
    Projective, Scalar, export_scalar, point, scalar, truncated_digest, with_curve, x_modulo_order,
};
use super::comb::multiply_generator;
use super::key::random_scalar;
use super::parameter::{EccParameter, EccPoint, EccSignature};
use crate::crypto::{CryptoError, Random};

/// Nonces to try; a second one is needed with a probability of 2^-255.
pub(super) const NONCES_MAX: usize = 8;

/// Signs `digest` with a fresh random nonce.
///
/// # Errors
/// [`CryptoError::Value`] if `private` is not in [1, n-1]; those of `random`.
pub fn ecdsa_sign(
    curve: EccCurve,
    private: &EccParameter,
    digest: &[u8],
    random: &mut dyn Random,
) -> Result<EccSignature, CryptoError> {
    with_curve!(curve, C => sign::<C>(curve, private, digest, random))
}

#[expect(clippy::arithmetic_side_effects, reason = "elements of a prime field do not overflow")]
fn sign<C: CurveArithmetic>(
    curve: EccCurve,
    private: &EccParameter,
    digest: &[u8],
    random: &mut dyn Random,
) -> Result<EccSignature, CryptoError> {
    let private = scalar::<C>(private)?;
    let message = truncated_digest::<C>(curve, digest);
    for _ in 0..NONCES_MAX {
        let nonce = random_scalar::<C>(curve, random)?;
        let r = x_modulo_order::<C>(&multiply_generator::<C>(curve, &nonce));
        let inverse = Option::<Scalar<C>>::from(Invert::invert(&*nonce));
        let inverse = Zeroizing::new(inverse.ok_or(CryptoError::Fault)?);
        let s = *inverse * (message + r * *private);
        if !bool::from(r.is_zero() | s.is_zero()) {
            let (r, s) = (export_scalar::<C>(curve, &r)?, export_scalar::<C>(curve, &s)?);
            return Ok(EccSignature { r, s });
        }
    }
    Err(CryptoError::NoResult)
}

/// Verifies the signature of `digest`.
///
/// # Errors
/// [`CryptoError::Signature`] if it is not valid, [`CryptoError::Point`] if `public` is not on
/// the curve.
pub fn ecdsa_verify(
    curve: EccCurve,
    public: &EccPoint,
    digest: &[u8],
    signature: &EccSignature,
) -> Result<(), CryptoError> {
    with_curve!(curve, C => verify::<C>(curve, public, digest, signature))
}

#[expect(clippy::arithmetic_side_effects, reason = "elements of a prime field do not overflow")]
fn verify<C: CurveArithmetic>(
    curve: EccCurve,
    public: &EccPoint,
    digest: &[u8],
    signature: &EccSignature,
) -> Result<(), CryptoError> {
    let public = point::<C>(public)?;
    let r = scalar::<C>(&signature.r).map_err(|_| CryptoError::Signature)?;
    let s = scalar::<C>(&signature.s).map_err(|_| CryptoError::Signature)?;
    let inverse = Option::<Scalar<C>>::from(Invert::invert(&*s)).ok_or(CryptoError::Signature)?;
    let message = truncated_digest::<C>(curve, digest);
    let sum = Projective::<C>::mul_by_generator_and_mul_add_vartime(
        &(message * inverse),
        &(*r * inverse),
        &public,
    );
    if !bool::from(sum.is_identity()) && x_modulo_order::<C>(&sum) == *r {
        Ok(())
    } else {
        Err(CryptoError::Signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::drbg::CtrDrbg;
    extern crate std;
    use crate::crypto::ecc::{generate, public_point};
    use crate::crypto::vectors::{Prepared, records};

    /// TPM-FAIL: a nonce with leading zeros took less time. Here it is as wide as the order
    /// whatever its value, and neither drawn again nor shortened: the arithmetic never learns how
    /// long it is. (Drawing k - 1 makes the nonce k.)
    #[test]
    fn tpm_fail_a_short_nonce_is_a_nonce() {
        for curve in EccCurve::ALL {
            let private = EccParameter::new(curve, &[9; 20]).unwrap();
            let public = public_point(curve, &private).unwrap();
            for short in [0, 1, 2, 0xff] {
                let mut draw = std::vec![0; curve.size()];
                *draw.last_mut().unwrap() = short;
                let mut random = Prepared::new(&draw);
                let digest = [0x6d; 32];
                let signature = ecdsa_sign(curve, &private, &digest, &mut random).unwrap();
                ecdsa_verify(curve, &public, &digest, &signature).unwrap();
                let mut nonce = std::vec![0; curve.size()];
                let last = nonce.len() - 2;
                nonce[last..].copy_from_slice(&(u16::from(short) + 1).to_be_bytes());
                let nonce = EccParameter::new(curve, &nonce).unwrap();
                assert_eq!(signature.r, public_point(curve, &nonce).unwrap().x);
            }
        }
    }

    #[test]
    fn whatever_is_changed_makes_a_signature_invalid() {
        let mut drbg = CtrDrbg::from_seed(&[3; 48]);
        for curve in EccCurve::ALL {
            let pair = generate(curve, &mut drbg).unwrap();
            for length in [0, 20, 32, 48, 64] {
                let mut digest = [0xc3; 64];
                let digest = &mut digest[..length];
                let good = ecdsa_sign(curve, &pair.private, digest, &mut drbg).unwrap();
                ecdsa_verify(curve, &pair.public, digest, &good).unwrap();

                let refused = |public: &EccPoint, digest: &[u8], signature: &EccSignature| {
                    assert!(ecdsa_verify(curve, public, digest, signature).is_err());
                };
                let zero = EccParameter::zero(curve);
                let order = EccParameter::new(curve, curve.parameters().n).unwrap();
                for bad in [&zero, &order] {
                    refused(&pair.public, digest, &EccSignature { r: bad.clone(), ..good.clone() });
                    refused(&pair.public, digest, &EccSignature { s: bad.clone(), ..good.clone() });
                }
                let swapped = EccSignature { r: good.s.clone(), s: good.r.clone() };
                refused(&pair.public, digest, &swapped);
                let other = generate(curve, &mut drbg).unwrap();
                refused(&other.public, digest, &good);
                if let Some(byte) = digest.first_mut() {
                    *byte ^= 1;
                    refused(&pair.public, digest, &good);
                }
            }
        }
    }

    #[test]
    fn only_the_leftmost_bits_of_a_long_digest_count() {
        let mut drbg = CtrDrbg::from_seed(&[4; 48]);
        let pair = generate(EccCurve::NistP256, &mut drbg).unwrap();
        let mut digest = [0x99; 64];
        let signature = ecdsa_sign(EccCurve::NistP256, &pair.private, &digest, &mut drbg).unwrap();
        digest[32..].fill(0);
        ecdsa_verify(EccCurve::NistP256, &pair.public, &digest, &signature).unwrap();
        digest[31] ^= 1;
        let result = ecdsa_verify(EccCurve::NistP256, &pair.public, &digest, &signature);
        assert_eq!(result, Err(CryptoError::Signature));
    }

    #[test]
    fn vectors() {
        let nist = records(include_str!("../vectors/nist_ecdsa.txt"));
        let own = records(include_str!("../vectors/ecdsa.txt"));
        for record in nist.into_iter().chain(own) {
            let id = u16::from_str_radix(record.text("curve"), 16).unwrap();
            let curve = EccCurve::from_id(id).unwrap();
            let public = EccPoint::new(curve, &record.bytes("x"), &record.bytes("y")).unwrap();
            let signature = EccSignature {
                r: EccParameter::new(curve, &record.bytes("r")).unwrap(),
                s: EccParameter::new(curve, &record.bytes("s")).unwrap(),
            };
            let result = ecdsa_verify(curve, &public, &record.bytes("digest"), &signature);
            assert_eq!(result.is_ok(), record.text("valid") == "yes");
        }
    }
}
