// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory map, an IGVM parameter (`IGVM_VHS_MEMORY_MAP_ENTRY`): written by the host, measured
//! by nobody, so that every rule is checked before an entry is used.

use core::mem::size_of;

pub use igvm_defs::{IGVM_VHS_MEMORY_MAP_ENTRY as Entry, MemoryMapEntryType as EntryType};
use zerocopy::FromBytes;

use crate::PAGE_SIZE_U64;

assert_layout!(Entry, size 24, starting_gpa_page_number: 0, number_of_pages: 8, entry_type: 16,
    flags: 18, reserved: 20);

/// Most entries a map may have: what fits one page.
pub const MAX_ENTRIES: usize = crate::PAGE_SIZE / size_of::<Entry>();
/// Addresses end here: what a page table entry can hold.
pub const ADDRESS_LIMIT: u64 = 1 << 52;

/// What a range of memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryKind {
    /// RAM for the guest.
    Memory,
    /// Reserved by the platform.
    Reserved,
    /// Persistent memory: not used as RAM.
    Persistent,
}

/// A checked range: page aligned, not empty, below [`ADDRESS_LIMIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// First byte.
    pub start_gpa: u64,
    /// Bytes.
    pub size_bytes: u64,
    /// What it is.
    pub kind: MemoryKind,
}

impl MemoryRange {
    /// The first byte behind the range.
    #[must_use]
    pub const fn end_gpa(&self) -> u64 {
        self.start_gpa.saturating_add(self.size_bytes)
    }
}

/// What is wrong with a memory map; the number is the entry's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryMapError {
    /// The map holds no entry.
    Empty,
    /// The range goes beyond [`ADDRESS_LIMIT`].
    OutOfRange(usize),
    /// The range doesn't begin behind the one before it: overlapping or not sorted.
    NotSorted(usize),
    /// The type isn't known.
    UnknownType(usize),
    /// Flags or reserved bits are set.
    Reserved(usize),
}

/// A map whose entries have all been checked: sorted, no overlap, no overflow.
#[derive(Clone, Copy, Debug)]
pub struct MemoryMap<'page> {
    entries: &'page [u8],
}

impl<'page> MemoryMap<'page> {
    /// Checks the map in `page`, which the caller has copied out of memory that the host can
    /// write. The map ends at an entry without pages, or at the end of `page`, or at
    /// [`MAX_ENTRIES`].
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn parse(page: &'page [u8]) -> Result<Self, MemoryMapError> {
        let mut end_gpa = 0;
        let mut count = 0;
        for (index, entry) in raw_entries(page).enumerate() {
            let range = check(index, &entry)?;
            if range.start_gpa < end_gpa {
                return Err(MemoryMapError::NotSorted(index));
            }
            end_gpa = range.end_gpa();
            count = index.saturating_add(1);
        }
        match page.get(..count.saturating_mul(size_of::<Entry>())) {
            Some(entries) if count != 0 => Ok(Self { entries }),
            _ => Err(MemoryMapError::Empty),
        }
    }

    /// The ranges, in ascending order.
    pub fn ranges(&self) -> impl Iterator<Item = MemoryRange> + use<'page> {
        raw_entries(self.entries).enumerate().filter_map(|(index, entry)| check(index, &entry).ok())
    }
}

fn raw_entries(bytes: &[u8]) -> impl Iterator<Item = Entry> + use<'_> {
    bytes
        .chunks_exact(size_of::<Entry>())
        .take(MAX_ENTRIES)
        .filter_map(|chunk| Entry::read_from_bytes(chunk).ok())
        .take_while(|entry| entry.number_of_pages != 0)
}

fn check(index: usize, entry: &Entry) -> Result<MemoryRange, MemoryMapError> {
    if entry.flags != 0 || entry.reserved != 0 {
        return Err(MemoryMapError::Reserved(index));
    }
    let kind = match entry.entry_type {
        EntryType::MEMORY => MemoryKind::Memory,
        EntryType::PLATFORM_RESERVED => MemoryKind::Reserved,
        EntryType::PERSISTENT => MemoryKind::Persistent,
        _ => return Err(MemoryMapError::UnknownType(index)),
    };
    let out_of_range = MemoryMapError::OutOfRange(index);
    let start_gpa =
        entry.starting_gpa_page_number.checked_mul(PAGE_SIZE_U64).ok_or(out_of_range)?;
    let size_bytes = entry.number_of_pages.checked_mul(PAGE_SIZE_U64).ok_or(out_of_range)?;
    match start_gpa.checked_add(size_bytes) {
        Some(end) if end <= ADDRESS_LIMIT => Ok(MemoryRange { start_gpa, size_bytes, kind }),
        _ => Err(out_of_range),
    }
}

/// An entry for a map that is being written.
#[must_use]
pub const fn entry(start_gpa: u64, size_bytes: u64, kind: MemoryKind) -> Entry {
    Entry {
        starting_gpa_page_number: start_gpa / PAGE_SIZE_U64,
        number_of_pages: size_bytes / PAGE_SIZE_U64,
        entry_type: match kind {
            MemoryKind::Memory => EntryType::MEMORY,
            MemoryKind::Reserved => EntryType::PLATFORM_RESERVED,
            MemoryKind::Persistent => EntryType::PERSISTENT,
        },
        flags: 0,
        reserved: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    fn raw(page_number: u64, pages: u64) -> Entry {
        Entry {
            starting_gpa_page_number: page_number,
            number_of_pages: pages,
            ..entry(0, 0, MemoryKind::Memory)
        }
    }

    fn error(entries: &[Entry]) -> Option<MemoryMapError> {
        MemoryMap::parse(entries.as_bytes()).err()
    }

    #[test]
    fn broken_maps_are_refused() {
        use MemoryMapError::{Empty, NotSorted, OutOfRange, Reserved, UnknownType};
        assert_eq!(error(&[]), Some(Empty));
        assert_eq!(error(&[raw(0, 0)]), Some(Empty));
        assert_eq!(error(&[raw(0, 16), raw(15, 16)]), Some(NotSorted(1)));
        assert_eq!(error(&[raw(32, 16), raw(0, 16)]), Some(NotSorted(1)));
        assert_eq!(error(&[raw(u64::MAX, 1)]), Some(OutOfRange(0)));
        assert_eq!(error(&[raw(0, u64::MAX)]), Some(OutOfRange(0)));
        assert_eq!(error(&[raw(1 << 51, 1 << 51)]), Some(OutOfRange(0)));
        assert_eq!(error(&[raw((1 << 40) - 1, 2)]), Some(OutOfRange(0)));
        assert_eq!(error(&[Entry { flags: 1, ..raw(0, 1) }]), Some(Reserved(0)));
        assert_eq!(error(&[Entry { reserved: 1, ..raw(0, 1) }]), Some(Reserved(0)));
        let unknown = Entry { entry_type: EntryType(77), ..raw(0, 1) };
        assert_eq!(
            error(&[raw(0, 1), Entry { starting_gpa_page_number: 9, ..unknown }]),
            Some(UnknownType(1))
        );
    }

    #[test]
    fn what_follows_the_last_entry_does_not_count() {
        let entries = [raw(0, 16), raw(16, 1), raw(0, 0), raw(u64::MAX, 1)];
        let map = MemoryMap::parse(entries.as_bytes()).expect("a valid map");
        assert_eq!(map.ranges().count(), 2);
        let last = map.ranges().last().expect("two ranges");
        assert_eq!((last.start_gpa, last.end_gpa()), (0x1_0000, 0x1_1000));
    }

    #[test]
    fn a_map_without_a_final_entry_ends_with_its_page() {
        let mut page = [0u8; 4096];
        for (index, chunk) in page.chunks_exact_mut(24).enumerate() {
            chunk.copy_from_slice(raw(index as u64, 1).as_bytes());
        }
        let map = MemoryMap::parse(&page).expect("a valid map");
        assert_eq!(map.ranges().count(), MAX_ENTRIES);
    }
}
