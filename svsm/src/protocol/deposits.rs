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
    pages: [Option<Page>; DEPOSITS_MAX],
}

impl Default for Deposits {
    fn default() -> Self {
        Self::new()
    }
}

impl Deposits {
    /// No deposits.
    pub const fn new() -> Self {
        Self { pages: [None; DEPOSITS_MAX] }
    }

    /// Number of pages held.
    pub fn count(&self) -> usize {
        self.pages.iter().flatten().count()
    }

    /// Whether another page can be taken.
    pub fn has_room(&self) -> bool {
        self.pages.iter().any(Option::is_none)
    }

    /// Keeps a page that the guest can no longer touch.
    pub fn keep(&mut self, page: Page) -> Result<(), DepositsFull> {
        let slot = self.pages.iter_mut().find(|slot| slot.is_none()).ok_or(DepositsFull)?;
        *slot = Some(page);
        Ok(())
    }

    /// One of the pages held.
    pub fn first(&self) -> Option<Page> {
        self.pages.iter().flatten().next().copied()
    }

    /// Forgets a page that the guest got back.
    pub fn forget(&mut self, page: Page) {
        for slot in &mut self.pages {
            if *slot == Some(page) {
                *slot = None;
            }
        }
    }

    /// Whether a held page overlaps `start..end`.
    pub fn holds(&self, start: u64, end: u64) -> bool {
        self.pages.iter().flatten().any(|page| page.address() < end && start < page.end())
    }
}
