// SPDX-License-Identifier: MIT OR Apache-2.0
//! Four-level page tables (APM volume 2, section 5.3), built over a trait so that host tests can
//! walk what the kernel will use.
//!
//! [`Access`] has no value that is both writable and executable: W^X holds by construction.

use super::LARGE_PAGE_SIZE;
use crate::machine::PageSize;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
/// Bits 51:12 of an entry, before the C-bit is taken out.
const FRAME: u64 = 0x000f_ffff_ffff_f000;

/// What a mapping allows, and whether it is private memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Our code.
    Execute,
    /// Our constants, and pages that the launch put into the region.
    Read,
    /// Our data.
    ReadWrite,
    /// Guest memory: a user page, so that with SMAP only the copy routines reach it.
    Guest,
    /// Memory that the hypervisor reads and writes: GHCBs, bounce pages.
    Shared,
}

/// Why a mapping could not be made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// No frame for a table.
    OutOfFrames,
    /// An address is not aligned to the page size, not canonical, or carries the C-bit.
    BadAddress,
    /// Something is mapped there already, or with a page of another size.
    Occupied,
    /// Nothing is mapped there.
    Absent,
}

/// Where tables live.
pub trait TableMemory {
    /// Physical address of a new, zeroed table.
    fn allocate_table(&mut self) -> Option<u64>;
    /// Entry `index` (below 512) of the table at `table`.
    fn entry(&self, table: u64, index: usize) -> u64;
    /// Sets entry `index` (below 512) of the table at `table`.
    fn set_entry(&mut self, table: u64, index: usize, value: u64);
}

/// A tree of tables.
#[derive(Clone, Copy, Debug)]
pub struct PageTable {
    root: u64,
    encryption_mask: u64,
}

impl PageTable {
    /// An empty address space. `encryption_mask` is the C-bit.
    ///
    /// # Errors
    /// `OutOfFrames`.
    pub fn new(memory: &mut impl TableMemory, encryption_mask: u64) -> Result<Self, MapError> {
        let root = memory.allocate_table().ok_or(MapError::OutOfFrames)?;
        Ok(Self { root, encryption_mask })
    }

    /// The value for CR3: the root's address with the C-bit.
    pub const fn cr3(&self) -> u64 {
        self.root | self.encryption_mask
    }

    /// Maps one page.
    ///
    /// # Errors
    /// `BadAddress`, `Occupied`, `OutOfFrames`.
    pub fn map(
        &self,
        memory: &mut impl TableMemory,
        address: u64,
        physical: u64,
        size: PageSize,
        access: Access,
    ) -> Result<(), MapError> {
        if !address.is_multiple_of(size.bytes())
            || !physical.is_multiple_of(size.bytes())
            || physical & !(FRAME & !self.encryption_mask) != 0
            || !is_canonical(address)
        {
            return Err(MapError::BadAddress);
        }
        let table = self.table_for(memory, address, size)?;
        let index = index(address, level_of(size));
        if memory.entry(table, index) & PRESENT != 0 {
            return Err(MapError::Occupied);
        }
        memory.set_entry(table, index, self.leaf(physical, size, access));
        Ok(())
    }

    /// Maps `length` bytes from `address` on to those from `physical` on, with large pages where
    /// both addresses allow it.
    ///
    /// # Errors
    /// As [`map`](Self::map); pages before the failing one stay mapped.
    pub fn map_range(
        &self,
        memory: &mut impl TableMemory,
        address: u64,
        physical: u64,
        length: u64,
        access: Access,
    ) -> Result<(), MapError> {
        let mut done = 0;
        while done < length {
            let (from, to) = (address.wrapping_add(done), physical.wrapping_add(done));
            let large =
                (from | to).is_multiple_of(LARGE_PAGE_SIZE) && length - done >= LARGE_PAGE_SIZE;
            let size = if large { PageSize::Large } else { PageSize::Small };
            self.map(memory, from, to, size, access)?;
            done += size.bytes();
        }
        Ok(())
    }

    /// Gives a mapped small page other permissions, or removes it (`None`: a guard page). The
    /// caller flushes the TLB.
    ///
    /// # Errors
    /// `Absent` when there is no small page at `address`.
    pub fn change(
        &self,
        memory: &mut impl TableMemory,
        address: u64,
        access: Option<Access>,
    ) -> Result<(), MapError> {
        let mut table = self.root;
        for level in (1..4).rev() {
            let entry = memory.entry(table, index(address, level));
            if entry & PRESENT == 0 || entry & LARGE != 0 {
                return Err(MapError::Absent);
            }
            table = self.frame(entry);
        }
        let entry = memory.entry(table, index(address, 0));
        if entry & PRESENT == 0 {
            return Err(MapError::Absent);
        }
        let value =
            access.map_or(0, |access| self.leaf(self.frame(entry), PageSize::Small, access));
        memory.set_entry(table, index(address, 0), value);
        Ok(())
    }

    /// What an address maps to: physical address (without the C-bit) and whether it is private,
    /// writable, executable and a user page. For tests and self-checks.
    pub fn walk(&self, memory: &impl TableMemory, address: u64) -> Option<Translation> {
        let mut table = self.root;
        for level in (0..4).rev() {
            let entry = memory.entry(table, index(address, level));
            if entry & PRESENT == 0 {
                return None;
            }
            if level == 0 || (level == 1 && entry & LARGE != 0) {
                let size = if level == 0 { PageSize::Small } else { PageSize::Large };
                return Some(Translation {
                    physical: self.frame(entry) | address & (size.bytes() - 1),
                    private: entry & self.encryption_mask != 0,
                    writable: entry & WRITABLE != 0,
                    executable: entry & NO_EXECUTE == 0,
                    user: entry & USER != 0,
                });
            }
            table = self.frame(entry);
        }
        None
    }

    /// The table whose entries map pages of `size` around `address`, made if need be.
    fn table_for(
        &self,
        memory: &mut impl TableMemory,
        address: u64,
        size: PageSize,
    ) -> Result<u64, MapError> {
        let mut table = self.root;
        for level in (level_of(size) + 1..4).rev() {
            let index = index(address, level);
            let entry = memory.entry(table, index);
            if entry & PRESENT != 0 && entry & LARGE != 0 {
                return Err(MapError::Occupied);
            }
            table = if entry & PRESENT != 0 {
                self.frame(entry)
            } else {
                let new = memory.allocate_table().ok_or(MapError::OutOfFrames)?;
                // Permissions are the leaves' business: a table allows everything.
                let value = new | self.encryption_mask | PRESENT | WRITABLE | USER | ACCESSED;
                memory.set_entry(table, index, value);
                new
            };
        }
        Ok(table)
    }

    fn leaf(&self, physical: u64, size: PageSize, access: Access) -> u64 {
        // Accessed and dirty are set here so that the processor never writes to a table.
        let permissions = match access {
            Access::Execute => 0,
            Access::Read => NO_EXECUTE,
            Access::ReadWrite | Access::Shared => NO_EXECUTE | WRITABLE | DIRTY,
            Access::Guest => NO_EXECUTE | WRITABLE | DIRTY | USER,
        };
        let encryption = if access == Access::Shared { 0 } else { self.encryption_mask };
        let large = if size == PageSize::Large { LARGE } else { 0 };
        physical | permissions | encryption | large | PRESENT | ACCESSED
    }

    const fn frame(&self, entry: u64) -> u64 {
        entry & FRAME & !self.encryption_mask
    }
}

/// The result of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// Physical address, without the C-bit.
    pub physical: u64,
    /// The C-bit is set.
    pub private: bool,
    /// Writes are allowed.
    pub writable: bool,
    /// Instruction fetches are allowed.
    pub executable: bool,
    /// A user page.
    pub user: bool,
}

/// Number of the level whose entries map pages of this size; the root is level 3.
const fn level_of(size: PageSize) -> u32 {
    match size {
        PageSize::Small => 0,
        PageSize::Large => 1,
    }
}

const fn index(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * level) & 0x1ff) as usize
}

const fn is_canonical(address: u64) -> bool {
    let top = address >> 47;
    top == 0 || top == 0x1_ffff
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const C_BIT: u64 = 1 << 39;

    #[derive(Default)]
    struct Tables {
        tables: HashMap<u64, Vec<u64>>,
        limit: usize,
    }

    impl TableMemory for Tables {
        fn allocate_table(&mut self) -> Option<u64> {
            let address = 0x10_0000 + self.tables.len() as u64 * 4096;
            (self.tables.len() < self.limit).then(|| {
                self.tables.insert(address, vec![0; 512]);
                address
            })
        }
        fn entry(&self, table: u64, index: usize) -> u64 {
            self.tables[&table][index]
        }
        fn set_entry(&mut self, table: u64, index: usize, value: u64) {
            self.tables.get_mut(&table).unwrap()[index] = value;
        }
    }

    fn space(limit: usize) -> (Tables, PageTable) {
        let mut memory = Tables { limit, ..Tables::default() };
        let table = PageTable::new(&mut memory, C_BIT).unwrap();
        (memory, table)
    }

    #[test]
    fn bad_addresses_are_refused() {
        let (mut memory, table) = space(16);
        for (address, physical, size) in [
            (1, 0, PageSize::Small),
            (0, 1, PageSize::Small),
            (0, C_BIT, PageSize::Small),
            (0, 1 << 52, PageSize::Small),
            (0x1000, 0, PageSize::Large),
            (0, 0x1000, PageSize::Large),
            (0x0000_8000_0000_0000, 0, PageSize::Small),
        ] {
            let result = table.map(&mut memory, address, physical, size, Access::Read);
            assert_eq!(result, Err(MapError::BadAddress), "{address:#x} {physical:#x}");
        }
    }

    #[test]
    fn frames_run_out_as_an_error() {
        let (mut memory, table) = space(3);
        let result = table.map(&mut memory, 0, 0, PageSize::Small, Access::Read);
        assert_eq!(result, Err(MapError::OutOfFrames));
    }

    #[test]
    fn nothing_is_mapped_twice() {
        let (mut memory, table) = space(16);
        table.map(&mut memory, 0, 0, PageSize::Large, Access::ReadWrite).unwrap();
        for (address, size) in [(0, PageSize::Large), (0x1000, PageSize::Small)] {
            let result = table.map(&mut memory, address, 0, size, Access::Read);
            assert_eq!(result, Err(MapError::Occupied));
        }
        table.map(&mut memory, 0x20_0000, 0, PageSize::Small, Access::Read).unwrap();
        let result = table.map(&mut memory, 0x20_0000, 0, PageSize::Large, Access::Read);
        assert_eq!(result, Err(MapError::Occupied));
        assert_eq!(table.change(&mut memory, 0x1000, None), Err(MapError::Absent));
    }

    #[test]
    fn writable_is_never_executable_and_shared_is_never_private() {
        let all = [Access::Execute, Access::Read, Access::ReadWrite, Access::Guest, Access::Shared];
        let (mut memory, table) = space(16);
        for (address, access) in (0..).step_by(4096).zip(all) {
            table.map(&mut memory, address, 0x5000, PageSize::Small, access).unwrap();
            let found = table.walk(&memory, address + 0x123).unwrap();
            assert_eq!(found.physical, 0x5123);
            assert!(!(found.writable && found.executable));
            assert_eq!(found.executable, access == Access::Execute);
            assert_eq!(found.private, access != Access::Shared);
            assert_eq!(found.user, access == Access::Guest);
        }
    }

    #[test]
    fn ranges_use_large_pages_where_both_sides_allow() {
        let (mut memory, table) = space(16);
        let window = crate::memory::GUEST_WINDOW;
        table
            .map_range(&mut memory, window + 0x1f_f000, 0x1f_f000, 0x20_2000, Access::Guest)
            .unwrap();
        for offset in [0x1f_f000, 0x20_0000, 0x3f_ffff, 0x40_0fff] {
            assert_eq!(table.walk(&memory, window + offset).unwrap().physical, offset);
        }
        assert_eq!(table.walk(&memory, window + 0x40_1000), None);
        assert_eq!(table.change(&mut memory, window + 0x20_0000, None), Err(MapError::Absent));
        table.change(&mut memory, window + 0x40_0000, Some(Access::Shared)).unwrap();
        assert!(!table.walk(&memory, window + 0x40_0000).unwrap().private);
        table.change(&mut memory, window + 0x40_0000, None).unwrap();
        assert_eq!(table.walk(&memory, window + 0x40_0000), None);
    }
}
