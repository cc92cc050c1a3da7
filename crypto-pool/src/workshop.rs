// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where keys are made. One processor at a time works here, in steps that are counted in
//! multiplications; ready fresh keys lie in the [`Pool`], which needs no workshop to take from.
//!
//! What background work does first:
//!
//! 1. the job that was asked for last,
//! 2. derivations that are expected to be asked for,
//! 3. keys for the pool.

use crate::arithmetic::Backend;
use crate::jobs::{Jobs, Product, Task, slice};
use crate::pool::Pool;
use crate::primaries::{DerivationName, Primaries};
use crate::random::Random;
use crate::search::{KeyKind, KeySearch, RsaPrimes, SearchFault};

/// Derivations that can wait to be done ahead.
const PLANS: usize = 6;

/// Attempts that are counted by their number; what comes later counts as the last one.
pub const ATTEMPTS_COUNTED: usize = 10;

/// Searches, and the primes of derivations. `D` are generators; at most `JOBS` keys that somebody
/// waits for and `ENTRIES` derivations are kept.
#[derive(Debug)]
pub struct Workshop<D, const JOBS: usize, const ENTRIES: usize> {
    backend: Backend,
    fresh: D,
    witnesses: D,
    jobs: Jobs<D, JOBS>,
    plans: [Option<Product<D>>; PLANS],
    /// What nobody asked for yet.
    stock: Option<Task<D>>,
    primaries: Primaries<ENTRIES>,
    multiplications: u64,
    attempts: [u32; ATTEMPTS_COUNTED],
}

impl<D: Random, const JOBS: usize, const ENTRIES: usize> Workshop<D, JOBS, ENTRIES> {
    /// An empty workshop.
    ///
    /// * `fresh`: fresh keys are made of its draws.
    /// * `witnesses`: the bases of primality tests.
    #[must_use]
    pub const fn new(backend: Backend, fresh: D, witnesses: D) -> Self {
        Self {
            backend,
            fresh,
            witnesses,
            jobs: Jobs::new(),
            plans: [const { None }; PLANS],
            stock: None,
            primaries: Primaries::new(),
            multiplications: 0,
            attempts: [0; ATTEMPTS_COUNTED],
        }
    }

    /// Asks for a key of `kind` that the pool does not have: gives it if it is found by the end of
    /// this attempt's slice.
    ///
    /// # Errors
    /// [`SearchFault`]. The pool is closed unless it is just that there are no such keys.
    pub fn ask_fresh<const PLACES: usize>(
        &mut self,
        pool: &Pool<PLACES>,
        kind: KeyKind,
    ) -> Result<Option<RsaPrimes>, SearchFault> {
        let result = self.ask(Product::Fresh(kind));
        self.close_if_broken(pool, result)
    }

    /// Asks for the key of the derivation `name`, which `draws` determines, likewise.
    ///
    /// # Errors
    /// As [`ask_fresh`](Self::ask_fresh).
    pub fn ask_derived<const PLACES: usize>(
        &mut self,
        pool: &Pool<PLACES>,
        name: DerivationName,
        kind: KeyKind,
        draws: D,
    ) -> Result<Option<RsaPrimes>, SearchFault> {
        if let Some(primes) = self.primaries.find(&name) {
            return Ok(Some(primes));
        }
        let result = self.ask(Product::Derived(name, kind, draws));
        if let Ok(Some(primes)) = &result {
            self.primaries.keep(name, primes.clone());
        }
        self.close_if_broken(pool, result)
    }

    /// Plans a derivation that is expected to be asked for. One too many is left out.
    pub fn derive_ahead(&mut self, name: DerivationName, kind: KeyKind, draws: D) {
        let plan = Product::Derived(name, kind, draws);
        let begun = self.stock.as_ref().map(|task| &task.product);
        let is_known = self.primaries.contains(&name)
            || self.plans.iter().flatten().chain(begun).any(|other| other.is_same(&plan));
        if !is_known && let Some(place) = self.plans.iter_mut().find(|place| place.is_none()) {
            *place = Some(plan);
        }
    }

    /// Forgets and wipes all that was derived: a seed changed.
    pub fn forget_derived(&mut self) {
        self.primaries.clear();
        self.jobs.forget_derived();
        self.plans = [const { None }; PLANS];
        let _dropped = self.stock.take_if(|task| matches!(task.product, Product::Derived(..)));
    }

    /// Works for as long as `budget` multiplications of 1024 bits (and 40) take. Returns whether
    /// there was anything to do.
    ///
    /// # Errors
    /// [`SearchFault`]; what was worked on is dropped then, and the pool is closed.
    pub fn work<const PLACES: usize>(
        &mut self,
        pool: &Pool<PLACES>,
        budget: u32,
    ) -> Result<bool, SearchFault> {
        let result = match self.jobs.newest() {
            Some(place) => self.work_on_job(place, budget).map(|()| true),
            None => self.work_on_stock(pool, budget),
        };
        self.close_if_broken(pool, result)
    }

    /// Whether somebody waits for what [`work`](Self::work) would do, or is about to.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        let begun = self.stock.as_ref().map(|task| &task.product);
        self.jobs.newest().is_some()
            || self.plans.iter().any(Option::is_some)
            || matches!(begun, Some(Product::Derived(..)))
    }

    /// Multiplications that were granted so far: what was used is not more, but for 40 a step.
    #[must_use]
    pub const fn multiplications(&self) -> u64 {
        self.multiplications
    }

    /// How often a job was asked for the first time, the second, and so on.
    #[must_use]
    pub const fn attempts(&self) -> [u32; ATTEMPTS_COUNTED] {
        self.attempts
    }

    fn ask(&mut self, product: Product<D>) -> Result<Option<RsaPrimes>, SearchFault> {
        let place = match self.jobs.find(&product) {
            Some(place) => Some(place),
            None => {
                let task = self.begin(product)?;
                self.jobs.begin(task)
            }
        };
        let Some(place) = place else { return Ok(None) };
        let Some(job) = self.jobs.at(place) else { return Ok(None) };
        if job.found.is_none() {
            let attempt = job.next_attempt();
            let slice = slice(attempt);
            let last = ATTEMPTS_COUNTED - 1;
            let counted = usize::try_from(attempt).map_or(last, |attempt| attempt.min(last));
            if let Some(count) = self.attempts.get_mut(counted) {
                *count = count.saturating_add(1);
            }
            self.multiplications = self.multiplications.wrapping_add(slice.into());
            match job.task.step(slice, &mut self.fresh, &mut self.witnesses) {
                Ok(found) => job.found = found,
                Err(fault) => {
                    self.jobs.end(place);
                    return Err(fault);
                }
            }
        }
        let found = job.found.take();
        if found.is_some() {
            self.jobs.end(place);
        }
        Ok(found)
    }

    /// A task for `product`: the one that was begun for the stock, or one that was planned, if they
    /// are for the same.
    fn begin(&mut self, product: Product<D>) -> Result<Task<D>, SearchFault> {
        if let Some(begun) = self.stock.take_if(|task| task.product.is_same(&product)) {
            return Ok(begun);
        }
        for place in &mut self.plans {
            let _now_a_job = place.take_if(|plan| plan.is_same(&product));
        }
        let search = KeySearch::new(product.kind(), self.backend)?;
        Ok(Task { product, search })
    }

    fn work_on_job(&mut self, place: usize, budget: u32) -> Result<(), SearchFault> {
        let Some(job) = self.jobs.at(place) else { return Ok(()) };
        let budget = job.task.product.kind().scale(budget);
        self.multiplications = self.multiplications.wrapping_add(budget.into());
        let result = job.task.step(budget, &mut self.fresh, &mut self.witnesses);
        match (result, &job.task.product) {
            (Ok(None), _) => {}
            (Ok(found), Product::Fresh(_)) => job.found = found,
            (Ok(Some(primes)), Product::Derived(name, ..)) => {
                self.primaries.keep(*name, primes);
                self.jobs.end(place);
            }
            (Err(fault), _) => {
                self.jobs.end(place);
                return Err(fault);
            }
        }
        Ok(())
    }

    fn work_on_stock<const PLACES: usize>(
        &mut self,
        pool: &Pool<PLACES>,
        budget: u32,
    ) -> Result<bool, SearchFault> {
        // What was begun for a shelf that others have filled meanwhile is of no use.
        let is_idle = |task: &mut Task<D>| match task.product {
            Product::Fresh(kind) => !pool.wants(kind),
            Product::Derived(..) => false,
        };
        let _dropped = self.stock.take_if(is_idle);
        if self.stock.is_none() {
            let plan = self.plans.iter_mut().find_map(Option::take);
            let Some(product) = plan.or_else(|| pool.wanted().map(Product::Fresh)) else {
                return Ok(false);
            };
            let search = KeySearch::new(product.kind(), self.backend)?;
            self.stock = Some(Task { product, search });
        }
        let Some(task) = &mut self.stock else { return Ok(false) };
        let budget = task.product.kind().scale(budget);
        self.multiplications = self.multiplications.wrapping_add(budget.into());
        let result = task.step(budget, &mut self.fresh, &mut self.witnesses);
        let Some(primes) = result.inspect_err(|_| self.stock = None)? else { return Ok(true) };
        match self.stock.take().map(|task| task.product) {
            Some(Product::Fresh(kind)) => pool.put(kind, primes),
            Some(Product::Derived(name, ..)) => self.primaries.keep(name, primes),
            None => {}
        }
        Ok(true)
    }

    fn close_if_broken<T, const PLACES: usize>(
        &self,
        pool: &Pool<PLACES>,
        result: Result<T, SearchFault>,
    ) -> Result<T, SearchFault> {
        if matches!(result, Err(SearchFault::Randomness | SearchFault::Arithmetic)) {
            pool.close();
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::NoRandomness;
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
        let attempts = workshop.attempts();
        assert_eq!(attempts.iter().map(|count| u64::from(*count)).sum::<u64>(), asked + 1);
        assert_eq!(workshop.work(&pool, 10), Ok(false), "a job that is done is forgotten");
        let before = workshop.multiplications();
        let again = workshop.ask_derived(&pool, name(1), SMALL, Hashed(8)).unwrap().unwrap();
        assert_eq!((again.p(), again.q()), (expected.p(), expected.q()));
        assert_eq!(workshop.multiplications(), before);
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

    /// Nobody has to ask more often than Linux does (docs/key-pool.md has the arithmetic).
    #[test]
    fn attempts_suffice_for_the_slowest_search() {
        let granted: u64 = (0..ATTEMPTS).map(|attempt| u64::from(slice(attempt))).sum();
        let slowest = (0..12)
            .map(|seed| {
                let (_, steps) = find(KeyKind::usual(2048), Backend::detect(), seed << 40, 5_000);
                u64::from(steps) * 5_000
            })
            .max();
        assert!(slowest.unwrap() * 10 < granted, "{slowest:?} against {granted}");
    }
}
