// SPDX-License-Identifier: MIT OR Apache-2.0
//! Key agreement with two key pairs on each side (`TPM2_ZGen_2Phase`; Part 1, C.6): full MQV
//! (SP 800-56A Rev. 3, 5.7.2.3.1) and SM2 key exchange (GB/T 32918.3, 6.1).
//!
//! They differ in which key is multiplied by the shortened coordinate f(Qe) of the ephemeral one,
//! and in how many bits f keeps.

use elliptic_curve::CurveArithmetic;
use elliptic_curve::ff::Field;
use zeroize::Zeroizing;

use super::arithmetic::{Projective, Scalar, export_point, point, reduce, scalar, with_curve};
use super::parameter::{EccParameter, EccPoint};
use super::{EccCurve, PARAMETER_SIZE_MAX};
use crate::crypto::CryptoError;

/// Our side of an agreement.
#[derive(Debug)]
pub struct OwnKeys<'a> {
    /// The static private key.
    pub static_private: &'a EccParameter,
    /// The ephemeral private key.
    pub ephemeral_private: &'a EccParameter,
    /// The ephemeral public key.
    pub ephemeral_public: &'a EccPoint,
}

/// The other side of an agreement.
#[derive(Debug)]
pub struct OtherKeys<'a> {
    /// The static public key.
    pub static_public: &'a EccPoint,
    /// The ephemeral public key.
    pub ephemeral_public: &'a EccPoint,
}

/// The shared point of full MQV: (de + f(Qe)·ds) · (Qe' + f(Qe')·Qs').
///
/// # Errors
/// [`CryptoError::Point`], [`CryptoError::Value`] for keys that are none;
/// [`CryptoError::NoResult`] if the shared point is at infinity.
#[expect(clippy::arithmetic_side_effects, reason = "scalars and points do not overflow")]
pub fn ecmqv(
    curve: EccCurve,
    own: &OwnKeys<'_>,
    other: &OtherKeys<'_>,
) -> Result<EccPoint, CryptoError> {
    let kept_bits = curve.bits().div_ceil(2);
    with_curve!(curve, C => {
        let (own, other) = (Own::<C>::new(own, kept_bits)?, Other::<C>::new(other, kept_bits)?);
        let factor = *own.ephemeral_private + own.shortened * *own.static_private;
        let base = other.ephemeral_public + other.static_public * other.shortened;
        shared_point::<C>(curve, &Zeroizing::new(factor), &base)
    })
}

/// The shared point of SM2 key exchange: (ds + f(Qe)·de) · (Qs' + f(Qe')·Qe').
///
/// # Errors
/// As [`ecmqv`].
#[expect(clippy::arithmetic_side_effects, reason = "scalars and points do not overflow")]
pub fn sm2_exchange(
    curve: EccCurve,
    own: &OwnKeys<'_>,
    other: &OtherKeys<'_>,
) -> Result<EccPoint, CryptoError> {
    let kept_bits = curve.bits().div_ceil(2).saturating_sub(1);
    with_curve!(curve, C => {
        let (own, other) = (Own::<C>::new(own, kept_bits)?, Other::<C>::new(other, kept_bits)?);
        let factor = *own.static_private + own.shortened * *own.ephemeral_private;
        let base = other.static_public + other.ephemeral_public * other.shortened;
        shared_point::<C>(curve, &Zeroizing::new(factor), &base)
    })
}

struct Own<C: CurveArithmetic> {
    static_private: Zeroizing<Scalar<C>>,
    ephemeral_private: Zeroizing<Scalar<C>>,
    shortened: Scalar<C>,
}

impl<C: CurveArithmetic> Own<C> {
    fn new(keys: &OwnKeys<'_>, kept_bits: u16) -> Result<Self, CryptoError> {
        Ok(Self {
            static_private: scalar::<C>(keys.static_private)?,
            ephemeral_private: scalar::<C>(keys.ephemeral_private)?,
            shortened: shortened::<C>(&keys.ephemeral_public.x, kept_bits),
        })
    }
}

struct Other<C: CurveArithmetic> {
    static_public: Projective<C>,
    ephemeral_public: Projective<C>,
    shortened: Scalar<C>,
}

impl<C: CurveArithmetic> Other<C> {
    fn new(keys: &OtherKeys<'_>, kept_bits: u16) -> Result<Self, CryptoError> {
        Ok(Self {
            static_public: point::<C>(keys.static_public)?,
            ephemeral_public: point::<C>(keys.ephemeral_public)?,
            shortened: shortened::<C>(&keys.ephemeral_public.x, kept_bits),
        })
    }
}

/// The associate value f (SP 800-56A, 5.7.2.2): the lowest `kept_bits` of `x`, and the bit above
/// them set.
fn shortened<C: CurveArithmetic>(x: &EccParameter, kept_bits: u16) -> Scalar<C> {
    let mut bytes = [0; PARAMETER_SIZE_MAX];
    let bits_of = |index: usize| u32::try_from(index.saturating_mul(8)).unwrap_or(u32::MAX);
    let last_first = bytes.iter_mut().rev().zip(x.as_bytes().iter().rev());
    for (index, (place, byte)) in last_first.enumerate() {
        // How many bits of this byte are below the kept bits' end.
        let kept = u32::from(kept_bits).saturating_sub(bits_of(index));
        let mask = 0xffu8.checked_shr(8u32.saturating_sub(kept)).unwrap_or(0);
        let mark = if kept < 8 && u32::from(kept_bits) >= bits_of(index) { 1 << kept } else { 0 };
        *place = byte & mask | mark;
    }
    reduce(&bytes)
}

#[expect(clippy::arithmetic_side_effects, reason = "points of a group do not overflow")]
fn shared_point<C: CurveArithmetic>(
    curve: EccCurve,
    factor: &Scalar<C>,
    base: &Projective<C>,
) -> Result<EccPoint, CryptoError> {
    if bool::from(factor.is_zero()) {
        return Err(CryptoError::NoResult);
    }
    export_point::<C>(curve, &(*base * factor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::drbg::CtrDrbg;
    use crate::crypto::ecc::{EccKeyPair, generate};
    use crate::crypto::vectors::records;

    fn own<'a>(fixed: &'a EccKeyPair, ephemeral: &'a EccKeyPair) -> OwnKeys<'a> {
        OwnKeys {
            static_private: &fixed.private,
            ephemeral_private: &ephemeral.private,
            ephemeral_public: &ephemeral.public,
        }
    }

    fn other<'a>(fixed: &'a EccKeyPair, ephemeral: &'a EccKeyPair) -> OtherKeys<'a> {
        OtherKeys { static_public: &fixed.public, ephemeral_public: &ephemeral.public }
    }

    #[test]
    fn both_sides_agree_and_a_third_does_not() {
        let mut drbg = CtrDrbg::from_seed(&[9; 48]);
        for curve in EccCurve::ALL {
            let [a, b, c, d, e] = [(); 5].map(|()| generate(curve, &mut drbg).unwrap());
            for agree in [ecmqv, sm2_exchange] {
                let ours = agree(curve, &own(&a, &b), &other(&c, &d)).unwrap();
                assert_eq!(agree(curve, &own(&c, &d), &other(&a, &b)).unwrap(), ours);
                assert_ne!(agree(curve, &own(&e, &d), &other(&a, &b)).unwrap(), ours);
                let off = EccPoint::new(curve, &[1], &[1]).unwrap();
                let bad = OtherKeys { static_public: &off, ephemeral_public: &d.public };
                assert_eq!(agree(curve, &own(&a, &b), &bad), Err(CryptoError::Point));
            }
        }
    }

    #[test]
    fn the_associate_value() {
        use elliptic_curve::ff::PrimeField;
        let x = EccParameter::new(EccCurve::NistP256, &[0xff; 32]).unwrap();
        let value = shortened::<p256::NistP256>(&x, 128).to_repr();
        assert_eq!(value[..], [&[0; 15][..], &[1], &[0xff; 16]].concat());
        let value = shortened::<p256::NistP256>(&x, 127).to_repr();
        assert_eq!(value[..], [&[0; 16][..], &[0xff; 16]].concat());
        let zero = EccParameter::new(EccCurve::NistP256, &[]).unwrap();
        let value = shortened::<p256::NistP256>(&zero, 127).to_repr();
        assert_eq!(value[..], [&[0; 16][..], &[0x80], &[0; 15]].concat());
        let x = EccParameter::new(EccCurve::NistP521, &[0xff; 65]).unwrap();
        let value = shortened::<p521::NistP521>(&x, 261).to_repr();
        assert_eq!(value[..], [&[0; 33][..], &[0x3f], &[0xff; 32]].concat());
    }

    #[test]
    fn vectors() {
        for record in records(include_str!("../vectors/mqv.txt")) {
            let id = u16::from_str_radix(record.text("curve"), 16).unwrap();
            let curve = EccCurve::from_id(id).unwrap();
            let number = |name| EccParameter::new(curve, &record.bytes(name)).unwrap();
            let point = |x, y| EccPoint { x: number(x), y: number(y) };
            let shared = ecmqv(
                curve,
                &OwnKeys {
                    static_private: &number("ds"),
                    ephemeral_private: &number("de"),
                    ephemeral_public: &point("ownX", "ownY"),
                },
                &OtherKeys {
                    static_public: &point("staticX", "staticY"),
                    ephemeral_public: &point("ephemeralX", "ephemeralY"),
                },
            );
            assert_eq!(shared.unwrap().x, number("z"));
        }
    }
}
