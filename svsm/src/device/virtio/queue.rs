// SPDX-License-Identifier: MIT OR Apache-2.0
//! A split virtqueue (2.7) with one request at a time, in the first page of shared memory.
//!
//! ```text
//! offset   0     descriptor table: header, data, status
//!          0x40  available ring
//!          0x80  used ring
//!          0xc0  request header
//!          0xd0  status
//! 0x1000…        data
//! ```

use super::{DeviceMemory, QueueAddresses, Transport, VirtioError};
use core::sync::atomic::{Ordering, fence};

/// Entries: a power of two that holds one request.
pub(super) const QUEUE_SIZE: u16 = 4;

const DESCRIPTORS: usize = 0;
const AVAILABLE: usize = 0x40;
const USED: usize = 0x80;
const HEADER: usize = 0xc0;
const STATUS: usize = 0xd0;
/// Where data begins.
pub(super) const DATA: usize = 0x1000;

const DESCRIPTOR_BYTES: usize = 16;
const HEADER_BYTES: u32 = 16;
/// Another descriptor follows.
const FLAG_NEXT: u16 = 1;
/// The device writes.
const FLAG_WRITE: u16 = 2;
/// VIRTQ_AVAIL_F_NO_INTERRUPT.
const NO_INTERRUPT: u16 = 1;
/// What the device can't mean.
const STATUS_UNSET: u8 = 0xff;

/// Looks at the used ring between two looks at the clock.
const POLLS_PER_CLOCK: u32 = 256;
/// Looks at the clock, which is the host's, before the device counts as dead in any case.
const CLOCK_LOOKS_MAX: u32 = 1 << 24;
/// How long the device may take for all writes up to a flush and for the flush, or for one read: a
/// vCPU waits in a call meanwhile, and must not do so for ten seconds.
const PATIENCE_MS: u64 = 8_000;

/// What a request moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    /// Nothing.
    None,
    /// So many bytes to the device.
    Out(u32),
    /// So many bytes from the device.
    In(u32),
}

/// The driver's side of the queue.
pub(super) struct Queue<M> {
    memory: M,
    /// How many requests there were: the next index of both rings.
    count: u16,
    /// Milliseconds, for patience.
    clock_ms: fn() -> u64,
    /// Milliseconds of patience that are used up.
    waited_ms: u64,
}

impl<M: DeviceMemory> Queue<M> {
    /// A queue that is not in use yet.
    pub(super) fn new(mut memory: M, clock_ms: fn() -> u64) -> Result<Self, VirtioError> {
        if memory.size() <= DATA {
            return Err(VirtioError::Geometry);
        }
        memory.write(0, &[0; STATUS + 1])?;
        memory.write_half(AVAILABLE, NO_INTERRUPT)?;
        Ok(Self { memory, count: 0, clock_ms, waited_ms: 0 })
    }

    pub(super) fn addresses(&self) -> QueueAddresses {
        let at = |offset: usize| self.memory.address() + offset as u64;
        QueueAddresses { descriptors: at(DESCRIPTORS), available: at(AVAILABLE), used: at(USED) }
    }

    /// Grants the device its full time again.
    pub(super) fn renew_patience(&mut self) {
        self.waited_ms = 0;
    }

    /// Room for data.
    pub(super) fn capacity(&self) -> usize {
        self.memory.size() - DATA
    }

    /// The shared memory, for data from [`DATA`] on.
    pub(super) fn memory(&mut self) -> &mut M {
        &mut self.memory
    }

    /// Has the device do one request, and returns its status byte.
    pub(super) fn exchange(
        &mut self,
        transport: &mut dyn Transport,
        header: &[u8; HEADER_BYTES as usize],
        transfer: Transfer,
    ) -> Result<u8, VirtioError> {
        self.memory.write(HEADER, header)?;
        self.memory.write(STATUS, &[STATUS_UNSET])?;
        self.describe(transfer)?;
        // The one chain begins at descriptor 0, which is what the ring is full of.
        fence(Ordering::SeqCst);
        self.count = self.count.wrapping_add(1);
        self.memory.write_half(AVAILABLE + 2, self.count)?;
        fence(Ordering::SeqCst);
        let left_ms = PATIENCE_MS.saturating_sub(self.waited_ms);
        if left_ms == 0 {
            return Err(VirtioError::TimedOut);
        }
        let start = (self.clock_ms)();
        transport.notify()?;
        self.wait(start, left_ms)?;
        let waited = (self.clock_ms)().saturating_sub(start);
        self.waited_ms = self.waited_ms.saturating_add(waited);
        fence(Ordering::SeqCst);
        self.check_used()?;
        let mut status = [STATUS_UNSET];
        self.memory.read(STATUS, &mut status)?;
        let [status] = status;
        if status == STATUS_UNSET { Err(VirtioError::Protocol) } else { Ok(status) }
    }

    fn describe(&mut self, transfer: Transfer) -> Result<(), VirtioError> {
        let after_header = if transfer == Transfer::None { 2 } else { 1 };
        self.descriptor(0, HEADER, HEADER_BYTES, FLAG_NEXT, after_header)?;
        match transfer {
            Transfer::None => {}
            Transfer::Out(bytes) => self.descriptor(1, DATA, bytes, FLAG_NEXT, 2)?,
            Transfer::In(bytes) => self.descriptor(1, DATA, bytes, FLAG_NEXT | FLAG_WRITE, 2)?,
        }
        self.descriptor(2, STATUS, 1, FLAG_WRITE, 0)
    }

    fn descriptor(
        &mut self,
        number: usize,
        offset: usize,
        bytes: u32,
        flags: u16,
        next: u16,
    ) -> Result<(), VirtioError> {
        let address = self.memory.address() + offset as u64;
        let mut entry = [0; DESCRIPTOR_BYTES];
        let (place, rest) = entry.split_at_mut(8);
        place.copy_from_slice(&address.to_le_bytes());
        let (length, rest) = rest.split_at_mut(4);
        length.copy_from_slice(&bytes.to_le_bytes());
        let (flag_bytes, next_bytes) = rest.split_at_mut(2);
        flag_bytes.copy_from_slice(&flags.to_le_bytes());
        next_bytes.copy_from_slice(&next.to_le_bytes());
        self.memory.write(DESCRIPTORS + number * DESCRIPTOR_BYTES, &entry)
    }

    /// Waits until the device has used what was offered, and nothing else.
    fn wait(&self, start: u64, left_ms: u64) -> Result<(), VirtioError> {
        let before = self.count.wrapping_sub(1);
        for _ in 0..CLOCK_LOOKS_MAX {
            for _ in 0..POLLS_PER_CLOCK {
                let used = self.memory.read_half(USED + 2)?;
                if used == self.count {
                    return Ok(());
                }
                if used != before {
                    return Err(VirtioError::Protocol);
                }
                core::hint::spin_loop();
            }
            if (self.clock_ms)().saturating_sub(start) > left_ms {
                break;
            }
        }
        Err(VirtioError::TimedOut)
    }

    /// The used element names the chain that was offered. Its length says nothing that matters.
    fn check_used(&self) -> Result<(), VirtioError> {
        let slot = usize::from(self.count.wrapping_sub(1) % QUEUE_SIZE);
        let mut id = [0; 4];
        self.memory.read(USED + 4 + slot * 8, &mut id)?;
        if id == [0; 4] { Ok(()) } else { Err(VirtioError::Protocol) }
    }
}
