// SPDX-License-Identifier: MIT OR Apache-2.0
//! Recovers changed, forged and replayed disk images until a given number is reached, on two
//! threads.
//!
//! `cargo run --release -p nvstore --example adversary -- COUNT [SEED]`. A broken promise panics,
//! and the panic names the thread's seed; otherwise the table says how the recoveries ended.

use std::time::Instant;

use nvstore::simulation::adversary::{Outcomes, World};
use nvstore::simulation::model::Shape;
use nvstore::simulation::random::SimulatedRandom;

const THREADS: u64 = 2;
/// Recoveries in one world, before another pair of stores is made.
const PER_WORLD: u64 = 25_000;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (count, seed) = match (arguments.next(), arguments.next()) {
        (Some(Ok(count)), None) => (count, 1),
        (Some(Ok(count)), Some(Ok(seed))) => (count, seed),
        _ => {
            eprintln!("usage: adversary COUNT [SEED]");
            std::process::exit(2);
        }
    };
    let start = Instant::now();
    let workers: Vec<_> = (0..THREADS)
        .map(|thread| {
            let share = count / THREADS + u64::from(thread < count % THREADS);
            std::thread::spawn(move || work(share, seed * THREADS + thread))
        })
        .collect();
    let mut outcomes = Outcomes::default();
    for worker in workers {
        outcomes.add(&worker.join().expect("a worker does not panic unless a promise is broken"));
    }
    report(&outcomes, start.elapsed().as_secs_f64());
}

fn work(count: u64, seed: u64) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let mut random = SimulatedRandom::new(seed);
    let mut remaining = count;
    while remaining > 0 {
        let (shape, commits) = match random.below(8) {
            0 => (Shape::FINE, 60),
            1 => (Shape::COARSE, 40),
            2 => (Shape::WIDE, 60),
            3 => (Shape::SHORT, 60),
            _ => (Shape::TINY, 20 + random.below(60)),
        };
        let world_seed = random.word();
        let world = World::new(shape, world_seed, commits);
        for _ in 0..remaining.min(PER_WORLD) {
            world.attack(&mut random, &mut outcomes);
        }
        remaining = remaining.saturating_sub(PER_WORLD);
    }
    eprintln!("seed {seed}: {} recoveries, no promise broken", outcomes.total());
    outcomes
}

fn report(outcomes: &Outcomes, seconds: f64) {
    let total = outcomes.total();
    let rows = [
        ("opened, a state that had been", outcomes.opened),
        ("  of these earlier than the last", outcomes.opened_earlier),
        ("empty disk", outcomes.unformatted),
        ("refused: no whole header", outcomes.headers),
        ("refused: header not authentic", outcomes.header_authentication),
        ("refused: checkpoint not authentic", outcomes.checkpoint_body),
        ("refused: a later commit is there", outcomes.lost_commit),
        ("refused: anchor disagrees", outcomes.rolled_back),
        ("refused: wrong master key", outcomes.wrong_key),
        ("refused: not a store or too small", outcomes.not_a_store),
    ];
    for (name, number) in rows {
        println!("{name:<36} {number:>12}");
    }
    println!("{:<36} {total:>12}  in {seconds:.0} s", "recoveries");
}
