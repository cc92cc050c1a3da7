// SPDX-License-Identifier: MIT OR Apache-2.0
//! Known-answer tests: each algorithm once, against a published result.

use crate::crypto::hash::HashAlgorithm;
use crate::crypto::hmac::Hmac;
use crate::crypto::symmetric::{BlockCipher, SymmetricAlgorithm};

/// The first octets of the digest of "abc" (FIPS 180-4, FIPS 202 and GB/T 32905 examples).
const DIGESTS_OF_ABC: [(HashAlgorithm, [u8; 8]); 8] = [
    (HashAlgorithm::Sha1, [0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a]),
    (HashAlgorithm::Sha256, [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea]),
    (HashAlgorithm::Sha384, [0xcb, 0x00, 0x75, 0x3f, 0x45, 0xa3, 0x5e, 0x8b]),
    (HashAlgorithm::Sha512, [0xdd, 0xaf, 0x35, 0xa1, 0x93, 0x61, 0x7a, 0xba]),
    (HashAlgorithm::Sm3_256, [0x66, 0xc7, 0xf0, 0xf4, 0x62, 0xee, 0xed, 0xd9]),
    (HashAlgorithm::Sha3_256, [0x3a, 0x98, 0x5d, 0xa7, 0x4f, 0xe2, 0x25, 0xb2]),
    (HashAlgorithm::Sha3_384, [0xec, 0x01, 0x49, 0x82, 0x88, 0x51, 0x6f, 0xc9]),
    (HashAlgorithm::Sha3_512, [0xb7, 0x51, 0x85, 0x0b, 0x1a, 0x57, 0x16, 0x8a]),
];

/// The first octets of RFC 4231's second test case: HMAC-SHA-256 under "Jefe".
const HMAC_SHA256: [u8; 8] = [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e];

/// FIPS 197, appendix C.1.
const AES_128: [u8; 16] = [
    0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30, 0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a,
];

/// Whether every algorithm gives its known answer.
pub(super) fn all_pass() -> bool {
    digests_pass() && hmac_passes() && aes_passes()
}

fn digests_pass() -> bool {
    DIGESTS_OF_ABC
        .iter()
        .all(|(algorithm, expected)| algorithm.digest(&[b"abc"]).starts_with(expected))
}

fn hmac_passes() -> bool {
    let message: &[u8] = b"what do ya want for nothing?";
    Hmac::mac(HashAlgorithm::Sha256, b"Jefe", &[message]).starts_with(&HMAC_SHA256)
}

fn aes_passes() -> bool {
    let key: [u8; 16] = core::array::from_fn(|index| u8::try_from(index).unwrap_or_default());
    let mut block: [u8; 16] =
        core::array::from_fn(|index| u8::try_from(index).unwrap_or_default().wrapping_mul(0x11));
    match BlockCipher::new(SymmetricAlgorithm::Aes, &key) {
        Ok(cipher) => {
            cipher.encrypt_block(&mut block);
            block == AES_128
        }
        Err(_) => false,
    }
}
