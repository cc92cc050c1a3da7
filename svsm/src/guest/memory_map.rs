// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whose memory is whose: the host's map, checked (`snp_abi::memory_map`), the SVSM's region taken
//! out of it.

use crate::machine::{MemoryKind, MemoryRange};
use crate::memory::GUEST_MEMORY_END_MAX;
use snp_abi::memory_map::{self, MemoryMap, MemoryMapError};

/// Most ranges that are kept; hosts give about ten.
pub const RANGES_MAX: usize = 64;

/// Why the host's map cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapFault {
    /// Malformed.
    Malformed(MemoryMapError),
    /// More ranges than [`RANGES_MAX`].
    TooManyRanges,
    /// RAM beyond [`GUEST_MEMORY_END_MAX`].
    TooMuchMemory,
    /// No RAM is left for the guest.
    NoGuestMemory,
}

/// Checked ranges in ascending order, without overlaps.
#[derive(Clone, Debug)]
pub struct GuestMemoryMap {
    ranges: [MemoryRange; RANGES_MAX],
    count: usize,
}

impl GuestMemoryMap {
    /// Checks the host's map and reserves `region_start..region_end` for the SVSM.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn parse(page: &[u8], region_start: u64, region_end: u64) -> Result<Self, MapFault> {
        let map = MemoryMap::parse(page).map_err(MapFault::Malformed)?;
        let empty = MemoryRange { start: 0, end: 0, kind: MemoryKind::Reserved };
        let mut checked = Self { ranges: [empty; RANGES_MAX], count: 0 };
        let mut region_done = false;
        for range in map.ranges() {
            let (start, end) = (range.start_gpa, range.end_gpa());
            if !region_done && region_start < end {
                // Whatever the host says about the region's place: it is ours.
                checked.push(start, end.min(region_start), range.kind)?;
                checked.push(region_start, region_end, memory_map::MemoryKind::Reserved)?;
                region_done = true;
            }
            let behind = if region_done { start.max(region_end) } else { start };
            checked.push(behind, end, range.kind)?;
        }
        if checked.ram().next().is_none() {
            return Err(MapFault::NoGuestMemory);
        }
        Ok(checked)
    }

    /// The range with this number; `None` behind the last.
    pub fn range(&self, index: usize) -> Option<MemoryRange> {
        self.ranges.get(..self.count)?.get(index).copied()
    }

    /// The guest's RAM: start and end of each range.
    pub fn ram(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges
            .iter()
            .take(self.count)
            .filter(|range| range.kind == MemoryKind::GuestRam)
            .map(|range| (range.start, range.end))
    }

    /// The end of the guest's RAM.
    pub fn ram_end(&self) -> u64 {
        self.ram().last().map_or(0, |(_, end)| end)
    }

    /// Whether `length` bytes at `start` are all RAM of the guest's.
    pub fn is_ram(&self, start: u64, length: u64) -> bool {
        let Some(end) = start.checked_add(length).filter(|end| *end > start) else { return false };
        let mut next = start;
        for (from, to) in self.ram() {
            if from <= next && next < to {
                next = to;
            }
        }
        next >= end
    }

    /// Appends a range, unless nothing is left of it.
    fn push(&mut self, start: u64, end: u64, kind: memory_map::MemoryKind) -> Result<(), MapFault> {
        if start >= end {
            return Ok(());
        }
        let kind = match kind {
            memory_map::MemoryKind::Memory if end > GUEST_MEMORY_END_MAX => {
                return Err(MapFault::TooMuchMemory);
            }
            memory_map::MemoryKind::Memory => MemoryKind::GuestRam,
            memory_map::MemoryKind::Reserved | memory_map::MemoryKind::Persistent => {
                MemoryKind::Reserved
            }
        };
        *self.ranges.get_mut(self.count).ok_or(MapFault::TooManyRanges)? =
            MemoryRange { start, end, kind };
        self.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snp_abi::memory_map::{MemoryKind as Kind, entry};
    use zerocopy::IntoBytes;

    const REGION: (u64, u64) = (0x0400_0000, 0x0500_0000);

    fn parse(entries: &[(u64, u64, Kind)]) -> Result<GuestMemoryMap, MapFault> {
        let mut page = Vec::new();
        for (start, end, kind) in entries {
            page.extend_from_slice(entry(*start, end - start, *kind).as_bytes());
        }
        page.resize(4096, 0);
        GuestMemoryMap::parse(&page, REGION.0, REGION.1)
    }

    #[test]
    fn bad_maps_are_refused() {
        assert!(matches!(parse(&[]), Err(MapFault::Malformed(_))));
        let unsorted = [(0x1000, 0x2000, Kind::Memory), (0, 0x1000, Kind::Memory)];
        assert!(matches!(parse(&unsorted), Err(MapFault::Malformed(_))));
        let end = GUEST_MEMORY_END_MAX;
        assert_eq!(parse(&[(0, end + 4096, Kind::Memory)]).unwrap_err(), MapFault::TooMuchMemory);
        assert_eq!(
            parse(&[(REGION.0, REGION.1, Kind::Memory)]).unwrap_err(),
            MapFault::NoGuestMemory
        );
        let many: Vec<_> =
            (0..65).map(|index| (index * 0x2000, index * 0x2000 + 0x1000, Kind::Memory)).collect();
        assert_eq!(parse(&many).unwrap_err(), MapFault::TooManyRanges);
    }

    #[test]
    fn the_region_is_never_guest_memory() {
        let whole = parse(&[(0, 1 << 30, Kind::Memory)]).unwrap();
        let split = parse(&[
            (0, REGION.0 + 0x1000, Kind::Memory),
            (REGION.0 + 0x2000, REGION.0 + 0x3000, Kind::Reserved),
            (REGION.1 - 0x1000, 1 << 30, Kind::Memory),
        ])
        .unwrap();
        for map in [whole, split] {
            let ram: Vec<_> = map.ram().collect();
            assert_eq!(ram, [(0, REGION.0), (REGION.1, 1 << 30)]);
            assert!(!map.is_ram(REGION.0 - 1, 2));
            assert!(!map.is_ram(REGION.1 - 1, 2));
            assert!(map.is_ram(REGION.1, (1 << 30) - REGION.1));
            assert_eq!(map.range(1).unwrap().kind, MemoryKind::Reserved);
            assert_eq!(map.range(3), None);
        }
    }

    #[test]
    fn ranges_must_be_ram_throughout() {
        let map = parse(&[
            (0, 0x1000, Kind::Memory),
            (0x1000, 0x2000, Kind::Memory),
            (0x2000, 0x3000, Kind::Reserved),
            (0x3000, 0x4000, Kind::Memory),
        ])
        .unwrap();
        assert!(map.is_ram(0xfff, 2));
        assert!(!map.is_ram(0x1fff, 2));
        assert!(!map.is_ram(0, 0));
        assert!(!map.is_ram(u64::MAX, 2));
        assert!(!map.is_ram(0x1000, 0x3000));
        assert_eq!(map.ram_end(), 0x4000);
    }
}
