// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages shared with the hypervisor: bounce buffers. Whatever is read from them was chosen by the
//! host, and may change between two reads; so bytes are copied out once, by volatile accesses.

use super::{PAGE_BYTES, pointer_sized};

/// A run of shared pages of ours.
#[derive(Debug)]
pub struct SharedPages {
    address: u64,
    length: usize,
}

/// The range leaves the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange;

impl SharedPages {
    /// `count` pages at `address`.
    ///
    /// # Safety
    /// They are shared, mapped shared at their physical address, and used by nothing else.
    pub(crate) unsafe fn new(address: u64, count: usize) -> Self {
        Self { address, length: count * PAGE_BYTES }
    }

    /// Their physical address, for the host.
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// Bytes in all.
    pub const fn size(&self) -> usize {
        self.length
    }

    /// Copies out.
    ///
    /// # Errors
    /// The range leaves the pages.
    pub fn read(&self, offset: usize, buffer: &mut [u8]) -> Result<(), OutOfRange> {
        let start = self.place(offset, buffer.len())?;
        for (index, byte) in buffer.iter_mut().enumerate() {
            // SAFETY: inside the pages, as `place` has checked; no reference covers them.
            *byte = unsafe { start.wrapping_add(index).read_volatile() };
        }
        Ok(())
    }

    /// Copies in.
    ///
    /// # Errors
    /// The range leaves the pages.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), OutOfRange> {
        let start = self.place(offset, bytes.len())?;
        for (index, byte) in bytes.iter().enumerate() {
            // SAFETY: as in `read`.
            unsafe { start.wrapping_add(index).write_volatile(*byte) };
        }
        Ok(())
    }

    /// Reads two bytes, little endian, in one access.
    ///
    /// # Errors
    /// The range leaves the pages, or `offset` is odd.
    pub fn read_half(&self, offset: usize) -> Result<u16, OutOfRange> {
        let place = self.half(offset)?;
        // SAFETY: inside the pages and aligned, as `half` has checked; no reference covers them.
        Ok(u16::from_le(unsafe { place.read_volatile() }))
    }

    /// Writes two bytes, little endian, in one access.
    ///
    /// # Errors
    /// The range leaves the pages, or `offset` is odd.
    pub fn write_half(&mut self, offset: usize, value: u16) -> Result<(), OutOfRange> {
        let place = self.half(offset)?;
        // SAFETY: as in `read_half`.
        unsafe { place.write_volatile(value.to_le()) };
        Ok(())
    }

    fn half(&self, offset: usize) -> Result<*mut u16, OutOfRange> {
        let place = self.place(offset, 2)?;
        // The pages begin on a page.
        if offset.is_multiple_of(2) { Ok(place.cast()) } else { Err(OutOfRange) }
    }

    fn place(&self, offset: usize, length: usize) -> Result<*mut u8, OutOfRange> {
        let end = offset.checked_add(length).ok_or(OutOfRange)?;
        if end > self.length {
            return Err(OutOfRange);
        }
        Ok(core::ptr::with_exposed_provenance_mut(pointer_sized(self.address) + offset))
    }
}
