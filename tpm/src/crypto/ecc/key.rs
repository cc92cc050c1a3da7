// SPDX-License-Identifier: MIT OR Apache-2.0
//! Key pairs: generation, derivation and validation.
//!
//! # The derivation rule, version 1
//!
//! FIPS 186-5, A.2.2 (rejection sampling): draw as many bytes as the order n has, clear the bits
//! above the order's length, read the rest as a big-endian number c; if c > n - 2 draw again;
//! otherwise the private key is d = c + 1. A primary key is what this rule makes of its own
//! generator (`CtrDrbg::for_primary`), so the rule must never change under the same
//! `DerivationVersion`.

use crypto_bigint::{NonZero, Uint};
use elliptic_curve::CurveArithmetic;
use elliptic_curve::ff::{Field, PrimeField};
use zeroize::Zeroizing;

use super::arithmetic::{Scalar, export_point, export_scalar, point, scalar, with_curve};
use super::comb::multiply_generator;
use super::parameter::{EccParameter, EccPoint};
use super::{EccCurve, PARAMETER_SIZE_MAX};
use crate::crypto::{CryptoError, Random};

/// Draws before a generator is taken for broken: for every curve a draw succeeds with a
/// probability of at least one half.
const DRAWS_MAX: usize = 128;

/// A private key and its public point.
#[derive(Clone, Debug)]
pub struct EccKeyPair {
    /// The private key d, in [1, n-1].
    pub private: EccParameter,
    /// The public key Q = dG.
    pub public: EccPoint,
}

/// Makes a key pair from random bytes, by the rule above.
///
/// # Errors
/// Those of `random`, and [`CryptoError::Random`] if it gives no acceptable draw.
pub fn generate(curve: EccCurve, random: &mut dyn Random) -> Result<EccKeyPair, CryptoError> {
    with_curve!(curve, C => {
        let private = random_scalar::<C>(curve, random)?;
        let public = export_point::<C>(curve, &multiply_generator::<C>(curve, &private))?;
        Ok(EccKeyPair { private: export_scalar::<C>(curve, &private)?, public })
    })
}

/// Makes the key pair of an object under a derivation parent as other TPMs do, so that it is the
/// same on each: by extra random bits (FIPS 186-5, A.2.1), which is d = c mod (n - 1) + 1 for a
/// number c of 64 bits more than the order has.
///
/// # Errors
/// Those of `random`.
pub fn derive(curve: EccCurve, random: &mut dyn Random) -> Result<EccKeyPair, CryptoError> {
    let bits = usize::from(curve.bits()).saturating_add(EXTRA_BITS);
    let size = bits.div_ceil(8);
    let mut draw = Zeroizing::new([0; WIDE_SIZE]);
    let (_, drawn) = draw.split_at_mut_checked(WIDE_SIZE.saturating_sub(size)).unwrap_or_default();
    random.fill(drawn)?;
    if let Some(first) = drawn.first_mut() {
        *first &= 0xff >> size.saturating_mul(8).saturating_sub(bits);
    }
    let limit = wide(curve.parameters().n).wrapping_sub(&Uint::ONE);
    let limit = NonZero::new(limit).into_option().ok_or(CryptoError::Curve)?;
    let reduced = Zeroizing::new(wide(&*draw).rem(&limit));
    let number = Zeroizing::new(reduced.wrapping_add(&Uint::ONE));
    let mut bytes = Zeroizing::new([0; WIDE_SIZE]);
    for (word, chunk) in number.as_words().iter().zip(bytes.rchunks_mut(LIMB_SIZE)) {
        chunk.copy_from_slice(&word.to_be_bytes());
    }
    let private = EccParameter::new(curve, &*bytes)?;
    let public = public_point(curve, &private)?;
    Ok(EccKeyPair { private, public })
}

/// Bits that a draw has beyond the order.
const EXTRA_BITS: usize = 64;
/// Limbs of the longest draw.
const WIDE_LIMBS: usize = 10;
const LIMB_SIZE: usize = 8;
const WIDE_SIZE: usize = WIDE_LIMBS * LIMB_SIZE;
const _: () = assert!(WIDE_SIZE * 8 >= 521 + EXTRA_BITS, "the longest draw fits");

/// The big-endian number `bytes`, of which the last [`WIDE_SIZE`] count.
fn wide(bytes: &[u8]) -> Uint<WIDE_LIMBS> {
    let mut words = Zeroizing::new([0; WIDE_LIMBS]);
    for (word, chunk) in words.iter_mut().zip(bytes.rchunks(LIMB_SIZE)) {
        *word = chunk.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    }
    Uint::from_words(*words)
}

/// A uniformly random scalar in [1, n-1], by the rule above.
#[expect(clippy::arithmetic_side_effects, reason = "elements of a prime field do not overflow")]
pub(super) fn random_scalar<C: CurveArithmetic>(
    curve: EccCurve,
    random: &mut dyn Random,
) -> Result<Zeroizing<Scalar<C>>, CryptoError> {
    let mut draw = Zeroizing::new([0; PARAMETER_SIZE_MAX]);
    let draw = draw.get_mut(..curve.size()).ok_or(CryptoError::Curve)?;
    let unused_bits = curve.size().saturating_mul(8).saturating_sub(usize::from(curve.bits()));
    for _ in 0..DRAWS_MAX {
        random.fill(draw)?;
        if let Some(first) = draw.first_mut() {
            *first &= 0xff >> unused_bits;
        }
        let mut bytes = Zeroizing::new(elliptic_curve::FieldBytes::<C>::default());
        bytes.copy_from_slice(draw);
        // from_repr accepts c < n, that is d = c + 1 in [1, n]; n, which is zero, is refused here.
        let next = Option::<Scalar<C>>::from(Scalar::<C>::from_repr(*bytes))
            .map(|scalar| Zeroizing::new(scalar + Scalar::<C>::ONE));
        if let Some(next) = next
            && !bool::from(next.is_zero())
        {
            return Ok(next);
        }
    }
    Err(CryptoError::Random)
}

/// The public point of `private`.
///
/// # Errors
/// [`CryptoError::Value`] if `private` is not in [1, n-1].
pub fn public_point(curve: EccCurve, private: &EccParameter) -> Result<EccPoint, CryptoError> {
    with_curve!(curve, C => {
        export_point::<C>(curve, &multiply_generator::<C>(curve, &*scalar::<C>(private)?))
    })
}

/// Full public key validation (SP 800-56A Rev. 3, 5.6.2.3.3): coordinates less than p, on the
/// curve, not at infinity. The cofactor is 1, so the order is right.
///
/// # Errors
/// [`CryptoError::Point`] or, for coordinates of another curve's width, [`CryptoError::Value`].
pub fn check_point(curve: EccCurve, public: &EccPoint) -> Result<(), CryptoError> {
    with_curve!(curve, C => point::<C>(public).map(|_| ()))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::crypto::drbg::{CtrDrbg, DerivationVersion};
    use crate::crypto::vectors::{Prepared, records};

    #[test]
    fn points_off_the_curve_are_refused() {
        for curve in EccCurve::ALL {
            let parameters = curve.parameters();
            let good = EccPoint::new(curve, parameters.g_x, parameters.g_y).unwrap();
            check_point(curve, &good).unwrap();
            for (x, y) in [
                (parameters.g_x, parameters.g_x),
                (&[][..], &[][..]),
                (parameters.p, parameters.g_y),
                (parameters.g_x, parameters.p),
                (parameters.g_x, parameters.n),
            ] {
                let bad = EccPoint::new(curve, x, y).unwrap();
                assert_eq!(check_point(curve, &bad), Err(CryptoError::Point));
            }
        }
        let other = EccPoint::new(EccCurve::NistP256, &[1], &[1]).unwrap();
        assert_eq!(check_point(EccCurve::NistP384, &other), Err(CryptoError::Value));
    }

    #[test]
    fn scalars_out_of_range_are_refused() {
        for curve in EccCurve::ALL {
            for value in [&[][..], curve.parameters().n, &[0xff; 66][..curve.size()]] {
                let private = EccParameter::new(curve, value).unwrap();
                assert_eq!(public_point(curve, &private), Err(CryptoError::Value));
            }
        }
    }

    /// The rule at its edges: c = n - 1 and c = n are drawn again, c = n - 2 gives d = n - 1.
    #[test]
    fn draws_at_the_edge_of_the_order() {
        for curve in EccCurve::ALL {
            let n = curve.parameters().n;
            let minus = |difference: u8| {
                let mut bytes = n.to_vec();
                *bytes.last_mut().unwrap() -= difference;
                bytes
            };
            let draws = [&[0xff; 66][..curve.size()], n, &minus(1), &minus(2)].concat();
            let pair = generate(curve, &mut Prepared::new(&draws)).unwrap();
            assert_eq!(pair.private.as_bytes(), minus(1));
            let pair = generate(curve, &mut Prepared::new(&std::vec![0; curve.size()])).unwrap();
            assert_eq!(pair.public.x.as_bytes(), curve.parameters().g_x);
            let nothing = generate(curve, &mut Prepared::new(&std::vec![0xff; curve.size()]));
            assert_eq!(nothing.err(), Some(CryptoError::Random));
        }
    }

    struct Ones;
    impl Random for Ones {
        fn fill(&mut self, bytes: &mut [u8]) -> Result<(), CryptoError> {
            bytes.fill(0xff);
            Ok(())
        }
    }

    /// c = 0 gives d = 1, c = n - 2 gives d = n - 1, and c = n - 1 begins anew.
    #[test]
    fn derived_scalars_at_the_edges() {
        for curve in EccCurve::ALL {
            let n = curve.parameters().n;
            let size = (usize::from(curve.bits()) + 64).div_ceil(8);
            let derived = |number: &[u8]| {
                let draw = [&std::vec![0; size - number.len()][..], number].concat();
                derive(curve, &mut Prepared::new(&draw)).unwrap().private
            };
            let minus = |difference: u8| {
                let mut bytes = n.to_vec();
                *bytes.last_mut().unwrap() -= difference;
                bytes
            };
            let one = EccParameter::new(curve, &[1]).unwrap();
            assert_eq!(derived(&[]), one);
            assert_eq!(derived(&minus(1)), one);
            assert_eq!(derived(&minus(2)).as_bytes(), minus(1));
            assert_eq!(derived(n), EccParameter::new(curve, &[2]).unwrap());
            let ended = derive(curve, &mut Prepared::new(&std::vec![0; size - 1]));
            assert_eq!(ended.err(), Some(CryptoError::Random));
        }
    }

    #[test]
    fn a_broken_generator_does_not_hang() {
        assert_eq!(generate(EccCurve::NistP384, &mut Ones).err(), Some(CryptoError::Random));
    }

    /// A primary key never changes under version 1 of the derivation: these records stay as they
    /// are.
    #[test]
    fn derived_keys_are_frozen() {
        for record in records(include_str!("../vectors/derived_ecc.txt")) {
            let curve = EccCurve::from_id(u16::from_str_radix(record.text("curve"), 16).unwrap());
            let curve = curve.unwrap();
            let (seed, name, data) =
                (record.bytes("seed"), record.bytes("name"), record.bytes("data"));
            let mut drbg = CtrDrbg::for_primary(DerivationVersion::One, &seed, &name, &data);
            let pair = generate(curve, &mut drbg).unwrap();
            assert_eq!(public_point(curve, &pair.private).unwrap(), pair.public);
            assert_eq!(pair.public.x.as_bytes(), record.bytes("x"));
            assert_eq!(pair.public.y.as_bytes(), record.bytes("y"));
        }
    }

    #[test]
    fn vectors() {
        for record in records(include_str!("../vectors/ecc_key.txt")) {
            let id = u16::from_str_radix(record.text("curve"), 16).unwrap();
            let curve = EccCurve::from_id(id).unwrap();
            let private = EccParameter::new(curve, &record.bytes("d")).unwrap();
            let public = public_point(curve, &private).unwrap();
            assert_eq!(public.x.as_bytes(), record.bytes("x"));
            assert_eq!(public.y.as_bytes(), record.bytes("y"));
        }
    }
}
