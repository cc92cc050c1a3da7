// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of the workshop.

extern crate std;
use super::*;
use crate::jobs::{FIRST_SLICE, longest_slice};
use crate::random::NoRandomness;
use crate::search::OVERSHOOT;
use crate::search::tests::{Hashed, find};
use crate::shelf::Marks;

const SMALL: KeyKind = KeyKind::usual(1024);
const LARGE: KeyKind = KeyKind::usual(4096);
const NOTHING: Marks = Marks { low: 0, high: 0 };
/// As often as Linux sends a command that is answered with a request to retry.
const ATTEMPTS: u32 = 8;

type Small = Workshop<Hashed, 2, 2>;

fn workshop() -> Small {
    Workshop::new(Backend::detect(), Hashed(5 << 40), Hashed(1 << 60))
}

fn empty_pool() -> Pool<2> {
    Pool::new([NOTHING; 3])
}

fn name(number: u8) -> DerivationName {
    [number; 32]
}

fn expected(kind: KeyKind, seed: u64) -> RsaPrimes {
    find(kind, Backend::detect(), seed, u32::MAX).0
}

#[test]
fn bad_randomness_closes_the_pool_and_is_told_to_who_asks() {
    #[derive(Debug)]
    struct Nothing;
    impl Random for Nothing {
        fn fill(&mut self, _: &mut [u8]) -> Result<(), NoRandomness> {
            Err(NoRandomness)
        }
    }
    let pool = Pool::<1>::new([Marks { low: 0, high: 1 }; 3]);
    let mut broken = Workshop::<_, 1, 1>::new(Backend::detect(), Nothing, Nothing);
    assert_eq!(broken.work(&pool, 100), Err(SearchFault::Randomness));
    assert!(pool.is_closed() && pool.wanted().is_none());
    assert_eq!(broken.work(&pool, 100), Ok(false));
    let pool = Pool::<1>::new([NOTHING; 3]);
    let refused = broken.ask_fresh(&pool, SMALL);
    assert_eq!(refused.err(), Some(SearchFault::Randomness));
    assert!(pool.is_closed());
    let pool = Pool::<1>::new([NOTHING; 3]);
    let refused = broken.ask_derived(&pool, name(1), SMALL, Nothing);
    assert_eq!(refused.err(), Some(SearchFault::Randomness));
    assert!(pool.is_closed());
}

#[test]
fn keys_that_do_not_exist_are_refused_and_nothing_is_closed() {
    let (mut workshop, pool) = (workshop(), empty_pool());
    let odd = KeyKind { bits: 2048, exponent: 4 };
    let refused = workshop.ask_fresh(&pool, odd);
    assert_eq!(refused.err(), Some(SearchFault::Unsupported));
    let refused = workshop.ask_derived(&pool, name(4), odd, Hashed(1));
    assert_eq!(refused.err(), Some(SearchFault::Unsupported));
    assert!(!pool.is_closed());
}

#[test]
fn asking_again_finds_the_same_job_and_the_cache_has_it_afterwards() {
    let (mut workshop, pool) = (workshop(), empty_pool());
    let expected = expected(SMALL, 7);
    let mut asked = 0;
    let found = loop {
        // Only the first generator counts: the others would give other keys.
        let draws = Hashed(7 + 1_000_000 * asked);
        if let Some(found) = workshop.ask_derived(&pool, name(1), SMALL, draws).unwrap() {
            break found;
        }
        asked += 1;
    };
    assert_eq!(found.p(), expected.p());
    assert!(asked > 0);
    let attempts = workshop.tally().attempts;
    assert_eq!(attempts.iter().map(|count| u64::from(*count)).sum::<u64>(), asked + 1);
    assert_eq!(workshop.work(&pool, 10), Ok(false), "a job that is done is forgotten");
    let before = workshop.tally();
    let again = workshop.ask_derived(&pool, name(1), SMALL, Hashed(8)).unwrap().unwrap();
    assert_eq!((again.p(), again.q()), (expected.p(), expected.q()));
    assert_eq!(workshop.tally(), before);
}

#[test]
fn background_work_finishes_jobs() {
    let (mut workshop, pool) = (workshop(), empty_pool());
    assert_eq!(workshop.work(&pool, 1000), Ok(false));
    assert!(workshop.ask_derived(&pool, name(1), SMALL, Hashed(7)).unwrap().is_none());
    assert!(workshop.ask_fresh(&pool, SMALL).unwrap().is_none());
    assert!(workshop.is_urgent());
    while workshop.work(&pool, 1000).unwrap() {}
    assert!(!workshop.is_urgent());
    let found = workshop.ask_derived(&pool, name(1), SMALL, Hashed(8)).unwrap().unwrap();
    assert_eq!(found.p(), expected(SMALL, 7).p());
    let fresh = workshop.ask_fresh(&pool, SMALL).unwrap().unwrap();
    assert_ne!(fresh.p(), found.p());
    assert!(workshop.ask_fresh(&pool, SMALL).unwrap().is_none(), "given out once");
}

#[test]
fn abandoned_jobs_make_room() {
    let (mut workshop, pool) = (workshop(), empty_pool());
    for number in 1..=3 {
        let draws = Hashed(u64::from(number) << 32);
        let found = workshop.ask_derived(&pool, name(number), LARGE, draws).unwrap();
        assert!(found.is_none());
    }
    let mut is_there = |number| {
        let product = Product::Derived(name(number), LARGE, Hashed(0));
        workshop.jobs.find(&product).is_some()
    };
    assert!(!is_there(1) && is_there(2) && is_there(3));
    workshop.forget_derived();
    assert_eq!(workshop.work(&pool, 1), Ok(false));
}

#[test]
fn derivations_are_done_ahead_and_forgotten_with_their_seed() {
    let (mut workshop, pool) = (workshop(), empty_pool());
    for number in 1..=2 {
        workshop.derive_ahead(name(number), SMALL, Hashed(u64::from(number) << 32));
        workshop.derive_ahead(name(number), SMALL, Hashed(0));
    }
    assert!(workshop.is_urgent());
    while workshop.work(&pool, 1000).unwrap() {}
    for number in 1..=2 {
        let found = workshop.ask_derived(&pool, name(number), SMALL, Hashed(0)).unwrap();
        assert_eq!(found.unwrap().p(), expected(SMALL, u64::from(number) << 32).p());
    }
    workshop.forget_derived();
    assert!(workshop.ask_derived(&pool, name(1), SMALL, Hashed(3)).unwrap().is_none());
    for plan in 0..=u8::MAX {
        workshop.derive_ahead(name(plan), SMALL, Hashed(0));
    }
    workshop.forget_derived();
    assert_eq!(workshop.work(&pool, 1), Ok(false));
}

/// A derivation that is under way is gone on with, by its own generator.
#[test]
fn who_asks_takes_over_what_was_begun() {
    let (mut workshop, pool) = (workshop(), empty_pool());
    workshop.derive_ahead(name(1), SMALL, Hashed(7));
    assert_eq!(workshop.work(&pool, 500), Ok(true));
    let mut ask = || workshop.ask_derived(&pool, name(1), SMALL, Hashed(8)).unwrap();
    let found = loop {
        if let Some(found) = ask() {
            break found;
        }
    };
    assert_eq!(found.p(), expected(SMALL, 7).p());
    assert_eq!(workshop.work(&pool, 500), Ok(false));
}

#[test]
fn the_pool_is_filled_and_then_there_is_nothing_to_do() {
    let pool = Pool::<2>::new([Marks { low: 0, high: 2 }, NOTHING, NOTHING]);
    let mut workshop = workshop();
    while workshop.work(&pool, 50_000).unwrap() {}
    assert!(!workshop.is_urgent());
    let kind = KeyKind::usual(2048);
    let (one, other) = (pool.take(kind).unwrap(), pool.take(kind).unwrap());
    assert_ne!(one.p(), other.p());
    assert_eq!(one.p().len(), kind.prime_size());
    // A begun key goes to the one who asks.
    assert_eq!(workshop.work(&pool, 500), Ok(true));
    assert!(workshop.stock.is_some());
    let _maybe = workshop.ask_fresh(&pool, kind).unwrap();
    assert!(workshop.stock.is_none());
}

/// Nobody has to ask more often than Linux does, and no attempt takes more than it may, in the
/// slowest searches that `examples/attempts.rs` has seen (docs/key-pool.md has the arithmetic).
#[test]
fn attempts_suffice_for_the_slowest_searches() {
    let lines = include_str!("../../vectors/slowest.txt").lines();
    let mut lengths = std::collections::HashSet::new();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let fields: std::vec::Vec<u64> =
            line.split(' ').map(|text| text.parse().unwrap()).collect();
        let [bits, seed, work] = fields[..] else { panic!("three numbers: {line}") };
        let kind = KeyKind::usual(u16::try_from(bits).unwrap());
        lengths.insert(kind.bits);
        let (draws, pool) = (|| Hashed(seed << 32), empty_pool());
        for is_fresh in [true, false] {
            let mut workshop = Small::new(Backend::detect(), draws(), Hashed(1 << 60));
            let ask = |_| {
                if is_fresh {
                    workshop.ask_fresh(&pool, kind).unwrap()
                } else {
                    workshop.ask_derived(&pool, name(1), kind, draws()).unwrap()
                }
            };
            assert!((0..ATTEMPTS).find_map(ask).is_some(), "{line}");
            let tally = workshop.tally();
            assert_eq!(tally.attempts[3], 1, "{line}: it is not slow");
            assert!(tally.longest_attempt <= longest_slice(kind) + kind.weigh(OVERSHOOT), "{line}");
            let rounding = u64::from(ATTEMPTS);
            assert!(tally.multiplications.abs_diff(work) <= rounding, "{line}: {tally:?}");
        }
    }
    assert_eq!(lengths.len(), 3);
}

/// No background work takes more than its budget, and no attempt more than the longest slice: as
/// counted where multiplications are done.
#[test]
fn slices_are_bounded() {
    let (mut workshop, pool) = (workshop(), empty_pool());
    for kind in [SMALL, KeyKind::usual(2048)] {
        for _ in 0..3 {
            while workshop.ask_fresh(&pool, kind).unwrap().is_none() {
                assert_eq!(workshop.work(&pool, 300), Ok(true));
            }
        }
    }
    let tally = workshop.tally();
    assert!((300..=300 + OVERSHOOT).contains(&tally.longest_background), "{tally:?}");
    let longest = longest_slice(KeyKind::usual(2048)) + OVERSHOOT;
    assert!((FIRST_SLICE..=longest).contains(&tally.longest_attempt), "{tally:?}");
    assert_eq!(tally.attempts.iter().sum::<u32>(), tally.attempt_sizes.iter().sum::<u32>());
    assert_eq!(tally.attempts[0], 6);
    assert!(tally.rejected > 6 * 200, "about 600 draws for a prime of 1024 bits");
}
