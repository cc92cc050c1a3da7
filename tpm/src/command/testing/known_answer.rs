// SPDX-License-Identifier: MIT OR Apache-2.0
//! Known-answer tests: each algorithm once, against a published result.

use crate::crypto::Random;
use crate::crypto::drbg::CtrDrbg;
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

/// Entropy and nonce of CAVP's first CTR_DRBG with AES-256 and the derivation function.
const DRBG_SEED: [u8; 48] = [
    0x36, 0x40, 0x19, 0x40, 0xfa, 0x8b, 0x1f, 0xba, 0x91, 0xa1, 0x66, 0x1f, 0x21, 0x1d, 0x78, 0xa0,
    0xb9, 0x38, 0x9a, 0x74, 0xe5, 0xbc, 0xcf, 0xec, 0xe8, 0xd7, 0x66, 0xaf, 0x1a, 0x6d, 0x3b, 0x14,
    0x49, 0x6f, 0x25, 0xb0, 0xf1, 0x30, 0x1b, 0x4f, 0x50, 0x1b, 0xe3, 0x03, 0x80, 0xa1, 0x37, 0xeb,
];
/// The first octets of its second output of 64.
const DRBG_OUTPUT: [u8; 16] = [
    0x58, 0x62, 0xeb, 0x38, 0xbd, 0x55, 0x8d, 0xd9, 0x78, 0xa6, 0x96, 0xe6, 0xdf, 0x16, 0x47, 0x82,
];

/// Whether every algorithm gives its known answer.
pub(super) fn all_pass() -> bool {
    digests_pass() && hmac_passes() && aes_passes() && drbg_passes()
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

/// The health test of the generator (SP 800-90A, 11.3): it gives what it should, and takes no seed
/// that is too short.
fn drbg_passes() -> bool {
    let too_short = DRBG_SEED.split_last().map_or(&[][..], |(_, short)| short);
    let Ok(mut drbg) = CtrDrbg::new(&[&DRBG_SEED]) else { return false };
    let mut output = [0; 64];
    let filled = drbg.fill(&mut output).and_then(|()| drbg.fill(&mut output));
    CtrDrbg::new(&[too_short]).is_err()
        && drbg.reseed(&[too_short]).is_err()
        && filled.is_ok()
        && output.starts_with(&DRBG_OUTPUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_known() {
        assert!(digests_pass());
        assert!(hmac_passes());
        assert!(aes_passes());
        assert!(drbg_passes());
    }
}
