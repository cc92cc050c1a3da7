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
use crate::jobs::{Jobs, Product, Task};
use crate::pool::Pool;
use crate::primaries::{DerivationName, Primaries};
use crate::random::Random;
use crate::search::{KeyKind, KeySearch, RsaPrimes, SearchFault};
use crate::tally::Tally;

/// Derivations that can wait to be done ahead.
const PLANS: usize = 6;

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
    tally: Tally,
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
            tally: Tally::new(),
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
        self.drop_stock_if(|product| matches!(product, Product::Derived(..)));
    }

    /// Works for as long as `budget` multiplications of 1024 bits take (and what [`OVERSHOOT`] of
    /// primes' length weigh). Returns whether there was anything to do.
    ///
    /// [`OVERSHOOT`]: crate::search::OVERSHOOT
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

    /// What was done so far.
    #[must_use]
    pub const fn tally(&self) -> Tally {
        self.tally
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
            let (attempt, due) = job.next_attempt();
            let tally = &mut self.tally;
            match job.task.step(due, &mut self.fresh, &mut self.witnesses, tally) {
                Ok((found, work)) => {
                    job.found = found;
                    job.done = job.done.saturating_add(work);
                    tally.note_attempt(attempt, work);
                }
                Err(fault) => {
                    self.jobs.end(place);
                    return Err(fault);
                }
            }
        }
        // Dropped where it is rather than moved, which would leave its octets behind.
        let found = job.found.clone();
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
        let tally = &mut self.tally;
        let result = job.task.step(budget, &mut self.fresh, &mut self.witnesses, tally);
        let Ok((found, work)) = result else {
            self.jobs.end(place);
            return result.map(|_| ());
        };
        tally.note_background(work);
        job.done = job.done.saturating_add(work);
        match (found, &job.task.product) {
            (None, _) => {}
            (found, Product::Fresh(_)) => job.found = found,
            (Some(primes), Product::Derived(name, ..)) => {
                self.primaries.keep(*name, primes);
                self.jobs.end(place);
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
        self.drop_stock_if(|product| match product {
            Product::Fresh(kind) => !pool.wants(*kind),
            Product::Derived(..) => false,
        });
        if self.stock.is_none() {
            let plan = self.plans.iter_mut().find_map(Option::take);
            let Some(product) = plan.or_else(|| pool.wanted().map(Product::Fresh)) else {
                return Ok(false);
            };
            let search = KeySearch::new(product.kind(), self.backend)?;
            self.stock = Some(Task { product, search });
        }
        let Some(task) = &mut self.stock else { return Ok(false) };
        let tally = &mut self.tally;
        let result = task.step(budget, &mut self.fresh, &mut self.witnesses, tally);
        let (found, work) = result.inspect_err(|_| self.stock = None)?;
        tally.note_background(work);
        let Some(primes) = found else { return Ok(true) };
        match self.stock.take().map(|task| task.product) {
            Some(Product::Fresh(kind)) => pool.put(kind, primes),
            Some(Product::Derived(name, ..)) => self.primaries.keep(name, primes),
            None => {}
        }
        Ok(true)
    }

    /// Drops the stock where it is: a search that is moved out leaves its octets behind.
    fn drop_stock_if(&mut self, is_useless: impl Fn(&Product<D>) -> bool) {
        if self.stock.as_ref().is_some_and(|task| is_useless(&task.product)) {
            self.stock = None;
        }
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
mod tests;
