// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commits, and the compaction that goes with them.

use super::{Store, next};
use crate::anchor::{Anchor, FreshnessRoot};
use crate::checkpoint::Complete;
use crate::device::BlockDevice;
use crate::error::{Error, Invariant, Limit};
use crate::header::Header;
use crate::log::{self, RecordHeader};
use crate::records::{Change, Records};

/// What [`Store::maintain`] left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maintenance {
    /// Nothing.
    Done,
    /// At least another step.
    Pending,
}

impl<D: BlockDevice, A: Anchor> Store<D, A> {
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

    /// One bounded step of compaction, at most one unit of 4 KiB or one header, for times when
    /// nobody waits. Commits make such steps themselves when the log fills up, so calling this is
    /// never necessary.
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

    fn advance(&mut self, root: FreshnessRoot) -> Result<(), Error> {
        self.anchor.advance(&root)?;
        self.predecessor = self.root.digest;
        self.root = root;
        Ok(())
    }

    /// Makes everything written durable, and lets a checkpoint that is complete take over.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.volume.flush()?;
        if let Some(Complete { header, covered_blocks }) = self.checkpoint.flushed() {
            self.span.start = header.log_start;
            self.span.used = self.span.used.saturating_sub(covered_blocks);
            self.generation = header.generation;
            self.active = Some(header);
        }
        Ok(())
    }

    pub(super) fn start_checkpoint(&mut self) -> Result<(), Error> {
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
            label: self.identity.label,
            wrapped_key: self.identity.wrapped_key,
        };
        self.checkpoint.start(header, self.span.used, &self.identity.store_key, &self.state)
    }

    /// Takes all remaining steps of a checkpoint.
    pub(super) fn finish_checkpoint(&mut self) -> Result<(), Error> {
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
