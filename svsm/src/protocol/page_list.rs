// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of pages that PVALIDATE, DEPOSIT_MEM and WITHDRAW_MEM take (AMD 58019, core protocol).
//!
//! ```text
//! +0  u16 entries    +2  u16 next entry    +4  u32 reserved    +8  u64 × entries
//! ```
//! It lies in the guest's memory and must not cross its page. It is copied once: what the guest
//! writes into it during the call has no effect.

use super::guest_pages::GuestPages;
use super::outcome::Refusal;
use crate::machine::{Machine, PAGE_BYTES, PAGE_LENGTH};

/// Bytes of the header, and of an entry.
const UNIT: usize = 8;

/// A private copy of a list.
pub struct PageList {
    address: u64,
    room: usize,
    entries: usize,
    next: usize,
    content: [u8; PAGE_LENGTH],
}

impl PageList {
    /// Copies the list at `address` and checks what all its users have in common: alignment, place,
    /// and that all entries lie in the page.
    pub fn copy_from_guest(
        machine: &mut dyn Machine,
        pages: &GuestPages<'_>,
        address: u64,
    ) -> Result<Self, Refusal> {
        if !address.is_multiple_of(UNIT as u64) {
            return Err(Refusal::InvalidParameter);
        }
        let bytes = PAGE_BYTES - address % PAGE_BYTES;
        pages.check_range(machine, address, bytes)?;
        let mut content = [0; PAGE_LENGTH];
        let length = usize::try_from(bytes).map_err(|_| Refusal::InvalidParameter)?;
        let part = content.get_mut(..length).ok_or(Refusal::InvalidParameter)?;
        machine.read_guest(address, part).map_err(|_| Refusal::InvalidAddress)?;
        // The reserved word at +4 is not looked at: Linux leaves there what was on the page.
        let [low, high, next_low, next_high, ..] = content;
        let entries = usize::from(u16::from_le_bytes([low, high]));
        let next = usize::from(u16::from_le_bytes([next_low, next_high]));
        let room = length.saturating_sub(UNIT) / UNIT;
        if entries == 0 || entries > room {
            return Err(Refusal::InvalidParameter);
        }
        Ok(Self { address, room, entries, next, content })
    }

    /// Number of entries, at least 1.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Carries out `work` on each entry from `next` on, and records in the guest's list how far it
    /// came.
    pub fn for_each_from_next(
        &self,
        machine: &mut dyn Machine,
        mut work: impl FnMut(&mut dyn Machine, u64) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        if self.next >= self.entries {
            return Err(Refusal::InvalidParameter);
        }
        let mut next = self.next;
        let mut outcome = Ok(());
        // At most 511 rounds.
        while let Some(entry) = self.entry(next) {
            outcome = work(machine, entry);
            if outcome.is_err() {
                break;
            }
            next = next.saturating_add(1);
        }
        self.write_next(machine, next)?;
        match outcome {
            // Progress was recorded, so the right answer to a busy lock is "go on".
            Err(Refusal::Busy) if next > self.next => Err(Refusal::Incomplete),
            other => other,
        }
    }

    /// Guest-physical address of the page that holds the list.
    pub fn page_address(&self) -> u64 {
        self.address - self.address % PAGE_BYTES
    }

    /// The entry at `index`; `None` behind the last one.
    fn entry(&self, index: usize) -> Option<u64> {
        if index >= self.entries {
            return None;
        }
        let start = index.checked_mul(UNIT)?.checked_add(UNIT)?;
        let bytes = self.content.get(start..)?.first_chunk::<8>()?;
        Some(u64::from_le_bytes(*bytes))
    }

    fn write_next(&self, machine: &mut dyn Machine, next: usize) -> Result<(), Refusal> {
        let next = u16::try_from(next).map_err(|_| Refusal::InvalidParameter)?;
        let place = self.address.saturating_add(2);
        machine.write_guest(place, &next.to_le_bytes()).map_err(|_| Refusal::InvalidAddress)
    }

    /// Replaces the guest's list by `entries` (at most as many as the guest's list had).
    pub fn replace(&self, machine: &mut dyn Machine, entries: &[u64]) -> Result<(), Refusal> {
        let count = entries.len().min(self.room);
        let number = u16::try_from(count).map_err(|_| Refusal::InvalidParameter)?;
        let mut bytes = [0; PAGE_LENGTH];
        let (header, body) = bytes.split_at_mut(UNIT);
        for (place, byte) in header.iter_mut().zip(number.to_le_bytes()) {
            *place = byte;
        }
        for (place, entry) in body.chunks_exact_mut(UNIT).zip(entries) {
            place.copy_from_slice(&entry.to_le_bytes());
        }
        let length = count.saturating_mul(UNIT).saturating_add(UNIT);
        let written = bytes.get(..length).ok_or(Refusal::InvalidParameter)?;
        machine.write_guest(self.address, written).map_err(|_| Refusal::InvalidAddress)
    }
}
