// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which guest pages are private and validated, one bit per page.
//!
//! VMPL2 cannot execute PVALIDATE, so every validation of guest memory passes through the SVSM and
//! this record is exact. It is what keeps an address that a guest names from making the SVSM touch
//! a page in the wrong state: such an access would be the host's to answer, not ours to recover.
//!
//! It also keeps a page from being validated twice. A host could put other memory behind the
//! address before the second time, and then had two validated pages to choose between at any
//! moment: one whose content the SVSM checks, and one that it makes a VMSA of.

use super::{GUEST_MEMORY_END_MAX, PAGE_SIZE};
use crate::machine::{Page, RmpFault, Validation};
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

    /// PVALIDATE of `page` by `instruction`, with the record kept in step.
    ///
    /// What is recorded as done is not done again. A large page of which only a part is validated
    /// can't be one in the RMP either.
    ///
    /// # Errors
    /// The instruction's; then neither page nor record has changed.
    pub fn pvalidate(
        &self,
        page: Page,
        validate: bool,
        instruction: impl FnOnce() -> Result<Validation, RmpFault>,
    ) -> Result<Validation, RmpFault> {
        let count = page.size().bytes() / PAGE_SIZE;
        let validated = self.count(page.address(), count);
        if validated != 0 && validated != count {
            return Err(RmpFault::SizeMismatch);
        }
        if (validated == count) == validate {
            return Ok(Validation::Unchanged);
        }
        if !validate {
            // Before the page changes: a copy that another CPU begins now must not trust it.
            self.set(page.address(), count, false);
        }
        let outcome = instruction();
        let is_validated = match outcome {
            Ok(Validation::Changed) => validate,
            // "Invalid already": the host has other memory there now. The validated page is still
            // somewhere, so nothing else may ever be validated in its place.
            Ok(Validation::Unchanged) => true,
            Err(_) => !validate,
        };
        if is_validated {
            self.set(page.address(), count, true);
        }
        outcome
    }

    /// How many of the `count` pages from `address` on are validated.
    fn count(&self, address: u64, count: u64) -> u64 {
        let pages = (0..count).map(|index| address.saturating_add(index.saturating_mul(PAGE_SIZE)));
        pages.map(|address| u64::from(self.covers(address, PAGE_SIZE))).sum()
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
    use crate::machine::PageSize;

    const CHANGED: Validation = Validation::Changed;

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

    const LARGE: Page = Page::new(0x20_0000, PageSize::Large).unwrap();
    const SMALL: Page = Page::small(0x20_1000).unwrap();

    fn record() -> ValidatedPages {
        ValidatedPages::up_to(1 << 30).unwrap()
    }

    fn must_not_run() -> Result<Validation, RmpFault> {
        panic!("PVALIDATE is executed");
    }

    #[test]
    fn a_part_of_a_large_page_is_not_taken_for_the_whole() {
        let pages = record();
        pages.set(LARGE.address(), 512, true);
        assert_eq!(pages.pvalidate(SMALL, false, || Ok(CHANGED)), Ok(CHANGED));
        for validate in [false, true] {
            let mixed = pages.pvalidate(LARGE, validate, must_not_run);
            assert_eq!(mixed, Err(RmpFault::SizeMismatch));
            assert!(!pages.covers(SMALL.address(), 1), "nobody has validated it");
            assert!(pages.covers(LARGE.address(), 0x1000));
        }
        pages.set(LARGE.address(), 512, false);
        let refused = pages.pvalidate(LARGE, true, || Err(RmpFault::SizeMismatch));
        assert_eq!(refused, Err(RmpFault::SizeMismatch));
        assert!(!pages.covers(LARGE.address(), 1));
    }

    #[test]
    fn nothing_is_validated_twice() {
        let pages = record();
        for page in [SMALL, LARGE] {
            pages.set(LARGE.address(), 512, true);
            assert_eq!(pages.pvalidate(page, true, must_not_run), Ok(Validation::Unchanged));
            // The host has exchanged the page: the one that was validated may come back.
            let taken = pages.pvalidate(page, false, || Ok(Validation::Unchanged));
            assert_eq!(taken, Ok(Validation::Unchanged));
            assert_eq!(pages.pvalidate(page, true, must_not_run), Ok(Validation::Unchanged));
        }
    }

    #[test]
    fn what_fails_changes_nothing() {
        let pages = record();
        for fault in [RmpFault::Input, RmpFault::SizeMismatch, RmpFault::Other(9)] {
            assert_eq!(pages.pvalidate(LARGE, true, || Err(fault)), Err(fault));
            assert!(!pages.covers(LARGE.address(), 1));
        }
        assert_eq!(pages.pvalidate(LARGE, false, must_not_run), Ok(Validation::Unchanged));
        assert_eq!(pages.pvalidate(LARGE, true, || Ok(CHANGED)), Ok(CHANGED));
        for fault in [RmpFault::Input, RmpFault::SizeMismatch, RmpFault::Other(9)] {
            let outcome = pages.pvalidate(LARGE, false, || {
                assert!(!pages.covers(LARGE.address(), 1), "not to be trusted meanwhile");
                Err(fault)
            });
            assert_eq!(outcome, Err(fault));
            assert!(pages.covers(LARGE.address(), 0x20_0000));
        }
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
