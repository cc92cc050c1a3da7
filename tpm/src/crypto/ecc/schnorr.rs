// SPDX-License-Identifier: MIT OR Apache-2.0
//! ECSchnorr (Part 1, C.4.4): r = H(x of kG ‖ digest), cut to the width of the order, and
//! s = k + r·d modulo n.

use elliptic_curve::CurveArithmetic;
use elliptic_curve::ff::Field;
use elliptic_curve::ops::MulByGeneratorVartime;

use super::EccCurve;
use super::arithmetic::{Projective, export_point, export_scalar, point, scalar, with_curve};
use super::comb::multiply_generator;
use super::ecdsa::NONCES_MAX;
use super::key::random_scalar;
use super::parameter::{EccParameter, EccPoint, EccSignature};
use crate::crypto::hash::HashAlgorithm;
use crate::crypto::{CryptoError, Random};

/// Signs `digest` with the scheme's hash `algorithm`.
///
/// # Errors
/// [`CryptoError::Value`] if `private` is not in [1, n-1]; those of `random`.
pub fn schnorr_sign(
    curve: EccCurve,
    private: &EccParameter,
    algorithm: HashAlgorithm,
    digest: &[u8],
    random: &mut dyn Random,
) -> Result<EccSignature, CryptoError> {
    with_curve!(curve, C => sign::<C>(curve, private, algorithm, digest, random))
}

#[expect(clippy::arithmetic_side_effects, reason = "elements of a prime field do not overflow")]
fn sign<C: CurveArithmetic>(
    curve: EccCurve,
    private: &EccParameter,
    algorithm: HashAlgorithm,
    digest: &[u8],
    random: &mut dyn Random,
) -> Result<EccSignature, CryptoError> {
    let private = scalar::<C>(private)?;
    for _ in 0..NONCES_MAX {
        let nonce = random_scalar::<C>(curve, random)?;
        let commitment = multiply_generator::<C>(curve, &nonce);
        let r = challenge::<C>(curve, algorithm, &commitment, digest)?;
        // A challenge of zero, or not below n, is no scalar: take another nonce.
        let Ok(factor) = scalar::<C>(&r) else { continue };
        let s = *nonce + *factor * *private;
        if !bool::from(s.is_zero()) {
            return Ok(EccSignature { r, s: export_scalar::<C>(curve, &s)? });
        }
    }
    Err(CryptoError::NoResult)
}

fn challenge<C: CurveArithmetic>(
    curve: EccCurve,
    algorithm: HashAlgorithm,
    commitment: &Projective<C>,
    digest: &[u8],
) -> Result<EccParameter, CryptoError> {
    let commitment = export_point::<C>(curve, commitment)?;
    let hash = algorithm.digest(&[commitment.x.as_bytes(), digest]);
    EccParameter::new(curve, &hash.truncated(curve.size()))
}

/// Verifies the signature of `digest`.
///
/// # Errors
/// [`CryptoError::Signature`] if it is not valid, [`CryptoError::Point`] if `public` is not on
/// the curve.
pub fn schnorr_verify(
    curve: EccCurve,
    public: &EccPoint,
    algorithm: HashAlgorithm,
    digest: &[u8],
    signature: &EccSignature,
) -> Result<(), CryptoError> {
    with_curve!(curve, C => verify::<C>(curve, public, algorithm, digest, signature))
}

#[expect(clippy::arithmetic_side_effects, reason = "elements of a prime field do not overflow")]
fn verify<C: CurveArithmetic>(
    curve: EccCurve,
    public: &EccPoint,
    algorithm: HashAlgorithm,
    digest: &[u8],
    signature: &EccSignature,
) -> Result<(), CryptoError> {
    let public = point::<C>(public)?;
    let r = scalar::<C>(&signature.r).map_err(|_| CryptoError::Signature)?;
    let s = scalar::<C>(&signature.s).map_err(|_| CryptoError::Signature)?;
    let commitment = Projective::<C>::mul_by_generator_and_mul_add_vartime(&s, &-*r, &public);
    let expected = challenge::<C>(curve, algorithm, &commitment, digest)
        .map_err(|_| CryptoError::Signature)?;
    if expected == signature.r { Ok(()) } else { Err(CryptoError::Signature) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::drbg::CtrDrbg;
    use crate::crypto::ecc::generate;
    use crate::crypto::vectors::records;

    #[test]
    fn whatever_is_changed_makes_a_signature_invalid() {
        let mut drbg = CtrDrbg::from_seed(&[5; 48]);
        for curve in EccCurve::ALL {
            let pair = generate(curve, &mut drbg).unwrap();
            for algorithm in HashAlgorithm::ALL {
                let digest = algorithm.digest(&[b"message"]);
                let good =
                    schnorr_sign(curve, &pair.private, algorithm, &digest, &mut drbg).unwrap();
                let check = |digest: &[u8], signature: &EccSignature| {
                    schnorr_verify(curve, &pair.public, algorithm, digest, signature)
                };
                check(&digest, &good).unwrap();
                let other = algorithm.digest(&[b"massage"]);
                assert_eq!(check(&other, &good), Err(CryptoError::Signature));
                let zero = EccParameter::zero(curve);
                for bad in [
                    EccSignature { r: zero.clone(), ..good.clone() },
                    EccSignature { s: zero.clone(), ..good.clone() },
                    EccSignature { r: good.s.clone(), s: good.r.clone() },
                ] {
                    assert_eq!(check(&digest, &bad), Err(CryptoError::Signature));
                }
            }
        }
    }

    #[test]
    fn vectors() {
        for record in records(include_str!("../vectors/schnorr.txt")) {
            let id = |name| u16::from_str_radix(record.text(name), 16).unwrap();
            let curve = EccCurve::from_id(id("curve")).unwrap();
            let algorithm = HashAlgorithm::from_id(id("hash")).unwrap();
            let public = EccPoint::new(curve, &record.bytes("x"), &record.bytes("y")).unwrap();
            let signature = EccSignature {
                r: EccParameter::new(curve, &record.bytes("r")).unwrap(),
                s: EccParameter::new(curve, &record.bytes("s")).unwrap(),
            };
            let digest = record.bytes("digest");
            schnorr_verify(curve, &public, algorithm, &digest, &signature).unwrap();
        }
    }
}
