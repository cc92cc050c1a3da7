// SPDX-License-Identifier: MIT OR Apache-2.0
//! Statistics of generated keys: `cargo run --release --example statistics -p crypto-pool [count
//! [bits]]`, 1024-bit keys unless said otherwise. With `--print` as the third argument it prints
//! the primes instead, one key a line, for another program to check.
//!
//! * ROCA (CVE-2017-15361): primes of the broken library were powers of 65537 modulo many small
//!   primes, and so were its moduli; the chance that one of ours is, is far below 2^-100.
//! * Highest bits: uniform between √2/2 and 1.
//! * Independence: the correlation of the highest bits of p and q, and how often q is above p.
//! * No prime occurs twice.

use std::collections::HashSet;

use crypto_pool::arithmetic::Backend;
use crypto_pool::search::{KeyKind, KeySearch, RsaPrimes};
use crypto_pool::{NoRandomness, Random};
use sha2::Digest;

/// SHA-256 in counter mode.
struct Hashed(u64);

impl Random for Hashed {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        for chunk in bytes.chunks_mut(32) {
            self.0 += 1;
            let block = sha2::Sha256::digest(self.0.to_le_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

/// The primes that ROCA's fingerprint looks at.
const FINGERPRINT: [u64; 20] =
    [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73];

fn modulo(number: &[u8], divisor: u64) -> u64 {
    number.iter().fold(0, |rest, byte| (rest << 8 | u64::from(*byte)) % divisor)
}

/// Whether `value` is a power of 65537 modulo `prime`.
fn is_power(value: u64, prime: u64) -> bool {
    let mut power = 1;
    (0..prime).any(|_| {
        power = power * 65537 % prime;
        power == value
    })
}

/// The highest bits as a fraction of 1.
fn fraction(number: &[u8]) -> f64 {
    let high = u64::from_be_bytes(*number.first_chunk().expect("eight bytes"));
    high as f64 / 2f64.powi(64)
}

fn make(count: u64, bits: u16) -> Vec<RsaPrimes> {
    let (mut draws, mut witnesses) = (Hashed(0), Hashed(1 << 60));
    let mut search = KeySearch::new(KeyKind::usual(bits), Backend::detect()).expect("a kind");
    (0..count)
        .map(|_| {
            loop {
                let found = search.step(100_000, &mut draws, &mut witnesses).expect("randomness");
                if let Some(primes) = found {
                    break primes;
                }
            }
        })
        .collect()
}

fn main() {
    let argument = |index: usize| std::env::args().nth(index);
    let count = argument(1).map_or(1000, |text| text.parse().expect("a count"));
    let bits = argument(2).map_or(1024, |text| text.parse().expect("a length"));
    let keys = make(count, bits);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    if argument(3).as_deref() == Some("--print") {
        for key in &keys {
            println!("{} {}", hex(key.p()), hex(key.q()));
        }
        return;
    }

    let roca = keys.iter().filter(|key| {
        FINGERPRINT.iter().all(|prime| {
            is_power(modulo(key.p(), *prime) * modulo(key.q(), *prime) % prime, *prime)
        })
    });
    println!("ROCA fingerprints: {}", roca.count());

    let primes: Vec<&[u8]> = keys.iter().flat_map(|key| [key.p(), key.q()]).collect();
    let different: HashSet<_> = primes.iter().collect();
    println!("primes: {}, different: {}", primes.len(), different.len());

    let lowest = 0.5f64.sqrt();
    let mut bins = [0u64; 16];
    for prime in &primes {
        let place = (fraction(prime) - lowest) / (1.0 - lowest) * 16.0;
        bins[(1..16u32).filter(|edge| place >= f64::from(*edge)).count()] += 1;
    }
    let expected = primes.len() as f64 / 16.0;
    let square: f64 = bins.iter().map(|bin| (*bin as f64 - expected).powi(2) / expected).sum();
    println!(
        "highest bits in 16 bins: {bins:?}, chi-square {square:.1} (15 degrees: 95 % below 25)"
    );

    let pairs: Vec<(f64, f64)> =
        keys.iter().map(|key| (fraction(key.p()), fraction(key.q()))).collect();
    let number = pairs.len() as f64;
    let mean = |part: fn(&(f64, f64)) -> f64| pairs.iter().map(part).sum::<f64>() / number;
    let (p, q) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let covariance = pairs.iter().map(|pair| (pair.0 - p) * (pair.1 - q)).sum::<f64>();
    let spread = |part: fn(&(f64, f64)) -> f64, mean: f64| {
        pairs.iter().map(|pair| (part(pair) - mean).powi(2)).sum::<f64>().sqrt()
    };
    let correlation = covariance / spread(|pair| pair.0, p) / spread(|pair| pair.1, q);
    let limit = 2.0 / number.sqrt();
    println!("correlation of p and q: {correlation:.4} (95 % within {limit:.4})");
    let above = pairs.iter().filter(|pair| pair.1 > pair.0).count();
    println!("q above p: {above} of {}", pairs.len());
}
