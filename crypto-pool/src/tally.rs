// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a workshop did so far, in numbers. Work is counted in multiplications of 1024 bits.

/// Attempts that are counted by their number; what comes later counts as the last one.
pub const ATTEMPTS_COUNTED: usize = 10;
/// Powers of two that attempts are counted by: the longest slice of all is below 2^22.
pub const SIZES: usize = 22;

/// Counters since the start. None of them tells anything of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Multiplications of all searches.
    pub multiplications: u64,
    /// Numbers that were drawn and are not a prime of a finished key: rejected, but for the few
    /// that a search is just testing or has put aside.
    pub rejected: u64,
    /// How often a job was asked for the first time, the second, and so on.
    pub attempts: [u32; ATTEMPTS_COUNTED],
    /// Attempts that took so much work: number n counts those of 2^n to 2^(n+1) multiplications.
    pub attempt_sizes: [u32; SIZES],
    /// What the longest attempt took.
    pub longest_attempt: u32,
    /// What the longest slice of work took that nobody waited for.
    pub longest_background: u32,
}

impl Tally {
    /// Nothing was done yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            multiplications: 0,
            rejected: 0,
            attempts: [0; ATTEMPTS_COUNTED],
            attempt_sizes: [0; SIZES],
            longest_attempt: 0,
            longest_background: 0,
        }
    }

    /// Counts a step of a search: what it took, the numbers that it drew, and whether it found the
    /// two primes of a key.
    pub(crate) fn note_work(&mut self, work: u32, draws: u32, is_found: bool) {
        self.multiplications = self.multiplications.wrapping_add(work.into());
        let primes = if is_found { 2 } else { 0 };
        self.rejected = self.rejected.wrapping_add(draws.into()).wrapping_sub(primes);
    }

    /// Counts an attempt: its number, from 0 on, and what it took.
    pub(crate) fn note_attempt(&mut self, attempt: u32, work: u32) {
        count(&mut self.attempts, attempt);
        count(&mut self.attempt_sizes, (work | 1).ilog2());
        self.longest_attempt = self.longest_attempt.max(work);
    }

    /// Counts a slice of background work.
    pub(crate) fn note_background(&mut self, work: u32) {
        self.longest_background = self.longest_background.max(work);
    }
}

/// Counts at `place`, or at the last one if there are fewer.
fn count(counts: &mut [u32], place: u32) {
    let last = counts.len().saturating_sub(1);
    let place = usize::try_from(place).map_or(last, |place| place.min(last));
    if let Some(count) = counts.get_mut(place) {
        *count = count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_counts_as_the_last() {
        let mut tally = Tally::new();
        for (attempt, work) in [(0, 0), (9, 1 << 21), (10, u32::MAX), (u32::MAX, 7)] {
            tally.note_attempt(attempt, work);
        }
        assert_eq!((tally.attempts[0], tally.attempts[9]), (1, 3));
        let sizes = tally.attempt_sizes;
        assert_eq!((sizes[0], sizes[2], sizes[21]), (1, 1, 2));
        assert_eq!(tally.longest_attempt, u32::MAX);
    }

    #[test]
    fn all_draws_but_a_keys_primes_are_rejected() {
        let mut tally = Tally::new();
        tally.note_work(100, 50, false);
        tally.note_work(10, 7, true);
        assert_eq!((tally.multiplications, tally.rejected), (110, 55));
    }
}
