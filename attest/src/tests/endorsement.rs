// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endorsement certificates: from the TPM's NV to the verdict.

use attest_agent::{
    EkKind,
    certificate::read,
    command::{Command, PASSWORD},
};
use p384::ecdsa::{Signature, signature::hazmat::PrehashSigner};
use rsa::{BoxedUint, RsaPublicKey, pkcs8::EncodePublicKey};
use sha2::{Digest, Sha384};
use x509_cert::der::pem;

use super::{
    fixture::{Case, Engine, chain_key},
    tampering::{ARK, Tampering, flip},
};
use crate::{
    endorsement::to_pem,
    public_area::PublicArea,
    verdict::Reason::{
        EkCertificateKey, EkCertificateMalformed, EkCertificateMissing, EkCertificatePurpose,
        EkCertificateSignature, EkCertificateValidity,
    },
};

/// Valid from 2020 to 2039.
const VALID: [&[u8]; 2] = [b"200101000000Z", b"391231235959Z"];
/// tcg-kp-EKCertificate, and id-kp-serverAuth of RFC 5280.
const FOR_KEYS: &[u8] = &[0x67, 0x81, 5, 8, 1];
const FOR_SERVERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];

pub(super) const TAMPERINGS: &[Tampering] = &[
    ("no endorsement certificate", EkCertificateMissing, |case| {
        certify(case, ARK, VALID);
        case.evidence.ek_certificate.clear();
    }),
    ("an endorsement certificate that is none", EkCertificateMalformed, |case| {
        certify(case, ARK, VALID);
        case.evidence.ek_certificate.pop();
    }),
    ("a changed endorsement certificate", EkCertificateSignature, |case| {
        certify(case, ARK, VALID);
        let name = case.evidence.ek_certificate.windows(4).position(|window| window == b"vTPM");
        flip(&mut case.evidence.ek_certificate, name.expect("a name"));
    }),
    ("an endorsement certificate of somebody else's", EkCertificateSignature, |case| {
        certify(case, "Macadamia-SVSM test ASK", VALID);
    }),
    ("an endorsement certificate that has expired", EkCertificateValidity, |case| {
        certify(case, ARK, [VALID[0], b"210101000000Z"]);
    }),
    ("a certificate for a server", EkCertificatePurpose, |case| {
        certify_for(case, ARK, VALID, FOR_SERVERS);
    }),
    ("another endorsement key's certificate", EkCertificateKey, |case| {
        let used = case.evidence.ek_public.clone();
        case.evidence.ek_public = Engine::new(2).public_of(EkKind::P256);
        certify(case, ARK, VALID);
        case.evidence.ek_public = used;
    }),
];

#[test]
fn a_certified_key_is_accepted() {
    let mut case = Case::good();
    certify(&mut case, ARK, VALID);
    let verdict = case.verdict();
    assert!(verdict.is_accepted(), "{verdict}");
    assert!(verdict.to_string().contains("vTPM by Macadamia-SVSM test ARK"), "{verdict}");
}

/// The agent finds what was written into the profile's index, and nothing that it can't read.
#[test]
fn the_agent_reads_certificates_from_nv() {
    const PLATFORM: u32 = 0x4000_000c;
    /// ppwrite, ppread, ownerread, authread, no_da, platformcreate.
    const EVERYBODY_READS: u32 = 0x4207_0001;
    const PLATFORM_READS: u32 = 0x4201_0001;
    let mut engine = Engine::new(1);
    assert_eq!(read(&mut engine, EkKind::P256).expect("an answer"), b"");
    let certificate: Vec<u8> = (0..=255).cycle().take(1100).collect();
    for (kind, attributes, expected) in [
        (EkKind::P256, EVERYBODY_READS, certificate.as_slice()),
        (EkKind::Rsa2048, PLATFORM_READS, b""),
    ] {
        let index = kind.certificate_index();
        let public = [
            index.to_be_bytes().as_slice(),
            &[0x00, 0x0b],
            &attributes.to_be_bytes(),
            &[0, 0],
            &1100_u16.to_be_bytes(),
        ]
        .concat();
        let define = Command::new("TPM2_NV_DefineSpace", 0x12a).authorised(PLATFORM, PASSWORD);
        define.sized(&[]).sized(&public).send(&mut engine).expect("defined");
        assert_eq!(read(&mut engine, kind).expect("an answer"), b"", "nothing is written yet");
        for (number, part) in certificate.chunks(1000).enumerate() {
            let write = Command::new("TPM2_NV_Write", 0x137).authorised(PLATFORM, PASSWORD);
            let offset = u16::try_from(number * 1000).expect("short").to_be_bytes();
            let write = write.handle(index).sized(part).bytes(&offset);
            write.send(&mut engine).expect("written");
        }
        assert_eq!(read(&mut engine, kind).expect("an answer"), expected);
    }
}

/// As RFC 5480 has it, and as the crate that owns the key writes it.
#[test]
fn keys_are_written_as_pem() {
    let mut engine = Engine::new(1);
    let pem = |public: &[u8]| to_pem(&PublicArea::parse(public).expect("a key")).expect("PEM");
    let public = engine.public_of(EkKind::P256);
    // SubjectPublicKeyInfo of RFC 5480, up to the point.
    let head = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
    let head = hex::decode(head).expect("digits");
    let expected = [head.as_slice(), &[4], &public[56..88], &public[90..]].concat();
    let text = pem(&public);
    let (label, der) = pem::decode_vec(text.as_bytes()).expect("PEM");
    assert_eq!((label, der), ("PUBLIC KEY", expected));

    let public = engine.public_of(EkKind::Rsa2048);
    let modulus = BoxedUint::from_be_slice(&public[public.len() - 256..], 2048).expect("bits");
    let key = RsaPublicKey::new(modulus, BoxedUint::from(65537_u32)).expect("a key");
    let expected = key.to_public_key_der().expect("DER");
    let (_, der) = pem::decode_vec(pem(&public).as_bytes()).expect("PEM");
    assert_eq!(der, expected.as_bytes());
}

fn certify(case: &mut Case, issuer: &str, validity: [&[u8]; 2]) {
    certify_for(case, issuer, validity, FOR_KEYS);
}

/// Gives the key in the evidence a certificate by this member of the test chain, and believes the
/// chain's root to issue such.
fn certify_for(case: &mut Case, issuer: &str, validity: [&[u8]; 2], purpose: &[u8]) {
    const SEQUENCE: u8 = 0x30;
    const ECDSA_WITH_SHA384: [u8; 12] = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
    let name = |text: &str| {
        let name = [&[6, 3, 0x55, 4, 3], value(0x0c, &[text.as_bytes()]).as_slice()].concat();
        value(SEQUENCE, &[&value(0x31, &[&value(SEQUENCE, &[&name])])])
    };
    let key = PublicArea::parse_either(&case.evidence.ek_public).expect("a key");
    let (_, key) = pem::decode_vec(to_pem(&key).expect("PEM").as_bytes()).expect("PEM");
    let purposes = value(4, &[&value(SEQUENCE, &[&value(6, &[purpose])])]);
    let extension = value(SEQUENCE, &[&[6, 3, 0x55, 0x1d, 0x25], &purposes]);
    let times = validity.map(|time| value(0x17, &[time]));
    let body = value(
        SEQUENCE,
        &[
            &[0xa0, 3, 2, 1, 2, 2, 1, 7],
            &ECDSA_WITH_SHA384,
            &name(issuer),
            &value(SEQUENCE, &[&times[0], &times[1]]),
            &name("vTPM"),
            &key,
            &value(0xa3, &[&value(SEQUENCE, &[&extension])]),
        ],
    );
    let signature: Signature =
        chain_key(issuer).sign_prehash(&Sha384::digest(&body)).expect("a signature");
    let signature = value(3, &[&[0], signature.to_der().as_bytes()]);
    case.evidence.ek_certificate = value(SEQUENCE, &[&body, &ECDSA_WITH_SHA384, &signature]);
    case.reference.ek_issuer = Some(case.chain_mut().ark.clone());
}

/// A DER value.
fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).expect("short").to_be_bytes();
    let head = match length {
        [0, short @ 0..0x80] => vec![tag, short],
        [0, long] => vec![tag, 0x81, long],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [head, content].concat()
}
