// SPDX-License-Identifier: MIT OR Apache-2.0
//! Change of the master key.

use rand_core::TryCryptoRng;
use zeroize::Zeroize;

use super::{Epoch, Identity, Store, draw, draw_secret};
use crate::anchor::Anchor;
use crate::device::BlockDevice;
use crate::error::{Error, Invariant};
use crate::header::Header;
use crate::seal::{MasterKey, StoreKey, WrappedKey};

impl<D: BlockDevice, A: Anchor> Store<D, A> {
    /// Seals the store key under another master key. Nothing else is encrypted again, so whoever
    /// has the old key and an old copy of the disk still reads what is written later: see
    /// [`Self::rotate`]. When this returns the old key no longer opens the disk; after a crash in
    /// the middle both keys may.
    ///
    /// # Errors
    /// Of the device or the random source.
    pub fn rewrap(
        &mut self,
        master: &MasterKey,
        random: &mut impl TryCryptoRng,
    ) -> Result<(), Error> {
        let salt = draw::<32>(random)?;
        let Identity { store_id, store_key, .. } = &self.identity;
        let wrapped_key = WrappedKey::wrap(master, store_key, store_id, &salt)?;
        self.guarded(|store| {
            // A checkpoint under way carries the old wrapping.
            store.finish_checkpoint()?;
            store.retire_other_area()?;
            store.identity.wrapped_key = wrapped_key;
            store.identity.label = master.label();
            store.rewrite_twins()
        })
    }

    /// Seals everything again under a new store key and another master key. When this returns,
    /// nothing that is written from now on can be read with the old master key, even by someone who
    /// has an old copy of the disk. After a crash in the middle one of the keys opens the disk: try
    /// the new one first.
    ///
    /// # Errors
    /// Of the device, the anchor or the random source.
    pub fn rotate(
        &mut self,
        master: &MasterKey,
        random: &mut impl TryCryptoRng,
    ) -> Result<(), Error> {
        let store_id = self.identity.store_id;
        let store_key = StoreKey::new(draw_secret(random)?);
        let wrapped_key = WrappedKey::wrap(master, &store_key, &store_id, &draw::<32>(random)?)?;
        let identity = Identity { store_id, store_key, label: master.label(), wrapped_key };
        let epoch = Epoch::draw(&identity, self.root.epoch, random)?;
        self.guarded(|store| {
            store.finish_checkpoint()?;
            store.identity = identity;
            store.epoch = epoch;
            store.begin_epoch()?;
            store.retire_other_area()
        })
    }

    /// Puts the current wrapping into the headers in use, one twin after the other, so that one of
    /// them is whole at any time.
    fn rewrite_twins(&mut self) -> Result<(), Error> {
        let block_bytes = self.volume.geometry().block_bytes();
        let broken = Error::Internal(Invariant::BufferLength);
        let header = self.active.as_mut().ok_or(broken)?;
        header.wrapped_key = self.identity.wrapped_key;
        header.label = self.identity.label;
        let block = self.record.get_mut(..block_bytes).ok_or(broken)?;
        header.encode(&self.identity.store_key, block)?;
        for slot in Header::slots(header.generation) {
            self.volume.write_slot(slot, block)?;
            self.volume.flush()?;
        }
        Ok(())
    }

    /// Wipes the headers of the area that isn't in use.
    fn retire_other_area(&mut self) -> Result<(), Error> {
        self.record.as_mut_slice().zeroize();
        let block = self
            .record
            .get(..self.volume.geometry().block_bytes())
            .ok_or(Error::Internal(Invariant::BufferLength))?;
        for slot in Header::slots(self.generation.wrapping_add(1)) {
            self.volume.write_slot(slot, block)?;
        }
        self.flush()
    }
}
