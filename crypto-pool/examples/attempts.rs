// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much work keys take, and how often who asks for one has to come again when nobody works in
//! the background: `cargo run --release --example attempts -p crypto-pool [count]`, with `count`
//! keys of 2048 bits and as many longer ones as there are in the same time, about. The seeds of
//! the slowest searches are for `vectors/slowest.txt`, which unit tests try again.

mod hashed;

use crypto_pool::arithmetic::Backend;
use crypto_pool::jobs::owed;
use crypto_pool::search::{KeyKind, KeySearch};
use hashed::Hashed;

/// Seeds of the slowest searches that are printed.
const SLOWEST: usize = 3;

/// Multiplications of 1024 bits that a key took.
fn work(kind: KeyKind, seed: u64) -> u32 {
    let (mut draws, mut witnesses) = (Hashed(seed << 32), Hashed(seed << 32 | 1 << 31));
    let mut search = KeySearch::new(kind, Backend::detect()).expect("a kind");
    let found = search.step(u32::MAX, &mut draws, &mut witnesses).expect("randomness");
    assert!(found.is_some(), "the budget is no limit");
    kind.weigh(search.take_work())
}

/// The attempt, from 1 on, by whose end so much work is done.
fn attempt(kind: KeyKind, work: u32) -> usize {
    (0..).take_while(|attempt| owed(kind, *attempt) < work).count() + 1
}

fn main() {
    let count = std::env::args().nth(1).map_or(1000, |text| text.parse().expect("a count"));
    for bits in [2048, 3072, 4096] {
        let kind = KeyKind::usual(bits);
        let count = count * 2048 / u64::from(bits) * 2048 / u64::from(bits);
        let mut works: Vec<_> = (1..=count).map(|seed| (work(kind, seed), seed)).collect();
        works.sort_unstable();
        let mean = works.iter().map(|(work, _)| u64::from(*work)).sum::<u64>() / count;
        let mut attempts = [0; 12];
        for (work, _) in &works {
            attempts[attempt(kind, *work).min(11)] += 1;
        }
        let at = |permille: usize| works[works.len() * permille / 1000].0;
        println!(
            "RSA-{bits}, {count} keys: multiplications of 1024 bits: mean {mean}, p50 {}, p95 {}, \
             p99 {}, most {}; attempts {:?}",
            at(500),
            at(950),
            at(990),
            works[works.len() - 1].0,
            &attempts[1..],
        );
        for (work, seed) in works.iter().rev().take(SLOWEST) {
            println!("{bits} {seed} {work}");
        }
    }
}
