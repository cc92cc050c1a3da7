// SPDX-License-Identifier: MIT OR Apache-2.0
//! SM2 signatures (GB/T 32918.2; Part 1, C.4.5). What is signed is the digest e that the caller
//! made of the message and of the signer's identity.

use elliptic_curve::CurveArithmetic;
use elliptic_curve::ff::Field;
use elliptic_curve::group::Group;
use elliptic_curve::ops::{Invert, MulByGeneratorVartime};

use super::EccCurve;
use super::arithmetic::{
    Projective, Scalar, export_scalar, point, reduce, scalar, with_curve, x_modulo_order,
};
use super::comb::multiply_generator;
use super::ecdsa::NONCES_MAX;
use super::key::random_scalar;
use super::parameter::{EccParameter, EccPoint, EccSignature};
use crate::crypto::{CryptoError, Random};

/// Signs `digest` with a fresh random nonce.
///
/// # Errors
/// [`CryptoError::Value`] if `private` is not in [1, n-2]; those of `random`.
pub fn sm2_sign(
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
    let successor = *private + Scalar::<C>::ONE;
    // d = n - 1 has no inverse here, which is why the standard excludes it.
    let inverse = Option::<Scalar<C>>::from(Invert::invert(&successor));
    let inverse = zeroize::Zeroizing::new(inverse.ok_or(CryptoError::Value)?);
    let message: Scalar<C> = reduce(digest);
    for _ in 0..NONCES_MAX {
        let nonce = random_scalar::<C>(curve, random)?;
        let r = message + x_modulo_order::<C>(&multiply_generator::<C>(curve, &nonce));
        let s = *inverse * (*nonce - r * *private);
        if !bool::from(r.is_zero() | (r + *nonce).is_zero() | s.is_zero()) {
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
pub fn sm2_verify(
    curve: EccCurve,
    public: &EccPoint,
    digest: &[u8],
    signature: &EccSignature,
) -> Result<(), CryptoError> {
    with_curve!(curve, C => verify::<C>(public, digest, signature))
}

#[expect(clippy::arithmetic_side_effects, reason = "elements of a prime field do not overflow")]
fn verify<C: CurveArithmetic>(
    public: &EccPoint,
    digest: &[u8],
    signature: &EccSignature,
) -> Result<(), CryptoError> {
    let public = point::<C>(public)?;
    let r = scalar::<C>(&signature.r).map_err(|_| CryptoError::Signature)?;
    let s = scalar::<C>(&signature.s).map_err(|_| CryptoError::Signature)?;
    let sum = *r + *s;
    let result = Projective::<C>::mul_by_generator_and_mul_add_vartime(&s, &sum, &public);
    if bool::from(sum.is_zero() | result.is_identity()) {
        return Err(CryptoError::Signature);
    }
    let message: Scalar<C> = reduce(digest);
    if message + x_modulo_order::<C>(&result) == *r { Ok(()) } else { Err(CryptoError::Signature) }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::crypto::drbg::CtrDrbg;
    use crate::crypto::ecc::{generate, public_point};
    use crate::crypto::vectors::{Prepared, records, unhex};

    #[test]
    fn whatever_is_changed_makes_a_signature_invalid() {
        let mut drbg = CtrDrbg::from_seed(&[6; 48]);
        let curve = EccCurve::Sm2P256;
        let pair = generate(curve, &mut drbg).unwrap();
        let digest = [0x77; 32];
        let good = sm2_sign(curve, &pair.private, &digest, &mut drbg).unwrap();
        sm2_verify(curve, &pair.public, &digest, &good).unwrap();
        let zero = EccParameter::zero(curve);
        let negated = {
            let r = scalar::<::sm2::Sm2>(&good.r).unwrap();
            export_scalar::<::sm2::Sm2>(curve, &-*r).unwrap()
        };
        for bad in [
            EccSignature { r: zero.clone(), ..good.clone() },
            EccSignature { s: zero.clone(), ..good.clone() },
            EccSignature { s: negated, ..good.clone() },
            EccSignature { r: good.s.clone(), s: good.r.clone() },
        ] {
            let result = sm2_verify(curve, &pair.public, &digest, &bad);
            assert_eq!(result, Err(CryptoError::Signature));
        }
        let result = sm2_verify(curve, &pair.public, &[0x78; 32], &good);
        assert_eq!(result, Err(CryptoError::Signature));
    }

    #[test]
    fn the_key_without_an_inverse_is_refused() {
        let curve = EccCurve::Sm2P256;
        let mut bytes = curve.parameters().n.to_vec();
        *bytes.last_mut().unwrap() -= 1;
        let private = EccParameter::new(curve, &bytes).unwrap();
        let result = sm2_sign(curve, &private, &[1; 32], &mut Prepared::new(&[1; 32]));
        assert_eq!(result, Err(CryptoError::Value));
    }

    /// The example of GB/T 32918.5, annex A: key, digest, nonce and signature. Drawing k - 1 makes
    /// the nonce k.
    #[test]
    fn published_signature() {
        let curve = EccCurve::Sm2P256;
        let number = |hex| EccParameter::new(curve, &unhex(hex)).unwrap();
        let private = number("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8");
        let digest = unhex("f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640");
        let draw = unhex("59276e27d506861a16680f3ad9c02dccef3cc1fa3cdbe4ce6d54b80deac1bc20");
        let signature = sm2_sign(curve, &private, &digest, &mut Prepared::new(&draw)).unwrap();
        let r = "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3";
        let s = "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa";
        assert_eq!(signature, EccSignature { r: number(r), s: number(s) });
        let public = public_point(curve, &private).unwrap();
        sm2_verify(curve, &public, &digest, &signature).unwrap();
    }

    #[test]
    fn vectors() {
        for record in records(include_str!("../vectors/sm2.txt")) {
            let curve = EccCurve::Sm2P256;
            let public = EccPoint::new(curve, &record.bytes("x"), &record.bytes("y")).unwrap();
            let signature = EccSignature {
                r: EccParameter::new(curve, &record.bytes("r")).unwrap(),
                s: EccParameter::new(curve, &record.bytes("s")).unwrap(),
            };
            sm2_verify(curve, &public, &record.bytes("digest"), &signature).unwrap();
        }
    }
}
