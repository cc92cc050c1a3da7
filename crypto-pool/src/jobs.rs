// SPDX-License-Identifier: MIT OR Apache-2.0
//! Jobs: searches for keys that somebody asked for and that were not ready. The one who asked is
//! told to come again, and every time that he does the job gets a longer slice of time, so that
//! he never comes too often.

use crate::arithmetic::Backend;
use crate::primaries::DerivationName;
use crate::random::Random;
use crate::search::{KeyKind, KeySearch, RsaPrimes, SearchFault};

/// Multiplications that a job gets when it is asked for the first time: what takes about half a
/// millisecond with keys of 2048 bits.
pub const FIRST_SLICE: u32 = 2_000;
/// A slice is this many times longer than the one before.
pub const SLICE_GROWTH: u32 = 3;
/// The longest slice: no search that ends at all lasts longer than this and the ones before.
pub const SLICE_MAX: u32 = FIRST_SLICE * SLICE_GROWTH.pow(7);

/// The slice of the attempt with this number, from 0 on.
#[must_use]
pub const fn slice(attempt: u32) -> u32 {
    let slice = FIRST_SLICE.saturating_mul(SLICE_GROWTH.saturating_pow(attempt));
    if slice < SLICE_MAX { slice } else { SLICE_MAX }
}

/// At most `COUNT` jobs, whose draws come from generators of type `D`. The one that nobody asked
/// for in the longest time is dropped, and wiped, when there is no room for a new one.
#[derive(Debug)]
pub struct Jobs<D, const COUNT: usize> {
    backend: Backend,
    jobs: [Option<Job<D>>; COUNT],
    /// Counts requests, to tell which job was asked for last.
    clock: u64,
}

#[derive(Debug)]
struct Job<D> {
    name: DerivationName,
    draws: D,
    search: KeySearch,
    found: Option<RsaPrimes>,
    attempts: u32,
    asked: u64,
}

impl<D: Random, const COUNT: usize> Jobs<D, COUNT> {
    /// No jobs.
    #[must_use]
    pub const fn new(backend: Backend) -> Self {
        Self { backend, jobs: [const { None }; COUNT], clock: 0 }
    }

    /// Asks for the key of the derivation `name`: gives it if it is found by the end of this
    /// attempt's slice, and forgets the job then. `draws` is used if there is no such job yet.
    ///
    /// # Errors
    /// [`SearchFault`]; the job is dropped then.
    pub fn ask(
        &mut self,
        name: &DerivationName,
        kind: KeyKind,
        draws: impl FnOnce() -> D,
        witnesses: &mut dyn Random,
    ) -> Result<Option<RsaPrimes>, SearchFault> {
        self.clock += 1;
        let clock = self.clock;
        let mut job = match self.remove(name) {
            Some(job) => job,
            None => Job {
                name: *name,
                draws: draws(),
                search: KeySearch::new(kind, self.backend)?,
                found: None,
                attempts: 0,
                asked: 0,
            },
        };
        job.asked = clock;
        job.step(slice(job.attempts), witnesses)?;
        job.attempts = job.attempts.saturating_add(1);
        if job.found.is_some() {
            return Ok(job.found);
        }
        self.insert(job);
        Ok(None)
    }

    /// Works for at most `budget` multiplications (and 40) on the job that was asked for last and
    /// is not done. Returns whether there was one.
    ///
    /// # Errors
    /// [`SearchFault`]; the job is dropped then.
    pub fn work(&mut self, budget: u32, witnesses: &mut dyn Random) -> Result<bool, SearchFault> {
        let waiting = self
            .jobs
            .iter_mut()
            .filter(|place| place.as_ref().is_some_and(|job| job.found.is_none()));
        let newest = waiting.max_by_key(|place| place.as_ref().map(|job| job.asked));
        let Some(place) = newest else { return Ok(false) };
        let Some(job) = place else { return Ok(false) };
        let result = job.step(budget, witnesses);
        if result.is_err() {
            *place = None;
        }
        result.map(|()| true)
    }

    /// Drops and wipes all jobs: a seed changed.
    pub fn clear(&mut self) {
        self.jobs = [const { None }; COUNT];
    }

    fn remove(&mut self, name: &DerivationName) -> Option<Job<D>> {
        let named =
            |place: &&mut Option<Job<D>>| place.as_ref().is_some_and(|job| job.name == *name);
        self.jobs.iter_mut().find(named)?.take()
    }

    fn insert(&mut self, job: Job<D>) {
        let oldest_first = |place: &&mut Option<Job<D>>| place.as_ref().map_or(0, |old| old.asked);
        if let Some(place) = self.jobs.iter_mut().min_by_key(oldest_first) {
            *place = Some(job);
        }
    }
}

impl<D: Random> Job<D> {
    fn step(&mut self, budget: u32, witnesses: &mut dyn Random) -> Result<(), SearchFault> {
        if self.found.is_none() {
            self.found = self.search.step(budget, &mut self.draws, witnesses)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::tests::{Hashed, find};

    const SMALL: KeyKind = KeyKind::usual(1024);
    /// As often as Linux sends a command that is answered with a request to retry.
    const ATTEMPTS: u32 = 7;

    fn name(number: u8) -> DerivationName {
        [number; 32]
    }

    #[test]
    fn slices_grow_and_end() {
        assert_eq!((slice(0), slice(1), slice(2)), (2_000, 6_000, 18_000));
        assert_eq!(slice(7), SLICE_MAX);
        assert_eq!(slice(u32::MAX), SLICE_MAX);
    }

    #[test]
    fn asking_again_finds_the_same_job() {
        let mut jobs = Jobs::<Hashed, 2>::new(Backend::detect());
        let mut witnesses = Hashed(1 << 60);
        let expected = find(SMALL, Backend::detect(), 7, u32::MAX).0;
        let mut asked = 0;
        let found = loop {
            // Only the first generator counts: the others would give other keys.
            let draws = || Hashed(7 + 1_000_000 * asked);
            if let Some(found) = jobs.ask(&name(1), SMALL, draws, &mut witnesses).unwrap() {
                break found;
            }
            asked += 1;
        };
        assert_eq!(found.p(), expected.p());
        assert!(asked > 0);
        assert_eq!(jobs.work(10, &mut witnesses), Ok(false), "a job that is done is forgotten");
    }

    #[test]
    fn background_work_finishes_a_job() {
        let mut jobs = Jobs::<Hashed, 2>::new(Backend::detect());
        let mut witnesses = Hashed(1 << 60);
        assert_eq!(jobs.work(1000, &mut witnesses), Ok(false));
        let first = jobs.ask(&name(1), SMALL, || Hashed(7), &mut witnesses).unwrap();
        assert!(first.is_none());
        while jobs.work(1000, &mut witnesses).unwrap() {}
        let found = jobs.ask(&name(1), SMALL, || Hashed(8), &mut witnesses).unwrap().unwrap();
        assert_eq!(found.p(), find(SMALL, Backend::detect(), 7, u32::MAX).0.p());
    }

    #[test]
    fn abandoned_jobs_make_room() {
        let mut jobs = Jobs::<Hashed, 2>::new(Backend::detect());
        let mut witnesses = Hashed(1 << 60);
        let large = KeyKind::usual(4096);
        for number in 1..=3 {
            let seed = u64::from(number) << 32;
            let found = jobs.ask(&name(number), large, || Hashed(seed), &mut witnesses).unwrap();
            assert!(found.is_none());
        }
        let there = |number| jobs.jobs.iter().flatten().any(|job| job.name == name(number));
        assert!(!there(1) && there(2) && there(3));
        jobs.clear();
        assert_eq!(jobs.work(1, &mut witnesses), Ok(false));
        let odd = KeyKind { bits: 2048, exponent: 4 };
        let refused = jobs.ask(&name(4), odd, || Hashed(1), &mut witnesses);
        assert_eq!(refused.err(), Some(SearchFault::Unsupported));
    }

    /// Nobody has to ask more often than Linux does. The slices of seven attempts add up to 2.2
    /// million multiplications. A prime of 1024 bits takes 45,000 on average and the number of
    /// tests is geometrically distributed, so two of them take longer with a probability of
    /// (1 + 48)·e^-48, which is 10^-19; for 2048 bits it is 10^-9.
    #[test]
    fn attempts_suffice_for_the_slowest_search() {
        let granted: u64 = (0..ATTEMPTS).map(|attempt| u64::from(slice(attempt))).sum();
        let slowest = (0..12)
            .map(|seed| {
                let (_, steps) = find(KeyKind::usual(2048), Backend::detect(), seed << 40, 5_000);
                u64::from(steps) * 5_000
            })
            .max();
        assert!(slowest.unwrap() * 4 < granted, "{slowest:?} against {granted}");
    }
}
