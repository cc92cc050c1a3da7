// SPDX-License-Identifier: MIT OR Apache-2.0
//! One-pass and full ECDH (Part 1, C.6.1; SP 800-56A Rev. 3, 5.7.1.2): a point times a scalar.
//! Also `TPM2_ECDH_ZGen`, the halves of `TPM2_ZGen_2Phase` and the points of `TPM2_Commit`.

use super::EccCurve;
use super::arithmetic::{export_point, point, scalar, with_curve};
use super::parameter::{EccParameter, EccPoint};
use crate::crypto::CryptoError;

/// The point `factor` · `base`; the shared secret is its x-coordinate.
///
/// # Errors
/// [`CryptoError::Point`] if `base` is not on the curve, [`CryptoError::Value`] if `factor` is
/// not in [1, n-1], [`CryptoError::NoResult`] if the product is at infinity.
#[expect(clippy::arithmetic_side_effects, reason = "points of a group do not overflow")]
pub fn multiply(
    curve: EccCurve,
    factor: &EccParameter,
    base: &EccPoint,
) -> Result<EccPoint, CryptoError> {
    with_curve!(curve, C => {
        let base = point::<C>(base)?;
        export_point::<C>(curve, &(base * *scalar::<C>(factor)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::vectors::records;

    #[test]
    fn an_invalid_point_or_scalar_gives_nothing() {
        for curve in EccCurve::ALL {
            let one = EccParameter::new(curve, &[1]).unwrap();
            let zero = EccParameter::new(curve, &[]).unwrap();
            let parameters = curve.parameters();
            let base = EccPoint::new(curve, parameters.g_x, parameters.g_y).unwrap();
            let off = EccPoint::new(curve, parameters.g_x, &[5]).unwrap();
            assert_eq!(multiply(curve, &one, &off), Err(CryptoError::Point));
            assert_eq!(multiply(curve, &zero, &base), Err(CryptoError::Value));
            assert_eq!(multiply(curve, &one, &base), Ok(base));
        }
    }

    /// The file tells keys that were changed, points off the curve, and wrong results.
    #[test]
    fn nist_vectors() {
        use crate::crypto::ecc::public_point;
        for record in records(include_str!("../vectors/nist_ecdh.txt")) {
            let curve = EccCurve::from_id(u16::from_str_radix(record.text("curve"), 16).unwrap());
            let curve = curve.unwrap();
            let number = |name| EccParameter::new(curve, &record.bytes(name)).unwrap();
            let (factor, own_x, own_y) = (number("d"), number("ownX"), number("ownY"));
            let shared = multiply(curve, &factor, &EccPoint { x: number("x"), y: number("y") });
            let own_key_is_right =
                public_point(curve, &factor) == Ok(EccPoint { x: own_x, y: own_y });
            let valid = own_key_is_right && shared.is_ok_and(|shared| shared.x == number("z"));
            assert_eq!(valid, record.text("valid") == "yes");
        }
    }

    #[test]
    fn vectors() {
        for record in records(include_str!("../vectors/ecdh.txt")) {
            let id = u16::from_str_radix(record.text("curve"), 16).unwrap();
            let curve = EccCurve::from_id(id).unwrap();
            let factor = EccParameter::new(curve, &record.bytes("d")).unwrap();
            let base = EccPoint::new(curve, &record.bytes("x"), &record.bytes("y")).unwrap();
            let shared = multiply(curve, &factor, &base).unwrap();
            assert_eq!(shared.x.as_bytes(), record.bytes("z"));
        }
    }
}
