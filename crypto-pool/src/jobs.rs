// SPDX-License-Identifier: MIT OR Apache-2.0
//! Jobs: searches for keys that somebody asked for and that were not ready. The one who asked is
//! told to come again, and every time that he does the job gets a longer slice of time, so that
//! he never comes too often (docs/key-pool.md has the arithmetic).

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

/// What a search is to find, and where its draws come from.
#[derive(Debug)]
pub enum Product<D> {
    /// Any key of a kind; who searches has the draws.
    Fresh(KeyKind),
    /// The key that a derivation gives; its generator belongs to the search.
    Derived(DerivationName, KeyKind, D),
}

impl<D> Product<D> {
    /// The kind of key.
    pub const fn kind(&self) -> KeyKind {
        match self {
            Self::Fresh(kind) | Self::Derived(_, kind, _) => *kind,
        }
    }

    /// Whether both are the same: any fresh key of a kind is as good as another.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fresh(kind), Self::Fresh(other)) => kind == other,
            (Self::Derived(name, ..), Self::Derived(other, ..)) => name == other,
            _ => false,
        }
    }
}

/// A search with its product.
#[derive(Debug)]
pub struct Task<D> {
    /// What it is to find.
    pub product: Product<D>,
    /// How far it is.
    pub search: KeySearch,
}

impl<D: Random> Task<D> {
    /// Goes on for at most `budget` multiplications (and 40). `draws` are for a fresh key.
    ///
    /// # Errors
    /// [`SearchFault`]; the task is of no use then.
    pub fn step(
        &mut self,
        budget: u32,
        draws: &mut D,
        witnesses: &mut D,
    ) -> Result<Option<RsaPrimes>, SearchFault> {
        let draws = match &mut self.product {
            Product::Fresh(_) => draws,
            Product::Derived(_, _, draws) => draws,
        };
        self.search.step(budget, draws, witnesses)
    }
}

/// A task that somebody waits for.
#[derive(Debug)]
pub struct Job<D> {
    /// The search.
    pub task: Task<D>,
    /// What it found while nobody asked.
    pub found: Option<RsaPrimes>,
    /// How often it was asked for.
    attempts: u32,
    /// When it was asked for last.
    asked: u64,
}

impl<D> Job<D> {
    /// The number of this attempt, from 0 on.
    pub const fn next_attempt(&mut self) -> u32 {
        let attempt = self.attempts;
        self.attempts = self.attempts.saturating_add(1);
        attempt
    }
}

/// At most `COUNT` jobs. The one that nobody asked for in the longest time is dropped, and wiped,
/// when there is no room for a new one.
#[derive(Debug)]
pub struct Jobs<D, const COUNT: usize> {
    places: [Option<Job<D>>; COUNT],
    /// Counts requests, to tell which job was asked for last.
    clock: u64,
}

impl<D, const COUNT: usize> Jobs<D, COUNT> {
    /// No jobs.
    #[must_use]
    pub const fn new() -> Self {
        Self { places: [const { None }; COUNT], clock: 0 }
    }

    /// The place of the job for `product`, which is asked for now.
    pub fn find(&mut self, product: &Product<D>) -> Option<usize> {
        self.clock += 1;
        let is_same = |job: &Job<D>| job.task.product.is_same(product);
        let place = self.places.iter().position(|place| place.as_ref().is_some_and(is_same))?;
        self.at(place)?.asked = self.clock;
        Some(place)
    }

    /// Puts a new job in the place of none, or of the one that was not asked for the longest time;
    /// `None` when there are no places at all.
    pub fn begin(&mut self, task: Task<D>) -> Option<usize> {
        let asked = |place: &Option<Job<D>>| place.as_ref().map_or(0, |job| job.asked);
        let (place, oldest) =
            self.places.iter_mut().enumerate().min_by_key(|(_, place)| asked(place))?;
        *oldest = Some(Job { task, found: None, attempts: 0, asked: self.clock });
        Some(place)
    }

    /// The place of the job that was asked for last and is not done.
    #[must_use]
    pub fn newest(&self) -> Option<usize> {
        let jobs = self.places.iter().enumerate();
        let waiting = jobs.filter_map(|(place, job)| Some((place, job.as_ref()?)));
        let waiting = waiting.filter(|(_, job)| job.found.is_none());
        waiting.max_by_key(|(_, job)| job.asked).map(|(place, _)| place)
    }

    /// The job at a place.
    pub fn at(&mut self, place: usize) -> Option<&mut Job<D>> {
        self.places.get_mut(place)?.as_mut()
    }

    /// Ends the job at a place.
    pub fn end(&mut self, place: usize) {
        if let Some(place) = self.places.get_mut(place) {
            *place = None;
        }
    }

    /// Drops and wipes the jobs of derivations.
    pub fn forget_derived(&mut self) {
        let derived = |job: &mut Job<D>| matches!(job.task.product, Product::Derived(..));
        for place in &mut self.places {
            let _dropped = place.take_if(derived);
        }
    }
}

impl<D, const COUNT: usize> Default for Jobs<D, COUNT> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_grow_and_end() {
        assert_eq!((slice(0), slice(1), slice(2)), (2_000, 6_000, 18_000));
        assert_eq!(slice(7), SLICE_MAX);
        assert_eq!(slice(u32::MAX), SLICE_MAX);
    }
}
