// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much background work is done at a time. It is counted in multiplications, since a search can
//! only stop between them; the count follows the time that they take on this machine.

use core::sync::atomic::{AtomicU32, Ordering};

/// Multiplications of a slice at most: half a millisecond on a machine with MULX and ADX.
const BUDGET_MAX: u32 = 2_000;
/// And at least.
const BUDGET_MIN: u32 = 16;

/// The size of a slice, shared by all CPUs.
#[derive(Debug)]
pub struct Pace {
    budget: AtomicU32,
    limit_ticks: u64,
}

impl Pace {
    /// Slices of at most so many ticks, small ones until it is known how long they take.
    pub const fn new(limit_ticks: u64) -> Self {
        Self { budget: AtomicU32::new(BUDGET_MIN), limit_ticks }
    }

    /// What slices last at most.
    pub const fn limit_ticks(&self) -> u64 {
        self.limit_ticks
    }

    /// Multiplications of the next slice.
    pub fn budget(&self) -> u32 {
        self.budget.load(Ordering::Relaxed)
    }

    /// Learns from a slice that took so long: half of it if that was too long, more if there was
    /// time for more.
    pub fn note(&self, ticks: u64) {
        let budget = self.budget();
        let next = if ticks > self.limit_ticks {
            budget / 2
        } else if ticks < self.limit_ticks / 2 {
            budget.saturating_add(budget / 4)
        } else {
            budget
        };
        self.budget.store(next.clamp(BUDGET_MIN, BUDGET_MAX), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The budget after many slices, each multiplication of which takes so many ticks.
    fn settled(ticks: u64) -> u32 {
        let pace = Pace::new(1_000_000);
        for _ in 0..100 {
            pace.note(u64::from(pace.budget()) * ticks);
        }
        pace.budget()
    }

    #[test]
    fn neither_endless_nor_nothing() {
        assert_eq!(settled(u64::from(u32::MAX)), BUDGET_MIN);
        assert_eq!(settled(0), BUDGET_MAX);
    }

    #[test]
    fn slices_fit_their_limit_and_use_it() {
        for ticks in [600, 1_000, 5_000, 20_000] {
            let taken = u64::from(settled(ticks)) * ticks;
            assert!((300_000..=1_000_000).contains(&taken), "{taken}");
        }
    }
}
