// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of pages that PVALIDATE, DEPOSIT_MEM and WITHDRAW_MEM take (AMD 58019, core protocol).
//!
//! ```text
//! +0  u16 entries    +2  u16 next entry    +4  u32 reserved    +8  u64 × entries
//! ```
//! It lies in the guest's memory and must not cross its page. It is copied once: what the guest
//! writes into it during the call has no effect. Before each write the place is checked again:
//! another vCPU may have turned the list's page into a VMSA meanwhile, where a count can be a VMPL.

use super::Services;
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
        services: &Services,
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
        self.write_next(services, machine, next)?;
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

    fn write_next(
        &self,
        services: &Services,
        machine: &mut dyn Machine,
        next: usize,
    ) -> Result<(), Refusal> {
        let next = u16::try_from(next).map_err(|_| Refusal::InvalidParameter)?;
        write(services, machine, self.address.saturating_add(2), &next.to_le_bytes())
    }

    /// Replaces the guest's list by `entries` (at most as many as the guest's list had).
    pub fn replace(
        &self,
        services: &Services,
        machine: &mut dyn Machine,
        entries: &[u64],
    ) -> Result<(), Refusal> {
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
        write(services, machine, self.address, written)
    }
}

/// Writes to a list whose page is still the guest's to use. The lock keeps it that until the write
/// is done.
fn write(
    services: &Services,
    machine: &mut dyn Machine,
    address: u64,
    bytes: &[u8],
) -> Result<(), Refusal> {
    let state = services.core_after_effects();
    state.pages().check_range(machine, address, bytes.len() as u64)?;
    machine.write_guest(address, bytes).map_err(|_| Refusal::InvalidAddress)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fake::{FakeMachine, SEV_FEATURES};
    use crate::protocol::{Caller, Registers, dispatch};

    /// A page that is a good VMSA, and a list whose "next" is the VMSA's VMPL and CPL.
    const PAGE: u64 = 0x1000_6000;
    const LIST: u64 = PAGE + 0xc8;
    const VMPL_AND_CPL: u64 = PAGE + 0xca;

    /// 256 entries, of which the first two are done.
    fn vmsa_and_list(services: &Services, machine: &mut FakeMachine) -> PageList {
        machine.poke(LIST, &[0, 1, 2, 0]);
        machine.poke(PAGE + 0xd0, &0x1000_u64.to_le_bytes());
        machine.poke(PAGE + 0x3b0, &SEV_FEATURES.to_le_bytes());
        let state = services.core().unwrap();
        PageList::copy_from_guest(machine, &state.pages(), LIST).unwrap()
    }

    /// What another vCPU does meanwhile.
    fn make_vmsa(services: &Services, machine: &mut dyn Machine) {
        let mut call = Registers { rax: 2, rcx: PAGE, rdx: PAGE + 0x1000, r8: 1, r9: 0 };
        dispatch(services, machine, Caller { apic_id: 1 }, &mut call);
    }

    #[test]
    fn a_list_that_has_become_a_vmsa_is_not_written() {
        let (services, mut machine) = (Services::new(), FakeMachine::new());
        let list = vmsa_and_list(&services, &mut machine);
        let mut rounds = 0;
        let outcome = list.for_each_from_next(&services, &mut machine, |machine, _| {
            make_vmsa(&services, machine);
            rounds += 1;
            Ok(())
        });
        assert!(machine.page(PAGE).vmsa && rounds == 254);
        assert_eq!(outcome, Err(Refusal::InvalidAddress));
        assert_eq!(machine.peek(VMPL_AND_CPL, 2), [2, 0]);
    }

    #[test]
    fn nor_replaced() {
        let (services, mut machine) = (Services::new(), FakeMachine::new());
        let list = vmsa_and_list(&services, &mut machine);
        make_vmsa(&services, &mut machine);
        let outcome = list.replace(&services, &mut machine, &[0x1000]);
        assert_eq!(outcome, Err(Refusal::InvalidAddress));
        assert_eq!(machine.peek(VMPL_AND_CPL, 2), [2, 0]);
    }
}
