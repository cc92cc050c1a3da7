// SPDX-License-Identifier: MIT OR Apache-2.0
//! An open store: reads from memory, commits through the log, compaction, change of keys.

extern crate alloc;
use alloc::vec::Vec;

use rand_core::TryCryptoRng;
use zeroize::{Zeroize, Zeroizing};

use crate::anchor::{Anchor, FreshnessRoot};
use crate::checkpoint::{Checkpoint, Complete};
use crate::device::BlockDevice;
use crate::error::{Error, Invariant, Limit};
use crate::geometry::{Capacity, Geometry};
use crate::header::Header;
use crate::log::{self, RecordHeader, Span};
use crate::memory;
use crate::records::{Change, Records};
use crate::seal::{
    BootNonce, Cipher, DIGEST_BYTES, MasterKey, StoreId, StoreKey, WrappedKey, chain_epoch,
};
use crate::transaction::Transaction;
use crate::volume::Volume;

/// An open store. All of its memory was allocated when it was opened.
///
/// The first error of the device or of the anchor stops it: what became durable is then known only
/// to a recovery, and a second attempt could seal two texts under one nonce.
pub struct Store<D, A> {
    volume: Volume<D>,
    anchor: A,
    identity: Identity,
    epoch: Epoch,
    root: FreshnessRoot,
    predecessor: [u8; DIGEST_BYTES],
    generation: u64,
    /// The checkpoint that a recovery would start from; there is one from the first flush on.
    active: Option<Header>,
    span: Span,
    pub(crate) state: Records,
    pub(crate) staged: Records,
    checkpoint: Checkpoint,
    record: Zeroizing<Vec<u8>>,
    stopped: bool,
    recovery: Recovery,
}

/// What stays the same from epoch to epoch, until keys are changed.
pub(crate) struct Identity {
    pub(crate) store_id: StoreId,
    pub(crate) store_key: StoreKey,
    pub(crate) wrapped_key: WrappedKey,
}

/// An opening of the store, from recovery to power-off.
struct Epoch {
    boot_nonce: BootNonce,
    cipher: Cipher,
}

/// The end of what a recovery (or formatting) found, from which a store goes on.
pub(crate) struct Past {
    pub(crate) identity: Identity,
    pub(crate) generation: u64,
    pub(crate) root: FreshnessRoot,
    pub(crate) span: Span,
    pub(crate) state: Records,
    pub(crate) recovery: Recovery,
}

/// What a recovery found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The history that was on the disk, before this opening became part of it.
    pub root: FreshnessRoot,
    /// Commits that were read from the log.
    pub replayed: u32,
    /// Whether the log ended in a commit that was never acknowledged, or in damage that looks alike.
    pub torn_tail: bool,
}

/// What [`Store::maintain`] left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maintenance {
    /// Nothing.
    Done,
    /// At least another step.
    Pending,
}

impl<D: BlockDevice, A: Anchor> Store<D, A> {
    /// Opens a new epoch on what was recovered: a fresh boot nonce, and a checkpoint that makes it
    /// durable before the first record is sealed.
    pub(crate) fn open(
        volume: Volume<D>,
        anchor: A,
        past: Past,
        random: &mut impl TryCryptoRng,
    ) -> Result<Self, Error> {
        let Past { identity, generation, root, span, state, recovery } = past;
        let geometry = *volume.geometry();
        let epoch = Epoch::draw(&identity, root.epoch, random)?;
        let mut store = Self {
            anchor,
            identity,
            epoch,
            root,
            predecessor: root.digest,
            generation,
            active: None,
            span,
            state,
            staged: Records::new(geometry.transaction_bytes())?,
            checkpoint: Checkpoint::new(&geometry)?,
            record: memory::zeros(
                geometry.largest_record_blocks() as usize * geometry.block_bytes(),
            )?,
            stopped: false,
            recovery,
            volume,
        };
        store.begin_epoch()?;
        Ok(store)
    }

    /// The value of a record, as of the last commit.
    #[must_use]
    pub fn value(&self, name: &[u8]) -> Option<&[u8]> {
        match self.state.find(name)? {
            Change::Put(value) => Some(value),
            Change::Delete => None,
        }
    }

    /// All records by ascending name, as of the last commit.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.state.iter().filter_map(|located| match located.change {
            Change::Put(value) => Some((located.name, value)),
            Change::Delete => None,
        })
    }

    /// The history up to the last commit: what attestation carries.
    #[must_use]
    pub fn root(&self) -> FreshnessRoot {
        self.root
    }

    /// What the recovery that opened this store found.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// How much the store can hold.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        self.volume.geometry().capacity()
    }

    /// Bytes that the records take, counted as [`Capacity::state_bytes`] counts.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.state.bytes()
    }

    /// Starts a transaction. It changes nothing until it is committed.
    pub fn transaction(&mut self) -> Transaction<'_, D, A> {
        self.staged.clear();
        Transaction::new(self)
    }

    /// The device underneath.
    pub fn device(&self) -> &D {
        self.volume.device()
    }

    /// Ends the use of the store and gives the device back. Nothing is written: every commit is
    /// durable already.
    pub fn into_device(self) -> D {
        self.volume.into_device()
    }

    /// One bounded step of compaction, at most one unit of 4 KiB or one header, for times when nobody
    /// waits. Commits make such steps themselves when the log fills up, so calling this is never
    /// necessary.
    ///
    /// # Errors
    /// As for a commit, apart from capacity.
    pub fn maintain(&mut self) -> Result<Maintenance, Error> {
        self.guarded(|store| {
            if store.checkpoint.is_idle() {
                if store.span.used <= store.volume.geometry().log_blocks() / 4 {
                    return Ok(Maintenance::Done);
                }
                store.start_checkpoint()?;
            }
            store.checkpoint.step(&mut store.volume, &store.identity.store_key)?;
            if store.checkpoint.awaits_flush() {
                store.flush()?;
            }
            let idle = store.checkpoint.is_idle();
            Ok(if idle { Maintenance::Done } else { Maintenance::Pending })
        })
    }

    /// Seals the store key under another master key. Nothing else is encrypted again, so whoever has
    /// the old key and an old copy of the disk still reads what is written later: see
    /// [`Self::rotate`]. When this returns the old key no longer opens the disk; after a crash in the
    /// middle both keys may.
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
            store.rewrite_twins()
        })
    }

    /// Seals everything again under a new store key and another master key. When this returns, nothing
    /// that is written from now on can be read with the old master key, even by someone who
    /// has an old copy of the disk. After a crash in the middle one of the keys opens the disk: try the
    /// new one first.
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
        let identity = Identity { store_id, store_key, wrapped_key };
        let epoch = Epoch::draw(&identity, self.root.epoch, random)?;
        self.guarded(|store| {
            store.finish_checkpoint()?;
            store.identity = identity;
            store.epoch = epoch;
            store.begin_epoch()?;
            store.retire_other_area()
        })
    }

    /// Commits what is staged. [`Transaction::commit`] documents it.
    pub(crate) fn commit(&mut self) -> Result<FreshnessRoot, Error> {
        if self.stopped {
            return Err(Error::Stopped);
        }
        if self.staged.is_empty() {
            return Ok(self.root);
        }
        self.check_room()?;
        self.guarded(|store| {
            store.make_log_room()?;
            store.append_record()
        })
    }

    /// Runs an operation that writes; its first failure stops the store.
    fn guarded<T>(
        &mut self,
        operation: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.stopped {
            return Err(Error::Stopped);
        }
        self.stopped = true;
        let result = operation(self)?;
        self.stopped = false;
        Ok(result)
    }

    /// Whether the state after the staged changes keeps to its limit.
    fn check_room(&self) -> Result<(), Error> {
        let mut after = self.state.bytes();
        for located in self.staged.iter() {
            let size = |change: Change<'_>| match change {
                Change::Put(value) => crate::records::record_bytes(located.name, value),
                Change::Delete => 0,
            };
            let before = self.state.find(located.name).map_or(0, size);
            after = after.saturating_sub(before).saturating_add(size(located.change));
        }
        if after <= self.volume.geometry().state_bytes() {
            Ok(())
        } else {
            Err(Error::Capacity(Limit::StateBytes))
        }
    }

    fn staged_blocks(&self) -> u32 {
        self.volume.geometry().record_blocks(self.staged.bytes())
    }

    /// Starts a checkpoint when the log is half full, and finishes it here and now in the rare case
    /// that the staged record would not fit otherwise.
    fn make_log_room(&mut self) -> Result<(), Error> {
        let geometry = *self.volume.geometry();
        let blocks = self.staged_blocks();
        let half = geometry.log_blocks() / 2;
        if self.checkpoint.is_idle() && self.span.used.saturating_add(blocks) > half {
            self.start_checkpoint()?;
        }
        // The first round finishes what is under way, the second would free all of the log.
        for _ in 0..2 {
            if self.span.free(&geometry) >= blocks {
                return Ok(());
            }
            if self.checkpoint.is_idle() {
                self.start_checkpoint()?;
            }
            self.finish_checkpoint()?;
        }
        if self.span.free(&geometry) >= blocks {
            Ok(())
        } else {
            Err(Error::Internal(Invariant::LogFull))
        }
    }

    /// Seals and writes the staged record, makes it durable, anchors it, applies it.
    fn append_record(&mut self) -> Result<FreshnessRoot, Error> {
        let geometry = *self.volume.geometry();
        let blocks = self.staged_blocks();
        let sequence = next(self.root.sequence)?;
        let header = RecordHeader {
            blocks: u16::try_from(blocks).map_err(|_| Error::Internal(Invariant::BufferLength))?,
            store_id: self.identity.store_id,
            epoch: self.root.epoch,
            sequence,
        };
        let record = (blocks as usize)
            .checked_mul(geometry.block_bytes())
            .and_then(|bytes| self.record.get_mut(..bytes))
            .ok_or(Error::Internal(Invariant::BufferLength))?;
        let cipher = &self.epoch.cipher;
        let digest = log::seal(record, header, cipher, &self.root.digest, self.staged.as_bytes())?;
        self.volume.write_log(self.span.end(&geometry), record)?;
        for _ in 0..self.pace(blocks) {
            self.checkpoint.step(&mut self.volume, &self.identity.store_key)?;
        }
        self.span.used = self.span.used.saturating_add(blocks);
        self.flush()?;
        self.advance(FreshnessRoot { epoch: self.root.epoch, sequence, digest })?;
        apply(&mut self.state, &self.staged, geometry.state_bytes())?;
        self.staged.clear();
        Ok(self.root)
    }

    /// How many steps of compaction go with a record of `blocks` blocks, so that the checkpoint is
    /// done when no more than two of the largest records still fit.
    fn pace(&self, blocks: u32) -> u32 {
        let geometry = self.volume.geometry();
        let reserve = geometry.largest_record_blocks().saturating_mul(2);
        let margin = self.span.free(geometry).saturating_sub(reserve);
        let remaining = self.checkpoint.remaining_steps();
        if margin <= blocks {
            return remaining;
        }
        remaining.saturating_mul(blocks).div_ceil(margin)
    }

    /// Makes everything written durable, and lets a checkpoint that is complete take over.
    fn flush(&mut self) -> Result<(), Error> {
        self.volume.flush()?;
        if let Some(Complete { header, covered_blocks }) = self.checkpoint.flushed() {
            self.span.start = header.log_start;
            self.span.used = self.span.used.saturating_sub(covered_blocks);
            self.generation = header.generation;
            self.active = Some(header);
        }
        Ok(())
    }

    fn start_checkpoint(&mut self) -> Result<(), Error> {
        let geometry = *self.volume.geometry();
        let header = Header {
            geometry,
            store_id: self.identity.store_id,
            generation: next(self.generation)?,
            root: self.root,
            predecessor: self.predecessor,
            boot_nonce: self.epoch.boot_nonce,
            log_start: self.span.end(&geometry),
            body_bytes: u32::try_from(self.state.bytes())
                .map_err(|_| Error::Internal(Invariant::BufferLength))?,
            wrapped_key: self.identity.wrapped_key,
        };
        self.checkpoint.start(header, self.span.used, &self.identity.store_key, &self.state)
    }

    /// Takes all remaining steps of a checkpoint.
    fn finish_checkpoint(&mut self) -> Result<(), Error> {
        // One round more than there are writes and waits for a flush.
        for _ in 0..self.checkpoint.remaining_steps().saturating_add(3) {
            if self.checkpoint.is_idle() {
                return Ok(());
            }
            self.checkpoint.step(&mut self.volume, &self.identity.store_key)?;
            if self.checkpoint.awaits_flush() {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Makes the epoch that was drawn the current one.
    fn begin_epoch(&mut self) -> Result<(), Error> {
        let epoch = next(self.root.epoch)?;
        let root = FreshnessRoot {
            epoch,
            sequence: next(self.root.sequence)?,
            digest: chain_epoch(&self.root.digest, epoch, &self.epoch.boot_nonce),
        };
        self.predecessor = self.root.digest;
        self.root = root;
        self.start_checkpoint()?;
        self.finish_checkpoint()?;
        Ok(self.anchor.advance(&root)?)
    }

    fn advance(&mut self, root: FreshnessRoot) -> Result<(), Error> {
        self.anchor.advance(&root)?;
        self.predecessor = self.root.digest;
        self.root = root;
        Ok(())
    }

    /// Puts the current wrapping into the headers in use, one twin after the other, so that one of
    /// them is whole at any time.
    fn rewrite_twins(&mut self) -> Result<(), Error> {
        let block_bytes = self.volume.geometry().block_bytes();
        let broken = Error::Internal(Invariant::BufferLength);
        let header = self.active.as_mut().ok_or(broken)?;
        header.wrapped_key = self.identity.wrapped_key;
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

impl Epoch {
    /// Draws the boot nonce of the epoch after `previous`.
    fn draw(
        identity: &Identity,
        previous: u64,
        random: &mut impl TryCryptoRng,
    ) -> Result<Self, Error> {
        let boot_nonce = draw::<32>(random)?;
        let Identity { store_id, store_key, .. } = identity;
        let cipher = store_key.log_cipher(store_id, next(previous)?, &boot_nonce)?;
        Ok(Self { boot_nonce, cipher })
    }
}

/// Applies the changes of a record; `state` has room for both lists together.
pub(crate) fn apply(
    state: &mut Records,
    changes: &Records,
    state_limit_bytes: usize,
) -> Result<(), Error> {
    for located in changes.iter() {
        match located.change {
            Change::Put(_) => state
                .set(located.name, located.change, Limit::StateBytes)
                .map_err(|_| Error::Internal(Invariant::Apply))?,
            Change::Delete => state.remove(located.name),
        }
    }
    if state.bytes() <= state_limit_bytes { Ok(()) } else { Err(Error::Internal(Invariant::Apply)) }
}

/// The state's memory: its limit, and as much again as a transaction may add before it deletes.
pub(crate) fn new_state(geometry: &Geometry) -> Result<Records, Error> {
    Records::new(geometry.state_bytes().saturating_add(geometry.transaction_bytes()))
}

fn next(counter: u64) -> Result<u64, Error> {
    counter.checked_add(1).ok_or(Error::Internal(Invariant::CounterExhausted))
}

/// Bytes that need to be fresh, not secret.
pub(crate) fn draw<const N: usize>(random: &mut impl TryCryptoRng) -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    random.try_fill_bytes(&mut bytes).map_err(|_| Error::Randomness)?;
    Ok(bytes)
}

/// Bytes of a key.
pub(crate) fn draw_secret(random: &mut impl TryCryptoRng) -> Result<Zeroizing<[u8; 32]>, Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    random.try_fill_bytes(&mut *bytes).map_err(|_| Error::Randomness)?;
    Ok(bytes)
}
