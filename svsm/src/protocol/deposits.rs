// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages that the guest has deposited and not yet withdrawn.

use crate::machine::Page;

/// Most pages (of either size) that the SVSM holds for the guest.
pub const DEPOSITS_MAX: usize = 128;

/// The store is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepositsFull;

/// A bounded stack of pages without access for the guest.
#[derive(Debug)]
pub struct Deposits {
    /// The first `count` are held. No `Option`s: the empty list is all zeros and takes no room in
    /// the image.
    pages: [Page; DEPOSITS_MAX],
    count: usize,
}

impl Default for Deposits {
    fn default() -> Self {
        Self::new()
    }
}

impl Deposits {
    /// No deposits.
    pub const fn new() -> Self {
        Self { pages: [Page::FIRST; DEPOSITS_MAX], count: 0 }
    }

    /// Number of pages held.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether another page can be taken.
    pub fn has_room(&self) -> bool {
        self.count < DEPOSITS_MAX
    }

    /// Keeps a page that the guest can no longer touch.
    pub fn keep(&mut self, page: Page) -> Result<(), DepositsFull> {
        *self.pages.get_mut(self.count).ok_or(DepositsFull)? = page;
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// The page that was kept last.
    pub fn last(&self) -> Option<Page> {
        self.held().last().copied()
    }

    /// Forgets the page that was kept last: the guest has it back.
    pub fn forget_last(&mut self) {
        self.count = self.count.saturating_sub(1);
    }

    /// Whether a held page overlaps `start..end`.
    pub fn holds(&self, start: u64, end: u64) -> bool {
        self.held().iter().any(|page| page.address() < end && start < page.end())
    }

    fn held(&self) -> &[Page] {
        self.pages.get(..self.count).unwrap_or_default()
    }
}
