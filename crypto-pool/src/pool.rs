// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pool of ready keys: shelves of one kind each, filled in the background.
//!
//! Taking a key never waits: it looks at each place of a shelf once, passes over places that
//! another processor holds at that moment, and goes away empty-handed if it finds nothing. A key
//! is handed out once; what is left of it in the pool is wiped.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use spin::Mutex;

use crate::arithmetic::Backend;
use crate::random::Random;
use crate::search::{KeyKind, KeySearch, RsaPrimes, SearchFault};

/// Ready keys of one kind, at most `PLACES`. Shared by all processors.
pub struct Shelf<const PLACES: usize> {
    kind: KeyKind,
    places: [Mutex<Option<RsaPrimes>>; PLACES],
    /// Refilling begins when fewer keys than this are ready, and goes on until the shelf is full.
    low_mark: u64,
    refilling: AtomicBool,
    closed: AtomicBool,
    ready: AtomicU64,
    made: AtomicU64,
    taken: AtomicU64,
    missed: AtomicU64,
}

/// What happened at a shelf since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Keys that are ready.
    pub ready: u64,
    /// Keys that were put on the shelf.
    pub made: u64,
    /// Keys that were taken.
    pub taken: u64,
    /// Times that somebody went away without one.
    pub missed: u64,
}

impl<const PLACES: usize> Shelf<PLACES> {
    /// An empty shelf.
    #[must_use]
    pub const fn new(kind: KeyKind, low_mark: u64) -> Self {
        Self {
            kind,
            places: [const { Mutex::new(None) }; PLACES],
            low_mark,
            refilling: AtomicBool::new(true),
            closed: AtomicBool::new(false),
            ready: AtomicU64::new(0),
            made: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        }
    }

    /// The kind of its keys.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// A key, if one is ready.
    pub fn take(&self) -> Option<RsaPrimes> {
        let found = if self.closed.load(Ordering::Acquire) {
            None
        } else {
            self.places.iter().find_map(|place| place.try_lock()?.take())
        };
        if found.is_some() {
            self.taken.fetch_add(1, Ordering::Relaxed);
            if self.ready.fetch_sub(1, Ordering::AcqRel) <= self.low_mark {
                self.refilling.store(true, Ordering::Release);
            }
        } else {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// Puts a key on the shelf. One that finds no place is wiped, and the answer is `false`.
    pub fn put(&self, primes: RsaPrimes) -> bool {
        let mut primes = Some(primes);
        for place in &self.places {
            let Some(mut place) = place.try_lock() else { continue };
            // Looked at while the place is held: who closes the shelf comes to it afterwards.
            if place.is_none() && !self.closed.load(Ordering::Acquire) {
                *place = primes.take();
                // Counted before the place is let go, so that the count never runs below zero.
                self.ready.fetch_add(1, Ordering::AcqRel);
                self.made.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
        if self.is_full() {
            self.refilling.store(false, Ordering::Release);
        }
        primes.is_none()
    }

    /// Whether the shelf is to be refilled.
    #[must_use]
    pub fn wants_keys(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
            && self.refilling.load(Ordering::Acquire)
            && !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.ready.load(Ordering::Acquire) >= u64::try_from(PLACES).unwrap_or(u64::MAX)
    }

    /// Gives out no key any more, and wipes those that are there: the randomness that they were
    /// made of is in doubt.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for place in &self.places {
            // Held for a moment only, by a processor that is putting or taking.
            if place.lock().take().is_some() {
                self.ready.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            ready: self.ready.load(Ordering::Relaxed),
            made: self.made.load(Ordering::Relaxed),
            taken: self.taken.load(Ordering::Relaxed),
            missed: self.missed.load(Ordering::Relaxed),
        }
    }
}

impl<const PLACES: usize> core::fmt::Debug for Shelf<PLACES> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Shelf({:?}, {:?})", self.kind, self.counters())
    }
}

/// Shelves of the usual kinds: one for each length of key that people ask for.
#[derive(Debug)]
pub struct Pool<const PLACES: usize> {
    shelves: [Shelf<PLACES>; 3],
}

impl<const PLACES: usize> Pool<PLACES> {
    /// An empty pool; each shelf is refilled when fewer than half of its places are taken.
    #[must_use]
    pub const fn new() -> Self {
        let low_mark = (PLACES as u64).div_ceil(2);
        Self {
            shelves: [
                Shelf::new(KeyKind::usual(2048), low_mark),
                Shelf::new(KeyKind::usual(3072), low_mark),
                Shelf::new(KeyKind::usual(4096), low_mark),
            ],
        }
    }

    /// The shelf with keys of `kind`, if there is one.
    #[must_use]
    pub fn shelf(&self, kind: KeyKind) -> Option<&Shelf<PLACES>> {
        self.shelves.iter().find(|shelf| shelf.kind == kind)
    }

    /// Every shelf.
    #[must_use]
    pub const fn shelves(&self) -> &[Shelf<PLACES>] {
        &self.shelves
    }

    /// Closes every shelf.
    pub fn close(&self) {
        self.shelves.iter().for_each(Shelf::close);
    }
}

impl<const PLACES: usize> Default for Pool<PLACES> {
    fn default() -> Self {
        Self::new()
    }
}

/// One processor's work on a pool.
#[derive(Debug)]
pub struct Filler {
    backend: Backend,
    search: Option<(KeyKind, KeySearch)>,
}

impl Filler {
    /// Nothing begun yet.
    #[must_use]
    pub const fn new(backend: Backend) -> Self {
        Self { backend, search: None }
    }

    /// Works for at most `budget` multiplications (and 40) on the first shelf that wants keys.
    /// Returns whether there was anything to do.
    ///
    /// # Errors
    /// [`SearchFault`]: the pool is closed then.
    pub fn work<const PLACES: usize>(
        &mut self,
        pool: &Pool<PLACES>,
        budget: u32,
        draws: &mut dyn Random,
        witnesses: &mut dyn Random,
    ) -> Result<bool, SearchFault> {
        let result = self.step(pool, budget, draws, witnesses);
        if result.is_err() {
            self.search = None;
            pool.close();
        }
        result
    }

    fn step<const PLACES: usize>(
        &mut self,
        pool: &Pool<PLACES>,
        budget: u32,
        draws: &mut dyn Random,
        witnesses: &mut dyn Random,
    ) -> Result<bool, SearchFault> {
        // A search that was begun is finished first, unless its shelf was filled meanwhile.
        let wanted = |kind: KeyKind| pool.shelf(kind).is_some_and(Shelf::wants_keys);
        let (kind, mut search) = match self.search.take().filter(|(kind, _)| wanted(*kind)) {
            Some(begun) => begun,
            None => match pool.shelves.iter().find(|shelf| shelf.wants_keys()) {
                Some(shelf) => (shelf.kind, KeySearch::new(shelf.kind, self.backend)?),
                None => return Ok(false),
            },
        };
        match (search.step(budget, draws, witnesses)?, pool.shelf(kind)) {
            // A key that finds no place any more is wiped.
            (Some(primes), Some(shelf)) => {
                shelf.put(primes);
            }
            (Some(_), None) => {}
            (None, _) => self.search = Some((kind, search)),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::HashSet;
    use std::vec::Vec;

    use super::*;
    use crate::random::NoRandomness;
    use crate::search::tests::{Hashed, find};

    const SMALL: KeyKind = KeyKind::usual(1024);

    fn key(seed: u64) -> RsaPrimes {
        find(SMALL, Backend::detect(), seed << 32, u32::MAX).0
    }

    #[test]
    fn an_empty_shelf_gives_nothing_and_counts_it() {
        let shelf = Shelf::<2>::new(SMALL, 1);
        assert!(shelf.wants_keys());
        assert!(shelf.take().is_none());
        assert_eq!(shelf.counters(), Counters { missed: 1, ..Counters::default() });
    }

    #[test]
    fn marks_say_when_to_refill() {
        let shelf = Shelf::<3>::new(SMALL, 1);
        for seed in 0..3 {
            assert!(shelf.wants_keys());
            assert!(shelf.put(key(seed)));
        }
        assert!(!shelf.wants_keys());
        assert!(!shelf.put(key(4)), "there is no fourth place");
        let first = shelf.take().unwrap();
        assert!(!shelf.wants_keys(), "two are left, more than the low mark");
        let second = shelf.take().unwrap();
        assert_ne!(first.p(), second.p());
        assert!(!shelf.wants_keys());
        shelf.take().unwrap();
        assert!(shelf.wants_keys());
        assert!(shelf.take().is_none());
        assert_eq!(shelf.counters(), Counters { ready: 0, made: 3, taken: 3, missed: 1 });
    }

    #[test]
    fn a_closed_shelf_stays_empty() {
        let shelf = Shelf::<3>::new(SMALL, 1);
        assert!(shelf.put(key(1)));
        shelf.close();
        assert!(shelf.take().is_none());
        assert!(!shelf.put(key(2)));
        assert!(!shelf.wants_keys());
        assert_eq!(shelf.counters().ready, 0);
    }

    /// Many threads put and take at once: no key comes out twice, and none is lost.
    #[test]
    fn every_key_is_handed_out_once() {
        let keys: Vec<RsaPrimes> = (0..4).map(key).collect();
        for _ in 0..50 {
            let shelf = Shelf::<4>::new(SMALL, 2);
            let taken = std::sync::Mutex::new(Vec::new());
            let kept = AtomicU64::new(0);
            std::thread::scope(|scope| {
                for key in &keys {
                    scope.spawn(|| {
                        if shelf.put(key.clone()) {
                            kept.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..50 {
                            let found = shelf.take();
                            taken.lock().unwrap().extend(found.map(|key| key.p().to_vec()));
                        }
                    });
                }
            });
            let mut taken = taken.into_inner().unwrap();
            taken.extend(core::iter::from_fn(|| shelf.take()).map(|key| key.p().to_vec()));
            let different: HashSet<_> = taken.iter().collect();
            assert_eq!(different.len(), taken.len());
            assert_eq!(taken.len() as u64, kept.into_inner());
            assert_eq!(shelf.counters().ready, 0);
        }
    }

    #[test]
    fn a_filler_fills_every_shelf_and_stops() {
        let pool = Pool::<1>::new();
        let mut filler = Filler::new(Backend::detect());
        let (mut draws, mut witnesses) = (Hashed(1), Hashed(1 << 60));
        while filler.work(&pool, 50_000, &mut draws, &mut witnesses).unwrap() {}
        for shelf in pool.shelves() {
            assert_eq!(shelf.counters().ready, 1);
            let primes = shelf.take().unwrap();
            assert_eq!(primes.p().len(), shelf.kind().prime_size());
            assert!(shelf.wants_keys());
        }
        let odd = KeyKind { bits: 2048, exponent: 3 };
        assert!(pool.shelf(odd).is_none());
    }

    #[test]
    fn bad_randomness_closes_the_pool() {
        struct Nothing;
        impl Random for Nothing {
            fn fill(&mut self, _: &mut [u8]) -> Result<(), NoRandomness> {
                Err(NoRandomness)
            }
        }
        let pool = Pool::<1>::new();
        let mut filler = Filler::new(Backend::detect());
        let result = filler.work(&pool, 100, &mut Nothing, &mut Hashed(1));
        assert_eq!(result, Err(SearchFault::Randomness));
        assert!(pool.shelves().iter().all(|shelf| !shelf.wants_keys()));
        assert_eq!(filler.work(&pool, 100, &mut Hashed(1), &mut Hashed(2)), Ok(false));
    }
}
