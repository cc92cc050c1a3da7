// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fills a byte slice. Every structure has a known largest size, so running out of room is not
//! something that a guest can cause: it is our fault, and says so (TPM_RC_FAILURE).

use super::{Marshal, Result};
use crate::structure::response_code::ResponseCode;

/// A buffer and how much of it is written.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> Writer<'a> {
    /// A writer that starts at the front of `buffer`.
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, length: 0 }
    }

    /// Octets written so far.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing is written yet.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Octets that still fit.
    pub const fn room(&self) -> usize {
        self.buffer.len().saturating_sub(self.length)
    }

    /// What is written so far.
    pub fn written(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// What is written so far, to be changed in place (encryption).
    pub fn written_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(..self.length).unwrap_or_default()
    }

    /// Reserves `length` octets of zero and gives them to the caller to fill.
    pub fn reserve(&mut self, length: usize) -> Result<&mut [u8]> {
        let end = self.length.checked_add(length).ok_or(ResponseCode::FAILURE)?;
        let place = self.buffer.get_mut(self.length..end).ok_or(ResponseCode::FAILURE)?;
        place.fill(0);
        self.length = end;
        Ok(place)
    }

    /// Appends octets.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.reserve(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// Appends a value.
    pub fn value(&mut self, value: &(impl Marshal + ?Sized)) -> Result<()> {
        value.marshal(self)
    }

    /// Appends a TPM2B: a u16 size and the octets.
    pub fn sized_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let size = u16::try_from(bytes.len()).map_err(|_| ResponseCode::FAILURE)?;
        self.value(&size)?;
        self.bytes(bytes)
    }

    /// Appends a u16 size and what `fill` writes behind it.
    pub fn sized(&mut self, fill: impl FnOnce(&mut Writer<'_>) -> Result<()>) -> Result<()> {
        let place = self.length;
        self.value(&0_u16)?;
        let start = self.length;
        fill(self)?;
        let size =
            u16::try_from(self.length.saturating_sub(start)).map_err(|_| ResponseCode::FAILURE)?;
        self.patch(place, &size.to_be_bytes())
    }

    /// Appends a TPM2B that holds one structure.
    pub fn sized_value(&mut self, value: &(impl Marshal + ?Sized)) -> Result<()> {
        self.sized(|writer| writer.value(value))
    }

    /// Overwrites octets that are already written.
    pub fn patch(&mut self, place: usize, bytes: &[u8]) -> Result<()> {
        let end = place.checked_add(bytes.len()).ok_or(ResponseCode::FAILURE)?;
        if end > self.length {
            return Err(ResponseCode::FAILURE);
        }
        self.buffer.get_mut(place..end).ok_or(ResponseCode::FAILURE)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Takes back everything behind `length`.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }
}

/// A list whose u32 count is known only after its entries are written.
#[derive(Debug)]
pub struct Counter {
    place: usize,
    count: u32,
}

impl Counter {
    /// Reserves the place of the count.
    pub fn begin(writer: &mut Writer<'_>) -> Result<Self> {
        let place = writer.len();
        writer.value(&0_u32)?;
        Ok(Self { place, count: 0 })
    }

    /// Appends one entry.
    pub fn entry(&mut self, writer: &mut Writer<'_>, entry: &impl Marshal) -> Result<()> {
        self.count = self.count.saturating_add(1);
        writer.value(entry)
    }

    /// Entries so far.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Fills in the count.
    pub fn end(self, writer: &mut Writer<'_>) -> Result<()> {
        writer.patch(self.place, &self.count.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_our_fault() {
        let mut buffer = [0; 3];
        let mut writer = Writer::new(&mut buffer);
        assert_eq!(writer.value(&1_u32), Err(ResponseCode::FAILURE));
        assert_eq!(writer.sized_bytes(&[1, 2]), Err(ResponseCode::FAILURE));
        assert_eq!(writer.patch(2, &[0, 0]), Err(ResponseCode::FAILURE));
    }

    #[test]
    fn sizes_and_counts_are_filled_in() {
        let mut buffer = [0xee; 16];
        let mut writer = Writer::new(&mut buffer);
        writer.sized(|inner| inner.bytes(&[7, 8, 9])).unwrap();
        let mut list = Counter::begin(&mut writer).unwrap();
        list.entry(&mut writer, &5_u8).unwrap();
        list.end(&mut writer).unwrap();
        assert_eq!(writer.written(), [0, 3, 7, 8, 9, 0, 0, 0, 1, 5]);
    }
}
