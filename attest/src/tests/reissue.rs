// SPDX-License-Identifier: MIT OR Apache-2.0
//! Certificates of the test chain, changed and signed again.

use p384::ecdsa::{SigningKey, signature::hazmat::PrehashSigner};
use sha2::{Digest as _, Sha384};

use crate::certificate::signed_part;

/// Changes the signed part of a certificate and signs it again: `from` becomes `to`.
pub(super) fn reissue(certificate: &[u8], issuer: &SigningKey, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "the lengths in the structure stay");
    let signed = signed_part(certificate).expect("a certificate");
    let mut signed = signed.to_vec();
    let place = signed.windows(from.len()).position(|window| window == from).expect("it is there");
    signed[place..place + from.len()].copy_from_slice(to);
    let signature: p384::ecdsa::Signature =
        issuer.sign_prehash(&Sha384::digest(&signed)).expect("a signature");
    let signature = signature.to_der();
    // ecdsa-with-SHA384.
    let mut body = signed;
    body.extend([0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3]);
    let length = u8::try_from(signature.as_bytes().len() + 1).expect("short");
    body.extend([0x03, length, 0]);
    body.extend(signature.as_bytes());
    let length = u16::try_from(body.len()).expect("short").to_be_bytes();
    [&[0x30, 0x82, length[0], length[1]], body.as_slice()].concat()
}
