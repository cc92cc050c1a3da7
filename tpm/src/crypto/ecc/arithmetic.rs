// SPDX-License-Identifier: MIT OR Apache-2.0
//! Between the numbers of the wire and the arithmetic of the curves' crates.

use elliptic_curve::ff::{Field, PrimeField};
use elliptic_curve::group::{Curve as _, Group};
use elliptic_curve::ops::Reduce;
use elliptic_curve::point::AffineCoordinates;
use elliptic_curve::{CurveArithmetic, FieldBytes};
use zeroize::Zeroizing;

use super::EccCurve;
use super::parameter::{EccParameter, EccPoint};
use crate::crypto::CryptoError;

/// Evaluates `$body` with the type `$C` standing for the curve's crate.
macro_rules! with_curve {
    ($curve:expr, $C:ident => $body:expr) => {
        match $curve {
            $crate::crypto::ecc::EccCurve::NistP256 => {
                type $C = p256::NistP256;
                $body
            }
            $crate::crypto::ecc::EccCurve::NistP384 => {
                type $C = p384::NistP384;
                $body
            }
            $crate::crypto::ecc::EccCurve::NistP521 => {
                type $C = p521::NistP521;
                $body
            }
            $crate::crypto::ecc::EccCurve::Sm2P256 => {
                type $C = ::sm2::Sm2;
                $body
            }
        }
    };
}
pub(super) use with_curve;

pub(super) type Scalar<C> = <C as CurveArithmetic>::Scalar;
pub(super) type Projective<C> = <C as CurveArithmetic>::ProjectivePoint;

fn field_bytes<C: CurveArithmetic>(number: &EccParameter) -> Result<FieldBytes<C>, CryptoError> {
    FieldBytes::<C>::try_from(number.as_bytes()).map_err(|_| CryptoError::Value)
}

/// The scalar `number`, which must be in [1, n-1].
pub(super) fn scalar<C: CurveArithmetic>(
    number: &EccParameter,
) -> Result<Zeroizing<Scalar<C>>, CryptoError> {
    let bytes = Zeroizing::new(field_bytes::<C>(number)?);
    let scalar = Option::<Scalar<C>>::from(Scalar::<C>::from_repr(*bytes))
        .map(Zeroizing::new)
        .ok_or(CryptoError::Value)?;
    if bool::from(scalar.is_zero()) { Err(CryptoError::Value) } else { Ok(scalar) }
}

/// The point `point`, which must be on the curve.
pub(super) fn point<C: CurveArithmetic>(point: &EccPoint) -> Result<Projective<C>, CryptoError> {
    let (x, y) = (field_bytes::<C>(&point.x)?, field_bytes::<C>(&point.y)?);
    Option::<C::AffinePoint>::from(C::AffinePoint::from_coordinates(&x, &y))
        .map(Projective::<C>::from)
        .ok_or(CryptoError::Point)
}

/// The number `scalar`.
pub(super) fn export_scalar<C: CurveArithmetic>(
    curve: EccCurve,
    scalar: &Scalar<C>,
) -> Result<EccParameter, CryptoError> {
    EccParameter::new(curve, &Zeroizing::new(scalar.to_repr()))
}

/// The affine coordinates of `point`; [`CryptoError::NoResult`] for the point at infinity.
pub(super) fn export_point<C: CurveArithmetic>(
    curve: EccCurve,
    point: &Projective<C>,
) -> Result<EccPoint, CryptoError> {
    if bool::from(point.is_identity()) {
        return Err(CryptoError::NoResult);
    }
    let affine = Zeroizing::new(point.to_affine());
    EccPoint::new(curve, &affine.x(), &affine.y())
}

/// The x-coordinate of `point`, which is not the point at infinity, modulo n.
pub(super) fn x_modulo_order<C: CurveArithmetic>(point: &Projective<C>) -> Scalar<C> {
    <Scalar<C> as Reduce<FieldBytes<C>>>::reduce(&point.to_affine().x())
}

/// The big-endian number `bytes`, of any length, as an element of the prime field `F`.
#[expect(clippy::arithmetic_side_effects, reason = "elements of a prime field do not overflow")]
pub(super) fn reduce<F: PrimeField>(bytes: &[u8]) -> F {
    let base = F::from(256);
    bytes.iter().fold(F::ZERO, |sum, byte| sum * base + F::from(u64::from(*byte)))
}

/// The leftmost bits of `digest`, as many as the order has, as a scalar (FIPS 186-5, 6.4.1). For
/// the curves here only whole bytes are ever cut off.
pub(super) fn truncated_digest<C: CurveArithmetic>(curve: EccCurve, digest: &[u8]) -> Scalar<C> {
    reduce(digest.get(..curve.size()).unwrap_or(digest))
}
