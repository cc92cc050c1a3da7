// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which guest pages are private and validated, one bit per page.
//!
//! VMPL2 cannot execute PVALIDATE, so every validation of guest memory passes through the SVSM and
//! this record is exact. It is what keeps an address that a guest names from making the SVSM touch
//! a page in the wrong state: such an access would be the host's to answer, not ours to recover.

use super::{GUEST_MEMORY_END_MAX, PAGE_SIZE};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

/// One bit per guest page up to the end of its memory.
#[derive(Debug, Default)]
pub struct ValidatedPages {
    words: Vec<AtomicU64>,
}

impl ValidatedPages {
    /// A record of no pages.
    pub const fn new() -> Self {
        Self { words: Vec::new() }
    }

    /// A record for memory that ends at `end`, nothing validated; `None` if that is too much memory
    /// or there is no room for the record.
    pub fn up_to(end: u64) -> Option<Self> {
        if end > GUEST_MEMORY_END_MAX {
            return None;
        }
        let count = usize::try_from(end.div_ceil(PAGE_SIZE * 64)).ok()?;
        let mut words = Vec::new();
        words.try_reserve_exact(count).ok()?;
        words.resize_with(count, AtomicU64::default);
        Some(Self { words })
    }

    /// Records the state of `count` pages from `address` on; pages beyond the end are left out.
    pub fn set(&self, address: u64, count: u64, validated: bool) {
        let first = address / PAGE_SIZE;
        for page in first..first.saturating_add(count) {
            let Some(word) = index_of(page).and_then(|index| self.words.get(index)) else {
                return;
            };
            let bit = 1 << (page % 64);
            if validated {
                word.fetch_or(bit, Ordering::Relaxed);
            } else {
                word.fetch_and(!bit, Ordering::Relaxed);
            }
        }
    }

    /// Whether every page that `length` bytes at `address` touch is validated. False for an empty
    /// or overflowing range.
    pub fn covers(&self, address: u64, length: u64) -> bool {
        let Some(last) = length.checked_sub(1).and_then(|rest| address.checked_add(rest)) else {
            return false;
        };
        (address / PAGE_SIZE..=last / PAGE_SIZE).all(|page| {
            index_of(page)
                .and_then(|index| self.words.get(index))
                .is_some_and(|word| word.load(Ordering::Relaxed) >> (page % 64) & 1 == 1)
        })
    }
}

fn index_of(page: u64) -> Option<usize> {
    usize::try_from(page / 64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_memory_is_refused() {
        assert!(ValidatedPages::up_to(GUEST_MEMORY_END_MAX + 1).is_none());
    }

    #[test]
    fn ranges_outside_the_record_are_not_covered() {
        let pages = ValidatedPages::up_to(0x4_0000).unwrap();
        pages.set(0, 64, true);
        pages.set(0x4_0000, 64, true);
        assert!(pages.covers(0, 0x4_0000));
        assert!(!pages.covers(0, 0x4_0001));
        assert!(!pages.covers(0x4_0000, 1));
        assert!(!pages.covers(0, 0));
        assert!(!pages.covers(u64::MAX, 2));
        assert!(!ValidatedPages::new().covers(0, 1));
    }

    #[test]
    fn one_page_without_validation_spoils_the_range() {
        let pages = ValidatedPages::up_to(1 << 20).unwrap();
        pages.set(0x1000, 3, true);
        assert!(pages.covers(0x1000, 0x3000));
        assert!(pages.covers(0x1fff, 2));
        pages.set(0x2000, 1, false);
        assert!(!pages.covers(0x1fff, 2));
        assert!(pages.covers(0x3000, 0x1000));
        assert!(!pages.covers(0xfff, 1));
    }
}
