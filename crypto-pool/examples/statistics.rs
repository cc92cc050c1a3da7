// SPDX-License-Identifier: MIT OR Apache-2.0
//! Statistics of generated keys: `cargo run --release --example statistics -p crypto-pool …`
//!
//! * `print COUNT [BITS [PIECE]]` prints the primes of keys, one key a line, for this program and
//!   others to check. Pieces with different numbers can be made side by side.
//! * Without arguments it reads such lines and says what follows.
//!
//! * ROCA (CVE-2017-15361): primes of the broken library were powers of 65537 modulo many small
//!   primes, and so were its moduli; one of 2^28 others is by chance.
//! * Highest bits: uniform between √2/2 and 1.
//! * Independence: the correlation of the highest bits of p and q, and how often q is above p.
//! * No prime occurs twice.

mod hashed;

use std::collections::HashSet;

use crypto_pool::arithmetic::Backend;
use crypto_pool::search::{KeyKind, KeySearch};
use hashed::Hashed;

/// The primes that ROCA's fingerprint looks at.
const FINGERPRINT: [u64; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

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

/// Prints the primes of `count` keys in hexadecimal, a line each; different pieces have nothing in
/// common.
fn print(count: u64, bits: u16, piece: u64) {
    let (mut draws, mut witnesses) = (Hashed(piece << 40), Hashed(1 << 62 | piece << 40));
    let mut search = KeySearch::new(KeyKind::usual(bits), Backend::detect()).expect("a kind");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut made = 0;
    while made < count {
        let found = search.step(100_000, &mut draws, &mut witnesses).expect("randomness");
        if let Some(key) = found {
            println!("{} {}", hex(key.p()), hex(key.q()));
            made += 1;
        }
    }
}

/// A number in hexadecimal.
fn number(text: &str) -> Option<Vec<u8>> {
    let octet = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    text.as_bytes().as_chunks().0.iter().map(octet).collect()
}

/// p and q of a line.
fn parse(line: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (p, q) = line.split_once(' ')?;
    Some((number(p)?, number(q)?))
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |index: usize, default: u64| {
        arguments.get(index).map_or(default, |text| text.parse().expect("a number"))
    };
    if arguments.first().map(String::as_str) == Some("print") {
        let bits = u16::try_from(argument(2, 2048)).expect("a length");
        print(argument(1, 100), bits, argument(3, 0));
    } else {
        let lines = std::io::stdin().lines();
        let keys = lines.map(|line| parse(&line.expect("text")).expect("two numbers")).collect();
        check(keys);
    }
}

fn check(keys: Vec<(Vec<u8>, Vec<u8>)>) {
    let roca = keys.iter().filter(|(p, q)| {
        FINGERPRINT
            .iter()
            .all(|prime| is_power(modulo(p, *prime) * modulo(q, *prime) % prime, *prime))
    });
    println!("keys: {}, ROCA fingerprints: {}", keys.len(), roca.count());

    let primes: Vec<&[u8]> = keys.iter().flat_map(|(p, q)| [&p[..], &q[..]]).collect();
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

    let pairs: Vec<(f64, f64)> = keys.iter().map(|(p, q)| (fraction(p), fraction(q))).collect();
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
