// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much work keys take, and how often who asks for one has to come again when nobody works in
//! the background: `cargo run --release --example attempts -p crypto-pool [count]`.

use crypto_pool::arithmetic::Backend;
use crypto_pool::jobs::slice;
use crypto_pool::search::{KeyKind, KeySearch};
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

/// Multiplications between two looks at the result.
const STEP: u32 = 1_000;

/// Multiplications that a key took, to the next [`STEP`].
fn work(kind: KeyKind, seed: u64) -> u64 {
    let (mut draws, mut witnesses) = (Hashed(seed << 32), Hashed(seed << 32 | 1 << 31));
    let mut search = KeySearch::new(kind, Backend::detect()).expect("a kind");
    let mut work = u64::from(STEP);
    while search.step(STEP, &mut draws, &mut witnesses).expect("randomness").is_none() {
        work += u64::from(STEP);
    }
    work
}

/// The attempt, from 1 on, whose slice ends after so many multiplications.
fn attempt(work: u64) -> usize {
    let mut granted = 0;
    let mut attempt = 0;
    while granted < work {
        granted += u64::from(slice(attempt));
        attempt += 1;
    }
    attempt as usize
}

fn main() {
    let count = std::env::args().nth(1).map_or(1000, |text| text.parse().expect("a count"));
    for bits in [2048, 3072, 4096] {
        let kind = KeyKind::usual(bits);
        let count = count * 2048 / u64::from(bits) * 2048 / u64::from(bits);
        let mut works: Vec<u64> = (1..=count).map(|seed| work(kind, seed)).collect();
        works.sort_unstable();
        let mean = works.iter().sum::<u64>() / count;
        let mut attempts = [0; 12];
        for work in &works {
            attempts[attempt(*work).min(11)] += 1;
        }
        let at = |permille: usize| works[works.len() * permille / 1000];
        println!(
            "RSA-{bits}, {count} keys: multiplications mean {mean}, p50 {}, p95 {}, p99 {}, most \
             {}; attempts {:?}",
            at(500),
            at(950),
            at(990),
            works[works.len() - 1],
            &attempts[1..],
        );
    }
}
