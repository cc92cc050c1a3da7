// SPDX-License-Identifier: MIT OR Apache-2.0
//! ECDAA (Part 1, C.4.3): the scalar of `TPM2_Commit` and `TPM2_EC_Ephemeral`, the point that
//! Commit hashes to, and the signature that uses the commitment up.

use elliptic_curve::CurveArithmetic;
use elliptic_curve::ff::{Field, PrimeField};
use elliptic_curve::hazmat::FieldArithmetic;

use super::EccCurve;
use super::arithmetic::{Scalar, export_scalar, reduce, scalar, with_curve};
use super::key::random_scalar;
use super::parameter::{EccParameter, EccSignature};
use crate::crypto::hash::HashAlgorithm;
use crate::crypto::kdf::KdfaGenerator;
use crate::crypto::{CryptoError, Random};

/// Label of the derivation of commitment scalars.
const COMMIT_LABEL: &[u8] = b"ECDAA Commit";
/// The longest Name: an algorithm identifier and a digest of 64 bytes.
const NAME_SIZE_MAX: usize = 2 + 64;

/// The scalar r that belongs to the commitment `counter` (Part 1, C.2.2): the same inputs always
/// give the same scalar, so only the counter has to be remembered.
///
/// * `secret`: `commitNonce`, random and different after each TPM Reset.
/// * `name`: of the key that commits, or empty for an ephemeral key.
///
/// # Errors
/// [`CryptoError::Size`] if `name` is no Name.
pub fn commit_scalar(
    curve: EccCurve,
    secret: &[u8],
    name: &[u8],
    counter: u64,
) -> Result<EccParameter, CryptoError> {
    let mut context = [0; 8 + NAME_SIZE_MAX];
    let (count, rest) = context.split_first_chunk_mut::<8>().ok_or(CryptoError::Size)?;
    *count = counter.to_be_bytes();
    rest.get_mut(..name.len()).ok_or(CryptoError::Size)?.copy_from_slice(name);
    let length = name.len().saturating_add(8);
    let context = context.get(..length).ok_or(CryptoError::Size)?;
    let mut generator = KdfaGenerator::new(HashAlgorithm::Sha512, secret, COMMIT_LABEL, context);
    with_curve!(curve, C => {
        export_scalar::<C>(curve, &*random_scalar::<C>(curve, &mut generator)?)
    })
}

/// H(`s2`) modulo p: the x-coordinate of the point P2 of `TPM2_Commit`. Whether it and the
/// caller's y2 are a point is for the caller to check.
///
/// # Errors
/// None for the curves that are implemented.
pub fn hash_to_x_coordinate(
    curve: EccCurve,
    algorithm: HashAlgorithm,
    s2: &[u8],
) -> Result<EccParameter, CryptoError> {
    let digest = algorithm.digest(&[s2]);
    with_curve!(curve, C => {
        let x: <C as FieldArithmetic>::FieldElement = reduce(&digest);
        EccParameter::new(curve, &x.to_repr())
    })
}

/// Signs `digest` with the commitment scalar `commitment`, which must never be used again.
/// `signatureR` is the random value k, `signatureS` is r + H(k ‖ digest)·d modulo n.
///
/// # Errors
/// [`CryptoError::Value`] if `private` or `commitment` is not in [1, n-1],
/// [`CryptoError::NoResult`] if s is zero; those of `random`.
pub fn ecdaa_sign(
    curve: EccCurve,
    private: &EccParameter,
    commitment: &EccParameter,
    algorithm: HashAlgorithm,
    digest: &[u8],
    random: &mut dyn Random,
) -> Result<EccSignature, CryptoError> {
    with_curve!(curve, C => {
        let keys = (private, commitment);
        sign::<C>(curve, keys, algorithm, digest, random)
    })
}

#[expect(clippy::arithmetic_side_effects, reason = "elements of a prime field do not overflow")]
fn sign<C: CurveArithmetic>(
    curve: EccCurve,
    (private, commitment): (&EccParameter, &EccParameter),
    algorithm: HashAlgorithm,
    digest: &[u8],
    random: &mut dyn Random,
) -> Result<EccSignature, CryptoError> {
    let (private, commitment) = (scalar::<C>(private)?, scalar::<C>(commitment)?);
    let k = export_scalar::<C>(curve, &*random_scalar::<C>(curve, random)?)?;
    let challenge: Scalar<C> = reduce(&algorithm.digest(&[k.as_bytes(), digest]));
    let s = *commitment + challenge * *private;
    if bool::from(s.is_zero()) {
        return Err(CryptoError::NoResult);
    }
    Ok(EccSignature { r: k, s: export_scalar::<C>(curve, &s)? })
}

/// The commitment that a signature opens, by the verifier's equation: rG = sG - T·Q.
#[cfg(test)]
pub(crate) fn opened_commitment(
    curve: EccCurve,
    public: &super::EccPoint,
    signature: &EccSignature,
    algorithm: HashAlgorithm,
    digest: &[u8],
) -> Result<super::EccPoint, CryptoError> {
    with_curve!(curve, C => opened::<C>(curve, public, signature, algorithm, digest))
}

#[cfg(test)]
fn opened<C: CurveArithmetic>(
    curve: EccCurve,
    public: &super::EccPoint,
    signature: &EccSignature,
    algorithm: HashAlgorithm,
    digest: &[u8],
) -> Result<super::EccPoint, CryptoError> {
    use super::arithmetic::{Projective, export_point, point};
    use elliptic_curve::group::Group as _;

    let t: Scalar<C> = reduce(&algorithm.digest(&[signature.r.as_bytes(), digest]));
    let (s, q) = (scalar::<C>(&signature.s)?, point::<C>(public)?);
    export_point::<C>(curve, &(Projective::<C>::mul_by_generator(&s) - q * t))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::drbg::CtrDrbg;
    use crate::crypto::ecc::{generate, multiply, public_point};

    #[test]
    fn commitments_differ_and_repeat() {
        for curve in EccCurve::ALL {
            let scalar = |secret: &[u8], name: &[u8], counter| {
                commit_scalar(curve, secret, name, counter).unwrap()
            };
            let first = scalar(b"nonce", b"name", 1);
            assert_eq!(first, scalar(b"nonce", b"name", 1));
            assert_ne!(first, scalar(b"nonce", b"name", 2));
            assert_ne!(first, scalar(b"nonce", b"", 1));
            assert_ne!(first, scalar(b"other", b"name", 1));
            assert_eq!(commit_scalar(curve, b"s", &[0; 67], 1), Err(CryptoError::Size));
        }
    }

    #[test]
    fn a_signature_opens_its_commitment() {
        fn holds<C: CurveArithmetic>(curve: EccCurve, random: &mut dyn Random) {
            let pair = generate(curve, random).unwrap();
            let r = commit_scalar(curve, b"nonce", b"name", 7).unwrap();
            let hash = HashAlgorithm::Sha512;
            let digest = [0x11; 32];
            let signature = ecdaa_sign(curve, &pair.private, &r, hash, &digest, random).unwrap();
            let opened = opened::<C>(curve, &pair.public, &signature, hash, &digest);
            assert_eq!(opened.unwrap(), public_point(curve, &r).unwrap());
        }
        let mut drbg = CtrDrbg::from_seed(&[7; 48]);
        for curve in EccCurve::ALL {
            with_curve!(curve, C => holds::<C>(curve, &mut drbg));
        }
    }

    /// 2^256 modulo p of P-256, from a digest that is longer than the field.
    #[test]
    fn long_digests_are_reduced_modulo_p() {
        let curve = EccCurve::NistP256;
        let digest = HashAlgorithm::Sha512.digest(&[b"s2"]);
        let x = hash_to_x_coordinate(curve, HashAlgorithm::Sha512, b"s2").unwrap();
        type Element = <p256::NistP256 as FieldArithmetic>::FieldElement;
        let expected: Element = reduce(&digest[..32]);
        let shift = (0..256).fold(Element::ONE, |sum, _| sum.double());
        let expected = expected * shift + reduce::<Element>(&digest[32..]);
        assert_eq!(x.as_bytes(), &expected.to_repr()[..]);
        let short = hash_to_x_coordinate(EccCurve::NistP521, HashAlgorithm::Sha1, b"s2").unwrap();
        assert_eq!(&short.as_bytes()[46..], HashAlgorithm::Sha1.digest(&[b"s2"]).as_bytes());
    }

    #[test]
    fn a_commitment_of_zero_is_refused() {
        let mut drbg = CtrDrbg::from_seed(&[8; 48]);
        let curve = EccCurve::NistP256;
        let pair = generate(curve, &mut drbg).unwrap();
        let zero = EccParameter::zero(curve);
        let hash = HashAlgorithm::Sha256;
        let result = ecdaa_sign(curve, &pair.private, &zero, hash, &[0; 32], &mut drbg);
        assert_eq!(result, Err(CryptoError::Value));
        assert_eq!(multiply(curve, &zero, &pair.public), Err(CryptoError::Value));
    }
}
