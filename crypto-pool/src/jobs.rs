// SPDX-License-Identifier: MIT OR Apache-2.0
//! Jobs: searches for keys that somebody asked for and that were not ready. The one who asks is
//! told to come again, and every time that he does the job gets a slice of time, so that he never
//! comes too often (docs/key-pool.md has the arithmetic).
//!
//! All work is counted in multiplications of 1024 bits.

use crate::primaries::DerivationName;
use crate::random::Random;
use crate::search::{KeyKind, KeySearch, RsaPrimes, SearchFault};
use crate::tally::Tally;

/// The slice of the first attempt: what takes about half a millisecond. Whoever works in the
/// background has the key ready at the next.
pub const FIRST_SLICE: u32 = 2_000;

/// The longest slice of an attempt: eight attempts suffice for all but one search in 10⁹.
#[must_use]
pub const fn longest_slice(kind: KeyKind) -> u32 {
    match kind.bits {
        1024 => 17_000,
        2048 => 220_000,
        3072 => 1_035_000,
        _ => 3_200_000,
    }
}

/// What has been done on a job at the end of the attempt with this number, from 0 on: the second
/// attempt adds a quarter of the longest slice, the third a half, and every other all of it.
#[must_use]
pub const fn owed(kind: KeyKind, attempt: u32) -> u32 {
    let quarters = match attempt {
        0 => 0,
        1 => 1,
        2 => 3,
        _ => attempt.saturating_sub(2).saturating_mul(4).saturating_add(3),
    };
    (longest_slice(kind) / 4).saturating_mul(quarters).saturating_add(FIRST_SLICE)
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
    /// Goes on for at most `budget` multiplications (and what [`OVERSHOOT`] of the primes' length
    /// weigh). `draws` are for a fresh key. What it really took is added to `tally`, and returned.
    ///
    /// [`OVERSHOOT`]: crate::search::OVERSHOOT
    ///
    /// # Errors
    /// [`SearchFault`]; the task is of no use then.
    pub fn step(
        &mut self,
        budget: u32,
        draws: &mut D,
        witnesses: &mut D,
        tally: &mut Tally,
    ) -> Result<(Option<RsaPrimes>, u32), SearchFault> {
        let kind = self.product.kind();
        let draws = match &mut self.product {
            Product::Fresh(_) => draws,
            Product::Derived(_, _, draws) => draws,
        };
        let found = self.search.step(kind.scale(budget), draws, witnesses)?;
        let work = kind.weigh(self.search.take_work());
        tally.note_work(work, self.search.take_draws(), found.is_some());
        Ok((found, work))
    }
}

/// A task that somebody waits for.
#[derive(Debug)]
pub struct Job<D> {
    /// The search.
    pub task: Task<D>,
    /// What it found while nobody asked.
    pub found: Option<RsaPrimes>,
    /// Multiplications so far, whoever did them.
    pub done: u32,
    /// How often it was asked for.
    attempts: u32,
    /// When it was asked for last.
    asked: u64,
}

impl<D> Job<D> {
    /// Begins an attempt: its number, from 0 on, and the multiplications that are due in it, which
    /// are fewer if others have worked on the job since the last one.
    pub fn next_attempt(&mut self) -> (u32, u32) {
        let attempt = self.attempts;
        self.attempts = self.attempts.saturating_add(1);
        let kind = self.task.product.kind();
        let due = owed(kind, attempt).saturating_sub(self.done);
        (attempt, due.min(longest_slice(kind)))
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
        *oldest = Some(Job { task, found: None, done: 0, attempts: 0, asked: self.clock });
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
        let derived = |job: &Job<D>| matches!(job.task.product, Product::Derived(..));
        for place in &mut self.places {
            // Dropped where it is: a job that is moved out leaves its octets behind.
            if place.as_ref().is_some_and(derived) {
                *place = None;
            }
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

    const LENGTHS: [u16; 4] = [1024, 2048, 3072, 4096];

    fn job(kind: KeyKind) -> Job<crate::search::tests::Hashed> {
        let search = KeySearch::new(kind, crate::arithmetic::Backend::detect()).unwrap();
        let task = Task { product: Product::Fresh(kind), search };
        Job { task, found: None, done: 0, attempts: 0, asked: 0 }
    }

    #[test]
    fn no_attempt_is_longer_than_the_longest() {
        for kind in LENGTHS.map(KeyKind::usual) {
            let mut job = job(kind);
            job.attempts = u32::MAX;
            assert_eq!(job.next_attempt().1, longest_slice(kind));
            assert_eq!(owed(kind, u32::MAX), u32::MAX);
        }
    }

    #[test]
    fn slices_grow_to_the_longest() {
        for kind in LENGTHS.map(KeyKind::usual) {
            let mut job = job(kind);
            let slices = [0; 8].map(|_| {
                let (_, due) = job.next_attempt();
                job.done += due;
                due
            });
            let longest = longest_slice(kind);
            assert_eq!(slices[..4], [FIRST_SLICE, longest / 4, longest / 2, longest]);
            assert_eq!(slices[4..], [longest; 4]);
        }
    }

    #[test]
    fn what_others_did_is_not_due() {
        let mut job = job(KeyKind::usual(2048));
        job.done = 1_000;
        assert_eq!(job.next_attempt(), (0, 1_000));
        job.done = 57_001;
        assert_eq!(job.next_attempt(), (1, 0));
        assert_eq!(job.next_attempt(), (2, 109_999));
    }
}
