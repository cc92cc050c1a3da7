// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TPM engine and this crate know nothing of each other; a program puts them together. Here
//! it is tested that they fit: both find the same primes from the same draws, and the engine's RSA
//! computes the same with this crate's exponentiation.

mod engine_power;

use crypto_pool::arithmetic::Backend;
use crypto_pool::search::{KeyKind, KeySearch};
use crypto_pool::{NoRandomness, Random};
use engine_power::Fast;
use tpm::crypto::CryptoError;
use tpm::crypto::drbg::{CtrDrbg, DerivationVersion};
use tpm::crypto::hash::HashAlgorithm;
use tpm::crypto::rsa::{Portable, RsaPrivateKey, generate_prime_pair, pss_sign, pss_verify};

/// The engine's generator as this crate's source of draws.
struct Draws(CtrDrbg);

impl Random for Draws {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        tpm::crypto::Random::fill(&mut self.0, bytes).map_err(|_| NoRandomness)
    }
}

fn draws(number: u8) -> CtrDrbg {
    CtrDrbg::for_primary(DerivationVersion::One, &[number; 64], b"template", b"")
}

#[test]
fn both_find_the_same_primes() {
    let power = Fast(Backend::detect());
    for (bits, exponent, number) in
        [(1024, 65537, 1), (1024, 3, 2), (2048, 65537, 3), (3072, 65537, 4)]
    {
        let kind = KeyKind { bits, exponent };
        let mut search = KeySearch::new(kind, Backend::detect()).unwrap();
        let mut source = Draws(draws(number));
        let mut witnesses = Draws(CtrDrbg::from_seed(&[9; 48]));
        let found = loop {
            if let Some(found) = search.step(10_000, &mut source, &mut witnesses).unwrap() {
                break found;
            }
        };
        let size = usize::from(bits / 8);
        let mut witnesses = CtrDrbg::from_seed(&[8; 48]);
        let mut source = draws(number);
        let key = generate_prime_pair(size, exponent, &power, &mut source, &mut witnesses).unwrap();
        assert_eq!(found.p(), key.prime());
        let same = RsaPrivateKey::from_primes(found.p(), found.q(), exponent).unwrap();
        assert_eq!(same.public(), key.public());
    }
}

#[test]
fn the_engine_computes_the_same_with_either() {
    let fast = Fast(Backend::detect());
    let mut random = CtrDrbg::from_seed(&[1; 48]);
    let mut witnesses = CtrDrbg::from_seed(&[2; 48]);
    for size in [128, 256, 384, 512] {
        let mut key =
            generate_prime_pair(size, 65537, &fast, &mut draws(5), &mut witnesses).unwrap();
        for byte in [0, 1, 0x7f] {
            let input = vec![byte; size];
            let slow = key.apply(&Portable, &mut random, &input).unwrap();
            let quick = key.apply(&fast, &mut random, &input).unwrap();
            assert_eq!(slow, quick);
            assert_eq!(key.public().apply(&fast, quick.as_bytes()).unwrap().as_bytes(), input);
        }
        let hash = HashAlgorithm::Sha256;
        let signature = pss_sign(&mut key, &fast, &mut random, hash, &[7; 32]).unwrap();
        let signature = signature.as_bytes();
        pss_verify(key.public(), &Portable, hash, &[7; 32], signature).unwrap();
        let other = pss_verify(key.public(), &fast, hash, &[8; 32], signature);
        assert_eq!(other, Err(CryptoError::Signature));
    }
}
