// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checkpoints: the whole state, written to the area that isn't in use, one bounded step at a time.
//!
//! A checkpoint starts by copying the state. Its units are then sealed and written one by one while
//! commits go on; a flush, which every commit makes anyway, ends the body; the header twins follow;
//! and only after another flush does the old checkpoint's log count as free. A crash at any point
//! leaves either the old checkpoint with its whole log, or the new one with the log after it.

extern crate alloc;
use alloc::vec::Vec;

use zeroize::{Zeroize, Zeroizing};

use crate::device::BlockDevice;
use crate::error::{Error, Evidence, Invariant};
use crate::geometry::{Geometry, UNIT_BYTES, UNIT_PAYLOAD_BYTES};
use crate::header::Header;
use crate::memory;
use crate::records::{Records, is_well_formed};
use crate::seal::{Cipher, StoreKey, TAG_BYTES};
use crate::volume::Volume;

/// How far the current checkpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is none under way.
    Idle,
    /// Units from this one on are to be written.
    Units(u32),
    /// All units are written and not yet durable.
    BodyWritten,
    /// The body is durable; the header is to be written.
    BodyDurable,
    /// The header is written and not yet durable.
    HeaderWritten,
}

/// What the checkpoint under way will stand for.
struct Plan {
    header: Header,
    cipher: Cipher,
    covered_blocks: u32,
}

/// A checkpoint that has become durable.
pub(crate) struct Complete {
    pub(crate) header: Header,
    /// Blocks of the log that were live when it started and are free now.
    pub(crate) covered_blocks: u32,
}

/// A checkpoint under way, with all the memory that any checkpoint needs.
///
/// Once started it must be finished before the next one starts in this epoch: its generation is
/// part of its key, and another state under the same key would repeat nonces.
pub(crate) struct Checkpoint {
    phase: Phase,
    plan: Option<Plan>,
    snapshot: Zeroizing<Vec<u8>>,
    unit: Zeroizing<Vec<u8>>,
    block: Zeroizing<Vec<u8>>,
}

impl Checkpoint {
    pub(crate) fn new(geometry: &Geometry) -> Result<Self, Error> {
        Ok(Self {
            phase: Phase::Idle,
            plan: None,
            snapshot: memory::reserve(geometry.state_bytes())?,
            unit: memory::zeros(UNIT_BYTES)?,
            block: memory::zeros(geometry.block_bytes())?,
        })
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// Whether the next step has to wait for a flush.
    pub(crate) fn awaits_flush(&self) -> bool {
        matches!(self.phase, Phase::BodyWritten | Phase::HeaderWritten)
    }

    /// Writes that are still to be made.
    pub(crate) fn remaining_steps(&self) -> u32 {
        match self.phase {
            Phase::Idle | Phase::HeaderWritten => 0,
            Phase::Units(next) => unit_count(self.snapshot.len()).saturating_sub(next) + 1,
            Phase::BodyWritten | Phase::BodyDurable => 1,
        }
    }

    /// Takes the state as it is now. `covered_blocks` are the log's live blocks, which `header`'s
    /// log start leaves behind.
    pub(crate) fn start(
        &mut self,
        header: Header,
        covered_blocks: u32,
        store_key: &StoreKey,
        state: &Records,
    ) -> Result<(), Error> {
        let Header { store_id, root, boot_nonce, generation, .. } = &header;
        let cipher = store_key.checkpoint_cipher(store_id, root.epoch, boot_nonce, *generation)?;
        if !self.is_idle() || state.bytes() > self.snapshot.capacity() {
            return Err(Error::Internal(Invariant::BufferLength));
        }
        self.snapshot.clear();
        self.snapshot.extend_from_slice(state.as_bytes());
        self.plan = Some(Plan { header, cipher, covered_blocks });
        self.phase = if state.is_empty() { Phase::BodyDurable } else { Phase::Units(0) };
        Ok(())
    }

    /// Writes one unit or the header. Does nothing when a flush must come first.
    pub(crate) fn step<D: BlockDevice>(
        &mut self,
        volume: &mut Volume<D>,
        store_key: &StoreKey,
    ) -> Result<(), Error> {
        let Some(Plan { header, cipher, .. }) = &self.plan else { return Ok(()) };
        match self.phase {
            Phase::Idle | Phase::BodyWritten | Phase::HeaderWritten => {}
            Phase::Units(index) => {
                let unit = as_unit(&mut self.unit)?;
                seal_unit(unit, header, cipher, index, &self.snapshot)?;
                volume.write_unit(header.generation, index, unit)?;
                let next = index.saturating_add(1);
                let last = next >= unit_count(self.snapshot.len());
                self.phase = if last { Phase::BodyWritten } else { Phase::Units(next) };
            }
            Phase::BodyDurable => {
                header.encode(store_key, &mut self.block)?;
                for slot in Header::slots(header.generation) {
                    volume.write_slot(slot, &self.block)?;
                }
                self.phase = Phase::HeaderWritten;
            }
        }
        Ok(())
    }

    /// Takes note of a flush; gives the checkpoint if it is thereby complete.
    pub(crate) fn flushed(&mut self) -> Option<Complete> {
        match self.phase {
            Phase::BodyWritten => {
                self.phase = Phase::BodyDurable;
                None
            }
            Phase::HeaderWritten => {
                self.phase = Phase::Idle;
                self.snapshot.as_mut_slice().zeroize();
                let Plan { header, covered_blocks, .. } = self.plan.take()?;
                Some(Complete { header, covered_blocks })
            }
            Phase::Idle | Phase::Units(_) | Phase::BodyDurable => None,
        }
    }
}

/// Units of a body of `bytes` bytes.
fn unit_count(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_PAYLOAD_BYTES)).unwrap_or(u32::MAX)
}

fn as_unit(bytes: &mut [u8]) -> Result<&mut [u8; UNIT_BYTES], Error> {
    bytes.try_into().map_err(|_| Error::Internal(Invariant::BufferLength))
}

fn seal_unit(
    unit: &mut [u8; UNIT_BYTES],
    header: &Header,
    cipher: &Cipher,
    index: u32,
    body: &[u8],
) -> Result<(), Error> {
    let broken = Error::Internal(Invariant::BufferLength);
    let (text, tag) = unit.split_last_chunk_mut::<TAG_BYTES>().ok_or(broken)?;
    let part = body.chunks(UNIT_PAYLOAD_BYTES).nth(index as usize).ok_or(broken)?;
    let (front, padding) = text.split_at_mut_checked(part.len()).ok_or(broken)?;
    front.copy_from_slice(part);
    padding.fill(0);
    *tag = cipher.seal(u64::from(index), &header.root.digest, text)?;
    Ok(())
}

/// Reads the body that `header` describes.
pub(crate) fn read_body<D: BlockDevice>(
    volume: &mut Volume<D>,
    header: &Header,
    store_key: &StoreKey,
    state: &mut Records,
) -> Result<(), Error> {
    let Header { store_id, root, boot_nonce, generation, .. } = header;
    let cipher = store_key.checkpoint_cipher(store_id, root.epoch, boot_nonce, *generation)?;
    let mut unit = memory::zeros(UNIT_BYTES)?;
    let unit = as_unit(&mut unit)?;
    let mut remaining = header.body_bytes as usize;
    for index in 0..unit_count(remaining) {
        volume.read_unit(*generation, index, unit)?;
        let broken = Error::Internal(Invariant::BufferLength);
        let (text, tag) = unit.split_last_chunk_mut::<TAG_BYTES>().ok_or(broken)?;
        if !cipher.open(u64::from(index), &root.digest, text, tag) {
            return Err(Error::Tampered(Evidence::CheckpointBody));
        }
        let part = text.get(..remaining.min(text.len())).ok_or(broken)?;
        state.append(part)?;
        remaining = remaining.saturating_sub(part.len());
    }
    if is_well_formed(state.as_bytes(), false) {
        Ok(())
    } else {
        Err(Error::Internal(Invariant::AuthenticNonsense))
    }
}
