// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory map and the processor list that the IGVM file's parameters ask for. The host makes
//! them and nobody measures them: the SVSM checks them.

use snp_abi::memory_map::{Entry, EntryType, MAX_ENTRIES};
use zerocopy::FromZeros;

use crate::layout::{MACHINE_END, MACHINE_START, PAGE, page_ceiling, page_floor};

/// What QEMU's firmware says about a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PieceKind {
    /// Ordinary RAM.
    Ram,
    /// Reserved, ACPI tables, and the like.
    Firmware,
}

/// A range of the firmware's memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryPiece {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) kind: PieceKind,
}

/// A map under construction.
pub(crate) struct MapBuilder {
    entries: [Entry; MAX_ENTRIES],
    count: usize,
}

/// The map has more entries than fit one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl MapBuilder {
    /// The map of all memory below `top`, without what the machine occupies.
    pub(crate) fn build(
        top: u64,
        pieces: impl Iterator<Item = MemoryPiece>,
    ) -> Result<Self, TooLong> {
        let mut map = Self { entries: [Entry::new_zeroed(); MAX_ENTRIES], count: 0 };
        for piece in pieces.filter(|piece| piece.start < top) {
            let end = piece.end.min(top);
            match piece.kind {
                // A page that is only partly RAM isn't RAM.
                PieceKind::Ram => map.add_ram(page_ceiling(piece.start), page_floor(end))?,
                PieceKind::Firmware => map.add(
                    page_floor(piece.start),
                    page_ceiling(end),
                    EntryType::PLATFORM_RESERVED,
                )?,
            }
        }
        Ok(map)
    }

    fn add_ram(&mut self, start: u64, end: u64) -> Result<(), TooLong> {
        self.add(start, end.min(MACHINE_START), EntryType::MEMORY)?;
        let own = (start.max(MACHINE_START), end.min(MACHINE_END));
        self.add(own.0, own.1, EntryType::PLATFORM_RESERVED)?;
        self.add(start.max(MACHINE_END), end, EntryType::MEMORY)
    }

    fn add(&mut self, start: u64, end: u64, entry_type: EntryType) -> Result<(), TooLong> {
        if start >= end {
            return Ok(());
        }
        // One entry stays empty: it ends the map.
        if self.count + 1 >= self.entries.len() {
            return Err(TooLong);
        }
        let entry = &mut self.entries[self.count];
        entry.starting_gpa_page_number = start / PAGE;
        entry.number_of_pages = (end - start) / PAGE;
        entry.entry_type = entry_type;
        self.count += 1;
        Ok(())
    }

    /// The entries.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries[..self.count]
    }
}

const MADT_HEADER_SIZE: usize = 44;
const LOCAL_APIC_SIZE: usize = 8;
/// Most processors the table has room for.
const MADT_PROCESSORS: usize = 16;

/// The ACPI table that lists the processors' APIC ids. ACPI 6.5, 5.2.12.
pub(crate) struct Madt {
    bytes: [u8; MADT_HEADER_SIZE + LOCAL_APIC_SIZE * MADT_PROCESSORS],
    length: usize,
}

impl Madt {
    pub(crate) fn build(apic_ids: impl Iterator<Item = usize>) -> Self {
        const LOCAL_APIC_ADDRESS: u32 = 0xfee0_0000;
        const PC_AT_COMPATIBLE: u32 = 1;
        const ENABLED: u32 = 1;
        let mut table = Self {
            bytes: [0; MADT_HEADER_SIZE + LOCAL_APIC_SIZE * MADT_PROCESSORS],
            length: MADT_HEADER_SIZE,
        };
        for (uid, apic_id) in (0u8..).zip(apic_ids).take(MADT_PROCESSORS) {
            let id = u8::try_from(apic_id).unwrap_or(u8::MAX);
            let entry = &mut table.bytes[table.length..table.length + LOCAL_APIC_SIZE];
            entry[..4].copy_from_slice(&[0, 8, uid, id]);
            entry[4..].copy_from_slice(&ENABLED.to_le_bytes());
            table.length += LOCAL_APIC_SIZE;
        }
        let length = u32::try_from(table.length).unwrap_or(0);
        let bytes = &mut table.bytes;
        bytes[..4].copy_from_slice(b"APIC");
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        bytes[8] = 3;
        bytes[10..16].copy_from_slice(b"MACSVS");
        bytes[16..24].copy_from_slice(b"MACHINE ");
        bytes[24..28].copy_from_slice(&1u32.to_le_bytes());
        bytes[36..40].copy_from_slice(&LOCAL_APIC_ADDRESS.to_le_bytes());
        bytes[40..44].copy_from_slice(&PC_AT_COMPATIBLE.to_le_bytes());
        let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        bytes[9] = 0u8.wrapping_sub(sum);
        table
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snp_abi::memory_map::{MemoryKind, MemoryMap};
    use std::vec::Vec;
    use zerocopy::IntoBytes;

    const PIECES: [MemoryPiece; 5] = [
        MemoryPiece { start: 0, end: 0x9_fc00, kind: PieceKind::Ram },
        MemoryPiece { start: 0x9_fc00, end: 0xa_0000, kind: PieceKind::Firmware },
        MemoryPiece { start: 0xf_0000, end: 0x10_0000, kind: PieceKind::Firmware },
        MemoryPiece { start: 0x10_0000, end: 0x3ffe_0000, kind: PieceKind::Ram },
        MemoryPiece { start: 0x3ffe_0000, end: 0x4000_0000, kind: PieceKind::Firmware },
    ];

    #[test]
    fn too_many_pieces_are_refused() {
        let pieces = (0..MAX_ENTRIES as u64).map(|i| MemoryPiece {
            start: i * 2 * PAGE,
            end: (i * 2 + 1) * PAGE,
            kind: PieceKind::Ram,
        });
        assert_eq!(MapBuilder::build(1 << 30, pieces).err(), Some(TooLong));
    }

    #[test]
    fn the_svsm_accepts_the_map_and_sees_no_machine() {
        let map = MapBuilder::build(0x4000_0000, PIECES.into_iter()).expect("short");
        let mut page = [0u8; 4096];
        let bytes = map.entries().as_bytes();
        page[..bytes.len()].copy_from_slice(bytes);
        let parsed = MemoryMap::parse(&page).expect("sorted, aligned, no overlap");
        let memory: Vec<_> = parsed
            .ranges()
            .filter(|range| range.kind == MemoryKind::Memory)
            .map(|range| (range.start_gpa, range.end_gpa()))
            .collect();
        assert_eq!(memory, [(0, 0x9_f000), (0x10_0000, MACHINE_START), (MACHINE_END, 0x3ffe_0000)]);
    }

    #[test]
    fn the_processor_table_sums_to_zero() {
        let madt = Madt::build([1, 2].into_iter());
        assert_eq!(madt.bytes().len(), 44 + 16);
        assert_eq!(madt.bytes().iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)), 0);
        assert_eq!(madt.bytes()[44 + 3], 1);
        assert_eq!(madt.bytes()[52 + 3], 2);
    }
}
