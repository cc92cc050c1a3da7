// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guest-virtual addresses: walking the guest's own page tables (TCG offers no decode assists), and
//! the way back from a guest-physical address for CR2. AMD 24593, 5.3.

use super::Context;
use crate::layout::{C_BIT, PAGE};
use crate::{bits, physical, world};

const PRESENT: u64 = 1 << 0;
const LARGE: u64 = 1 << 7;
/// Address bits of a table entry, without the C-bit.
const ADDRESS: u64 = (1 << 39) - PAGE;
/// Most table entries looked at when an address is searched.
const SEARCH_LIMIT: u32 = 200_000;

/// A guest-physical address and how it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) gpa: u64,
    pub(crate) private: bool,
}

impl Context {
    /// The translation of a guest-virtual address by the current page tables; `None` if there is
    /// none.
    pub(crate) fn translate(&self, address: u64) -> Option<Target> {
        if self.vmcb.is_unpaged() {
            return Some(Target { gpa: address & 0xffff_ffff, private: true });
        }
        let mut table = self.vmcb.cr3();
        for level in (0..4u32).rev() {
            let shift = 12 + 9 * level;
            let entry = read_entry(table & ADDRESS, address >> shift & 511)?;
            if entry & PRESENT == 0 {
                return None;
            }
            if level == 0 || level < 3 && entry & LARGE != 0 {
                let offset = address & ((1 << shift) - 1);
                let gpa = entry & ADDRESS & !((1 << shift) - 1) | offset;
                return Some(Target { gpa, private: entry & C_BIT != 0 });
            }
            table = entry;
        }
        None
    }

    /// Reads up to eight instruction bytes at RIP, little endian; zeros where there are none.
    pub(crate) fn code_bytes(&self) -> u64 {
        let rip = self.linear_rip();
        let mut bytes = [0u8; 8];
        let mut page = None;
        for (address, byte) in (rip..rip.saturating_add(8)).zip(&mut bytes) {
            if page.is_none() || address.is_multiple_of(PAGE) {
                page = self.translate(address).map(|target| target.gpa.wrapping_sub(address));
            }
            let Some(difference) = page else { break };
            let gpa = address.wrapping_add(difference);
            if !world::memory().rmp.entry(gpa / PAGE).is_memory() {
                break;
            }
            *byte = physical::read(gpa);
        }
        u64::from_le_bytes(bytes)
    }

    /// RIP as a linear address: outside 64-bit code, CS has a base.
    pub(crate) fn linear_rip(&self) -> u64 {
        const LONG_CODE: u16 = 1 << 9;
        let (rip, cs) = (self.vmcb.rip(), self.vmcb.cs());
        if cs.attributes & LONG_CODE != 0 { rip } else { (cs.base + rip) & 0xffff_ffff }
    }

    /// The guest-virtual address through which the guest reached a page, for CR2. First what the
    /// current instruction can have used: its own bytes, the stack, string and other registers.
    /// Then the tables are searched. `None` if the search gives up.
    pub(crate) fn virtual_address_of(&self, gpa: u64) -> Option<u64> {
        if self.vmcb.is_unpaged() {
            return Some(gpa);
        }
        let page = gpa & !(PAGE - 1);
        let matches = |address: u64| {
            let target = self.translate(address)?;
            (target.private && target.gpa & !(PAGE - 1) == page)
                .then_some(address & !(PAGE - 1) | gpa & (PAGE - 1))
        };
        let rip = self.linear_rip();
        let rsp = self.vmcb.rsp();
        let fixed = [rip, rip.wrapping_add(14), rsp, rsp.wrapping_sub(8), self.vmcb.rax()];
        let registers = (1..16).filter_map(|number| self.registers.by_number(number));
        fixed.into_iter().chain(registers).find_map(matches).or_else(|| {
            let mut search = Search { page, budget: SEARCH_LIMIT };
            let address = search.in_table(self.vmcb.cr3(), 3, 0)?;
            Some(address | gpa & (PAGE - 1))
        })
    }
}

/// A search of the guest's tables for a private mapping of a page.
struct Search {
    page: u64,
    budget: u32,
}

impl Search {
    fn in_table(&mut self, table: u64, level: u32, base: u64) -> Option<u64> {
        let shift = 12 + 9 * level;
        for slot in 0..512u64 {
            self.budget = self.budget.checked_sub(1)?;
            let Some(entry) = read_entry(table & ADDRESS, slot) else { continue };
            if entry & PRESENT == 0 {
                continue;
            }
            let address = canonical(base | slot << shift);
            if level == 0 || level < 3 && entry & LARGE != 0 {
                let start = entry & ADDRESS & !((1 << shift) - 1);
                let inside = (start..start + (1 << shift)).contains(&self.page);
                if inside && entry & C_BIT != 0 {
                    return Some(address + (self.page - start));
                }
            } else if let Some(found) = self.in_table(entry, level - 1, address) {
                return Some(found);
            }
        }
        None
    }
}

/// Reads an entry of a guest table; `None` where there is no guest memory.
fn read_entry(table: u64, slot: u64) -> Option<u64> {
    if !world::memory().rmp.entry(table / PAGE).is_memory() {
        return None;
    }
    Some(physical::read(table + slot * 8))
}

/// Extends bit 47.
#[expect(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "sign extension")]
const fn canonical(address: u64) -> u64 {
    ((address << 16) as i64 >> 16) as u64
}

/// What kind of access a nested page fault was. EXITINFO1: AMD 24593, 15.25.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NestedFault {
    pub(crate) write: bool,
    pub(crate) fetch: bool,
    pub(crate) table_walk: bool,
}

impl NestedFault {
    pub(crate) const fn decode(exit_info_1: u64) -> Self {
        Self {
            write: bits::field(exit_info_1, 1, 1) != 0,
            fetch: bits::field(exit_info_1, 4, 4) != 0,
            table_walk: bits::field(exit_info_1, 33, 33) != 0,
        }
    }

    /// For reports.
    pub(crate) const fn name(self) -> &'static str {
        match (self.table_walk, self.fetch, self.write) {
            (true, ..) => "table-walk",
            (_, true, _) => "execute",
            (_, _, true) => "write",
            _ => "read",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_faults_say_what_was_tried() {
        assert_eq!(NestedFault::decode(1 << 33 | 2).name(), "table-walk");
        assert_eq!(NestedFault::decode(1 << 4 | 4).name(), "execute");
        assert_eq!(NestedFault::decode(1 << 32 | 7).name(), "write");
        assert_eq!(NestedFault::decode(1 << 32 | 5).name(), "read");
    }

    #[test]
    fn the_upper_half_is_canonical() {
        assert_eq!(canonical(1 << 47), 0xffff_8000_0000_0000);
        assert_eq!(canonical(1 << 46), 1 << 46);
    }
}
