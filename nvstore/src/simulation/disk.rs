// SPDX-License-Identifier: MIT OR Apache-2.0
//! A disk in memory that counts, records and fails as it is told.

use std::cell::RefCell;
use std::rc::Rc;
use std::vec::Vec;

use super::random::SimulatedRandom;
use crate::{BlockDevice, DeviceError, FreshnessRoot};

/// What happened to the outside world, in order.
#[derive(Clone, Debug)]
pub enum Event {
    /// One block was written.
    Write {
        /// Its number.
        block: u64,
        /// Its new content.
        content: Vec<u8>,
    },
    /// Everything before became durable.
    Flush,
    /// An anchor advanced.
    Anchored(FreshnessRoot),
}

/// A record of events that a disk and an anchor share.
pub type Trace = Rc<RefCell<Vec<Event>>>;

/// What a disk was asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of `read`.
    pub reads: u64,
    /// Calls of `write`.
    pub writes: u64,
    /// Blocks in those calls.
    pub blocks_written: u64,
    /// Calls of `flush`.
    pub flushes: u64,
}

/// A disk in memory.
#[derive(Clone)]
pub struct SimulatedDisk {
    block_bytes: usize,
    image: Vec<u8>,
    counts: Counts,
    trace: Option<Trace>,
    fault: Option<Fault>,
}

/// A failure to come: after so many operations, and then always.
#[derive(Clone, Debug)]
struct Fault {
    countdown: u64,
    random: SimulatedRandom,
}

impl SimulatedDisk {
    /// A disk of zeros.
    #[must_use]
    pub fn blank(block_bytes: usize, blocks: usize) -> Self {
        Self::with_image(block_bytes, std::vec![0; block_bytes * blocks])
    }

    /// A disk with this content.
    #[must_use]
    pub fn with_image(block_bytes: usize, image: Vec<u8>) -> Self {
        Self { block_bytes, image, counts: Counts::default(), trace: None, fault: None }
    }

    /// Reports every block written, and every flush, to `trace`.
    #[must_use]
    pub fn traced(mut self, trace: &Trace) -> Self {
        self.trace = Some(Rc::clone(trace));
        self
    }

    /// Fails from the operation after the next `countdown` ones on. The first write that fails
    /// leaves its blocks in any mixture of old and new.
    #[must_use]
    pub fn failing_after(mut self, countdown: u64, seed: u64) -> Self {
        self.fault = Some(Fault { countdown, random: SimulatedRandom::new(seed) });
        self
    }

    /// The content.
    #[must_use]
    pub fn image(&self) -> &[u8] {
        &self.image
    }

    /// Gives the content away.
    #[must_use]
    pub fn into_image(self) -> Vec<u8> {
        self.image
    }

    /// What was asked since the disk was made.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether this operation fails.
    fn fails(&mut self) -> bool {
        let Some(fault) = &mut self.fault else { return false };
        let fails = fault.countdown == 0;
        fault.countdown = fault.countdown.saturating_sub(1);
        fails
    }

    fn range(&self, first: u64, bytes: usize) -> Result<core::ops::Range<usize>, DeviceError> {
        let start = usize::try_from(first).ok().and_then(|n| n.checked_mul(self.block_bytes));
        let start = start.ok_or(DeviceError::OutOfRange)?;
        let end = start.checked_add(bytes).ok_or(DeviceError::OutOfRange)?;
        let whole = bytes != 0 && bytes.is_multiple_of(self.block_bytes);
        if whole && end <= self.image.len() { Ok(start..end) } else { Err(DeviceError::OutOfRange) }
    }
}

/// Leaves in `old` what a write of `new` may leave when it does not complete.
pub fn tear(old: &mut [u8], new: &[u8], random: &mut SimulatedRandom) {
    let split = random.below(new.len() + 1);
    let kind = random.below(4);
    for (at, (old, new)) in old.iter_mut().zip(new).enumerate() {
        let changes = match kind {
            0 => at < split,
            1 => at >= split,
            2 => random.one_in(2),
            _ => false,
        };
        if changes {
            *old = *new;
        }
    }
}

impl BlockDevice for SimulatedDisk {
    fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    fn block_count(&self) -> u64 {
        self.image.len().checked_div(self.block_bytes).unwrap_or_default() as u64
    }

    fn read(&mut self, first_block: u64, into: &mut [u8]) -> Result<(), DeviceError> {
        self.counts.reads += 1;
        let range = self.range(first_block, into.len())?;
        if self.fails() {
            return Err(DeviceError::Failed);
        }
        into.copy_from_slice(&self.image[range]);
        Ok(())
    }

    fn write(&mut self, first_block: u64, from: &[u8]) -> Result<(), DeviceError> {
        let range = self.range(first_block, from.len())?;
        self.counts.writes += 1;
        self.counts.blocks_written += (from.len() / self.block_bytes) as u64;
        let first_failure = self.fault.as_ref().is_some_and(|fault| fault.countdown == 0);
        if self.fails() {
            if let (true, Some(fault)) = (first_failure, &mut self.fault) {
                let image = self.image[range].chunks_mut(self.block_bytes);
                for (old, new) in image.zip(from.chunks(self.block_bytes)) {
                    tear(old, new, &mut fault.random);
                }
            }
            return Err(DeviceError::Failed);
        }
        self.image[range].copy_from_slice(from);
        if let Some(trace) = &self.trace {
            let contents = from.chunks(self.block_bytes).map(<[u8]>::to_vec);
            let writes = (first_block..).zip(contents);
            trace
                .borrow_mut()
                .extend(writes.map(|(block, content)| Event::Write { block, content }));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        self.counts.flushes += 1;
        if self.fails() {
            return Err(DeviceError::Failed);
        }
        if let Some(trace) = &self.trace {
            trace.borrow_mut().push(Event::Flush);
        }
        Ok(())
    }
}
