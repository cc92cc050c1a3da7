// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory map that Linux gets: RAM without what must be kept from it (boot.rst, zero-page.rst).
//!
//! ACPI tables are type 3, not 2: Linux maps ranges of type 2 shared in one place and encrypted in
//! another.

use super::placement::{LEGACY_HOLE, Placement, Use};
use crate::machine::{MemoryKind, MemoryRange};
use alloc::vec::Vec;
use core::ops::Range;
use snp_abi::linux::{E820Entry, e820};
use zerocopy::little_endian::{U32, U64};

/// The map, in ascending order and without overlaps.
pub(super) fn memory_map(placement: &Placement) -> Vec<E820Entry> {
    let mut kept: Vec<(Range<u64>, u32)> = placement
        .placed()
        .iter()
        .filter_map(|(range, usage)| Some((range.clone(), kind(*usage)?)))
        .collect();
    kept.push((LEGACY_HOLE, e820::RESERVED));
    kept.sort_unstable_by_key(|(range, _)| range.start);
    let mut entries = Vec::new();
    for range in placement.ranges() {
        match range.kind {
            MemoryKind::GuestRam => split(range, &kept, &mut entries),
            MemoryKind::Reserved => push(&mut entries, range.start..range.end, e820::RESERVED),
        }
    }
    entries
}

fn kind(usage: Use) -> Option<u32> {
    match usage {
        Use::Ram => None,
        Use::Reserved => Some(e820::RESERVED),
        Use::Acpi => Some(e820::ACPI),
    }
}

/// One range of RAM, cut where something is kept.
fn split(ram: &MemoryRange, kept: &[(Range<u64>, u32)], entries: &mut Vec<E820Entry>) {
    let mut start = ram.start;
    for (range, kind) in kept {
        let part = range.start.max(start)..range.end.min(ram.end);
        if part.is_empty() {
            continue;
        }
        push(entries, start..part.start, e820::RAM);
        start = part.end;
        push(entries, part, *kind);
    }
    push(entries, start..ram.end, e820::RAM);
}

/// Appends a range, or makes the last entry longer where that says the same.
fn push(entries: &mut Vec<E820Entry>, range: Range<u64>, kind: u32) {
    if range.is_empty() {
        return;
    }
    let size = range.end.saturating_sub(range.start);
    if let Some(last) = entries.last_mut() {
        let end = last.address.get().saturating_add(last.size.get());
        if last.kind.get() == kind && end == range.start {
            last.size = U64::new(last.size.get().saturating_add(size));
            return;
        }
    }
    let entry =
        E820Entry { address: U64::new(range.start), size: U64::new(size), kind: U32::new(kind) };
    entries.push(entry);
}

#[cfg(test)]
mod tests {
    use super::super::placement::{From, Request};
    use super::*;
    use crate::machine::fake::FakeMachine;

    fn plain(entries: &[E820Entry]) -> Vec<(u64, u64, u32)> {
        let end = |entry: &E820Entry| entry.address.get() + entry.size.get();
        entries.iter().map(|entry| (entry.address.get(), end(entry), entry.kind.get())).collect()
    }

    #[test]
    fn kept_ranges_are_cut_out_of_ram_and_the_svsm_is_reserved() {
        let mut placement = Placement::new(&FakeMachine::new());
        let base = Request {
            what: "test",
            size: 0x3000,
            alignment: 0x1000,
            window: 0x1_0000..0x4000_0000,
            from: From::Bottom,
            usage: Use::Reserved,
        };
        placement.place(&base).unwrap();
        placement.place(&Request { usage: Use::Ram, ..base.clone() }).unwrap();
        placement.place(&Request { usage: Use::Acpi, from: From::Top, ..base }).unwrap();
        let expected = [
            (0, 0x1_0000, 1),
            (0x1_0000, 0x1_3000, 2),
            (0x1_3000, 0xa_0000, 1),
            (0xa_0000, 0x10_0000, 2),
            (0x10_0000, 0x400_0000, 1),
            (0x400_0000, 0x500_0000, 2),
            (0x500_0000, 0x3fff_d000, 1),
            (0x3fff_d000, 0x4000_0000, 3),
        ];
        assert_eq!(plain(&memory_map(&placement)), expected);
    }
}
