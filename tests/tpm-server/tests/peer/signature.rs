// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signatures of each scheme that both implementations have: one signs, the other verifies.

use crate::client::{Octets, Tpm};
use crate::{NULL, SIGN, flush, load_public, primary, read_public};

const VERIFY_SIGNATURE: u32 = 0x177;
/// TPM_RC_SIGNATURE of parameter 2.
const WRONG: u32 = 0x2db;

/// Signing keys with the schemes that they are used with, and the size of the digest.
fn schemes() -> Vec<(Vec<u8>, [u16; 2], usize)> {
    let ecc = |curve: u16| {
        Octets::default().words(&[0x23, 0x0b, 4, 0x0072, 0, 0x10, 0x10, curve, 0x10, 0, 0]).0
    };
    let rsa = Octets::default().words(&[1, 0x0b, 4, 0x0072, 0, 0x10, 0x10, 2048, 0, 0, 0]).0;
    vec![
        (rsa.clone(), [0x14, 0x0b], 32),
        (rsa.clone(), [0x14, 0x0d], 64),
        (rsa.clone(), [0x16, 0x0b], 32),
        (rsa, [0x16, 0x0c], 48),
        (ecc(3), [0x18, 0x0b], 32),
        (ecc(4), [0x18, 0x0c], 48),
        (ecc(5), [0x18, 0x0d], 64),
        (ecc(3), [0x18, 0x0d], 64),
        (ecc(3), [0x1c, 0x0b], 32),
        (ecc(4), [0x1c, 0x0c], 48),
    ]
}

fn signatures_travel(signer: &mut Tpm, verifier: &mut Tpm) {
    for (template, scheme, size) in schemes() {
        let key = primary(signer, &template);
        let public = load_public(verifier, &read_public(signer, key).public);
        let digest: Vec<u8> = (1..).take(size).collect();
        let ticket = Octets::default().u16(0x8024).u32(NULL).sized(b"").0;
        let body = Octets::default().sized(&digest).words(&scheme).bytes(&ticket).0;
        let signature = signer.authorised(SIGN, &[key], 1, &body).expect("a signature");
        let mut verify = |digest: &[u8]| {
            let body = Octets::default().u32(public).sized(digest).bytes(&signature).0;
            verifier.command(VERIFY_SIGNATURE, &body).map(|_| ())
        };
        assert_eq!(verify(&digest), Ok(()), "{scheme:x?}");
        let mut other = digest;
        other[0] ^= 1;
        assert_eq!(verify(&other), Err(WRONG), "{scheme:x?}");
        flush(verifier, public);
        flush(signer, key);
    }
}

#[test]
#[ignore = "needs swtpm"]
fn signatures_of_ours_are_verified_by_libtpms() {
    signatures_travel(&mut Tpm::ours("signature-1a"), &mut Tpm::libtpms("signature-1b"));
}

#[test]
#[ignore = "needs swtpm"]
fn signatures_of_libtpms_are_verified_by_ours() {
    signatures_travel(&mut Tpm::libtpms("signature-2a"), &mut Tpm::ours("signature-2b"));
}
