// SPDX-License-Identifier: MIT OR Apache-2.0
//! Transactions: changes that happen together or not at all.

use crate::anchor::{Anchor, FreshnessRoot};
use crate::device::BlockDevice;
use crate::error::{Error, Limit};
use crate::records::Change;
use crate::store::Store;

/// Changes that are gathered and not yet made. Dropping it forgets them.
pub struct Transaction<'s, D: BlockDevice, A: Anchor> {
    store: &'s mut Store<D, A>,
}

impl<'s, D: BlockDevice, A: Anchor> Transaction<'s, D, A> {
    pub(crate) fn new(store: &'s mut Store<D, A>) -> Self {
        Self { store }
    }

    /// Sets a record; a later change of the same name in this transaction replaces it.
    ///
    /// # Errors
    /// When name, value or transaction are longer than allowed. The transaction is as before.
    pub fn put(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        self.store.staged.set(name, Change::Put(value), Limit::TransactionBytes)
    }

    /// Deletes a record, if there is one.
    ///
    /// # Errors
    /// As for [`Self::put`].
    pub fn delete(&mut self, name: &[u8]) -> Result<(), Error> {
        self.store.staged.set(name, Change::Delete, Limit::TransactionBytes)
    }

    /// The value that a record will have after this transaction.
    #[must_use]
    pub fn value(&self, name: &[u8]) -> Option<&[u8]> {
        match self.store.staged.find(name) {
            Some(Change::Put(value)) => Some(value),
            Some(Change::Delete) => None,
            None => self.store.value(name),
        }
    }

    /// Sets the transaction aside until [`Store::resume`]: for callers that gather changes over
    /// several calls.
    pub fn suspend(self) {
        // Without what dropping does, which is all there is to skip.
        core::mem::forget(self);
    }

    /// Makes all changes, durably and atomically: when this returns they survive a loss of power,
    /// and before that either none or all of them do.
    ///
    /// Costs one write of consecutive blocks and one flush; while the log is being compacted,
    /// another write of 4 KiB as a rule.
    ///
    /// # Errors
    /// [`Error::Capacity`] changes nothing. Any other error stops the store, and whether the
    /// changes are on the disk is known only to the next recovery.
    pub fn commit(self) -> Result<FreshnessRoot, Error> {
        self.store.commit()
    }
}

impl<D: BlockDevice, A: Anchor> Drop for Transaction<'_, D, A> {
    fn drop(&mut self) {
        self.store.staged.clear();
    }
}
