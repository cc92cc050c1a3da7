// SPDX-License-Identifier: MIT OR Apache-2.0
//! What both TPMs add to the same partial certificate for the same key: the same version, algorithm
//! and key, and a digest of the whole. Only the serial number is each one's own.

use tpm::crypto::hash::HashAlgorithm;

use crate::client::{Fields, Octets, Tpm};

const NULL: u32 = 0x4000_0007;
const LOAD_EXTERNAL: u32 = 0x167;
const CERTIFY_X509: u32 = 0x197;

/// The key of RFC 6979, A.2.5.
const PRIVATE: [u8; 32] = [
    0xc9, 0xaf, 0xa9, 0xd8, 0x45, 0xba, 0x75, 0x16, 0x6b, 0x5c, 0x21, 0x57, 0x67, 0xb1, 0xd6, 0x93,
    0x4e, 0x50, 0xc3, 0xdb, 0x36, 0xe8, 0x9b, 0x12, 0x7b, 0x8a, 0x62, 0x2b, 0x12, 0x0f, 0x67, 0x21,
];
const X: [u8; 32] = [
    0x60, 0xfe, 0xd4, 0xba, 0x25, 0x5a, 0x9d, 0x31, 0xc9, 0x61, 0xeb, 0x74, 0xc6, 0x35, 0x6d, 0x68,
    0xc0, 0x49, 0xb8, 0x92, 0x3b, 0x61, 0xfa, 0x6c, 0xe6, 0x69, 0x62, 0x2e, 0x60, 0xf2, 0x9f, 0xb6,
];
const Y: [u8; 32] = [
    0x79, 0x03, 0xfe, 0x10, 0x08, 0xb8, 0xbc, 0x99, 0xa4, 0x1a, 0xe9, 0xe9, 0x56, 0x28, 0xbc, 0x64,
    0xf2, 0xf1, 0xb2, 0x0c, 0x2d, 0x7e, 0x9f, 0x51, 0x77, 0xa3, 0xc2, 0x94, 0xd4, 0x46, 0x22, 0x99,
];

const ISSUER: &[u8] = &[0x30, 1, 1];
const VALIDITY: &[u8] = &[0x30, 2, 1, 2];
const SUBJECT: &[u8] = &[0x30, 3, 1, 2, 3];
const ALGORITHM: &[u8] = &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

/// Extensions with a keyUsage of these bits.
fn extensions(bits: &[u8]) -> Vec<u8> {
    let element = |tag: u8, content: &[u8]| {
        [&[tag, u8::try_from(content.len()).expect("a short element")][..], content].concat()
    };
    let value = element(4, &element(3, bits));
    let usage = element(0x30, &[&[6, 3, 0x55, 0x1d, 0x0f][..], &value].concat());
    element(0xa3, &element(0x30, &usage))
}

fn load(tpm: &mut Tpm) -> u32 {
    // Sign, userWithAuth; any scheme.
    let front = Octets::default().words(&[0x23, 0x0b, 4, 0x0040, 0, 0x10, 0x10, 3, 0x10]);
    let public = front.sized(&X).sized(&Y).0;
    let sensitive = Octets::default().words(&[0x23, 0, 0]).sized(&PRIVATE).0;
    let body = Octets::default().sized(&sensitive).sized(&public).u32(NULL).0;
    Fields(&tpm.command(LOAD_EXTERNAL, &body).expect("a key")).u32()
}

/// addedToCertificate and tbsDigest, or the response code.
fn certify(tpm: &mut Tpm, key: u32, fields: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>), u32> {
    let content = fields.concat();
    let size = u8::try_from(content.len()).expect("a short certificate");
    let partial = [&[0x30, size][..], &content].concat();
    let body = Octets::default().sized(b"").words(&[0x18, 0x0b]).sized(&partial).0;
    let response = tpm.authorised(CERTIFY_X509, &[key, key], 2, &body)?;
    let mut fields = Fields(&response);
    Ok((fields.sized().to_vec(), fields.sized().to_vec()))
}

/// Takes what was added apart: version, serial number, the rest.
fn split(added: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let start = if added[1] < 0x80 { 2 } else { 2 + usize::from(added[1] & 0x7f) };
    let (version, rest) = added[start..].split_at(5);
    let (serial, rest) = rest.split_at(2 + usize::from(rest[1]));
    (version, serial, rest)
}

#[test]
#[ignore = "needs swtpm"]
fn both_add_the_same_to_a_certificate() {
    let mut tpms = [Tpm::ours("x509-a"), Tpm::libtpms("x509-b")];
    let keys = tpms.each_mut().map(load);
    let mut both = |fields: &[&[u8]]| {
        let [ours, theirs] = &mut tpms;
        [certify(ours, keys[0], fields), certify(theirs, keys[1], fields)]
    };
    let usage = extensions(&[7, 0x80]);
    for algorithm in [&[][..], ALGORITHM] {
        let own: &[u8] = if algorithm.is_empty() { ALGORITHM } else { &[] };
        let [ours, theirs] = both(&[algorithm, ISSUER, VALIDITY, SUBJECT, &usage])
            .map(|certified| certified.expect("a certificate"));
        let (version, _, rest) = split(&ours.0);
        assert_eq!((version, rest), {
            let (version, _, rest) = split(&theirs.0);
            (version, rest)
        });
        assert!(rest.starts_with(own));
        for (added, digest) in [&ours, &theirs] {
            let (version, serial, rest) = split(added);
            let key = &rest[own.len()..];
            let whole =
                [version, serial, ALGORITHM, ISSUER, VALIDITY, SUBJECT, key, &usage].concat();
            let size = u8::try_from(whole.len()).expect("less than 256 octets");
            let header: &[u8] = &[0x30, 0x81, size];
            assert_eq!(HashAlgorithm::Sha256.digest(&[header, &whole]).as_bytes(), digest);
        }
    }
    // What the key may not be used for, and what is no certificate.
    let decrypts = extensions(&[4, 0x10]);
    let wrong: [&[&[u8]]; 5] = [
        &[ISSUER, VALIDITY, SUBJECT, &decrypts],
        &[ISSUER, VALIDITY, SUBJECT],
        &[ISSUER, VALIDITY, &usage],
        &[ISSUER, VALIDITY, SUBJECT, SUBJECT, SUBJECT, &usage],
        &[ISSUER, VALIDITY, &[5, 0], &usage],
    ];
    for fields in wrong {
        let [ours, theirs] = both(fields).map(|certified| certified.map(|_| ()));
        assert_eq!(ours, Err(0x3c4), "TPM_RC_VALUE of parameter 3");
        assert_eq!(theirs, ours, "{fields:x?}");
    }
}
