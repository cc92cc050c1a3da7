// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commitments of two-phase operations (Part 1, annex C.2.2): a counter tells them apart, and a bit
//! tells whether one is still to be used.

use super::groups::{COMMIT_BITMAP_SIZE, Commit};

/// Commitments that can be outstanding: as many as there are bits.
const COMMITMENTS: u64 = (COMMIT_BITMAP_SIZE * 8) as u64;

impl Commit {
    fn place(counter: u64) -> (usize, u8) {
        let bit = counter % COMMITMENTS;
        // Less than 128.
        let octet = usize::try_from(bit / 8).unwrap_or_default();
        (octet, 1 << (bit % 8))
    }

    /// Begins a commitment: its counter, of which the low 16 bits go to the caller. One that was
    /// begun so long ago that its bit is wanted again is forgotten.
    pub fn begin(&mut self) -> u64 {
        let counter = self.counter;
        let (octet, bit) = Self::place(counter);
        if let Some(octet) = self.outstanding.get_mut(octet) {
            *octet |= bit;
        }
        self.counter = counter.wrapping_add(1);
        counter
    }

    /// Begins a commitment: what the caller gets of its counter.
    pub fn begin_low(&mut self) -> u16 {
        let [.., high, low] = self.begin().to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// The whole counter of an outstanding commitment.
    pub fn counter_of(&self, low: u16) -> Option<u64> {
        const LOW_BITS: u64 = 0xffff;
        let last = self.counter.checked_sub(1)?;
        let mut counter = (last & !LOW_BITS) | u64::from(low);
        if counter > last {
            counter = counter.checked_sub(LOW_BITS.saturating_add(1))?;
        }
        let (octet, bit) = Self::place(counter);
        let is_outstanding = self.outstanding.get(octet).is_some_and(|octet| octet & bit != 0);
        let is_recent = last.saturating_sub(counter) < COMMITMENTS;
        (is_outstanding && is_recent).then_some(counter)
    }

    /// Ends a commitment.
    pub fn end(&mut self, low: u16) {
        let (octet, bit) = Self::place(u64::from(low));
        if let Some(octet) = self.outstanding.get_mut(octet) {
            *octet &= !bit;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::state::groups::StateReset;

    #[test]
    fn a_commitment_is_used_once() {
        let mut commit = StateReset::EMPTY.commit;
        assert_eq!(commit.counter_of(0), None);
        let first = commit.begin();
        let second = commit.begin();
        assert_eq!((first, second), (0, 1));
        assert_eq!(commit.counter_of(0), Some(0));
        commit.end(0);
        assert_eq!(commit.counter_of(0), None);
        assert_eq!(commit.counter_of(1), Some(1));
        assert_eq!(commit.counter_of(2), None);
    }

    #[test]
    fn old_ones_are_forgotten() {
        let mut commit = StateReset::EMPTY.commit;
        for _ in 0..=128 {
            commit.begin();
        }
        assert_eq!(commit.counter_of(0), None);
        assert_eq!(commit.counter_of(1), Some(1));
        commit.counter = 0x1_0001;
        commit.begin();
        assert_eq!(commit.counter_of(1), Some(0x1_0001));
        assert_eq!(commit.counter_of(0xffff), Some(0xffff));
    }
}
