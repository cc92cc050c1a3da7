// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where things go in the guest's memory.

use super::PayloadError;
use crate::machine::{Machine, MemoryKind, MemoryRange, PAGE_BYTES};
use alloc::vec::Vec;
use core::ops::Range;

/// Most ranges of the memory map that are looked at; a page of it holds fewer.
const RANGES_MAX: usize = 256;
/// Most things that are placed: a dozen of our own, and what the ACPI script allocates.
const PLACED_MAX: usize = 48;
/// The hole of the PC architecture between conventional and extended memory: RAM to the memory map,
/// but not used as such by any operating system.
pub(super) const LEGACY_HOLE: Range<u64> = 0xa_0000..0x10_0000;

/// What a placed range is to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Read once at the start, or taken care of by the guest: ordinary RAM in its memory map.
    Ram,
    /// To be kept.
    Reserved,
    /// ACPI tables.
    Acpi,
}

/// Which end of the window is tried first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Bottom,
    Top,
}

/// A request for memory.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// For the error message.
    pub(super) what: &'static str,
    /// Bytes; rounded up to whole pages.
    pub(super) size: u64,
    /// A power of two, at least a page.
    pub(super) alignment: u64,
    /// Where it may lie.
    pub(super) window: Range<u64>,
    pub(super) from: From,
    pub(super) usage: Use,
}

/// The guest's memory and what was placed there.
pub(super) struct Placement {
    ranges: Vec<MemoryRange>,
    placed: Vec<(Range<u64>, Use)>,
}

impl Placement {
    /// Takes the validated memory map.
    pub(super) fn new(machine: &dyn Machine) -> Self {
        let ranges = (0..RANGES_MAX).map_while(|index| machine.memory_range(index)).collect();
        Self { ranges, placed: Vec::new() }
    }

    /// The memory map.
    pub(super) fn ranges(&self) -> &[MemoryRange] {
        &self.ranges
    }

    /// What was placed.
    pub(super) fn placed(&self) -> &[(Range<u64>, Use)] {
        &self.placed
    }

    /// Finds a place and keeps it. The range is page aligned and holds whole pages.
    pub(super) fn place(&mut self, request: &Request) -> Result<u64, PayloadError> {
        let no_room = PayloadError::NoRoom(request.what);
        let size = request.size.checked_next_multiple_of(PAGE_BYTES).ok_or(no_room)?;
        let alignment = request.alignment.max(PAGE_BYTES);
        if size == 0 || !alignment.is_power_of_two() || self.placed.len() >= PLACED_MAX {
            return Err(no_room);
        }
        let start = self.find(size, alignment, request).ok_or(no_room)?;
        self.placed.push((start..start.saturating_add(size), request.usage));
        Ok(start)
    }

    fn find(&self, size: u64, alignment: u64, request: &Request) -> Option<u64> {
        let ram = self.ranges.iter().filter(|range| range.kind == MemoryKind::GuestRam);
        let mut fits = ram.filter_map(|range| {
            let start = range.start.max(request.window.start);
            let end = range.end.min(request.window.end);
            self.fit(size, alignment, start..end, request.from)
        });
        match request.from {
            From::Bottom => fits.next(),
            From::Top => fits.next_back(),
        }
    }

    /// A free place in `room`, which is all RAM.
    fn fit(&self, size: u64, alignment: u64, room: Range<u64>, from: From) -> Option<u64> {
        let mut start = match from {
            From::Bottom => room.start.checked_next_multiple_of(alignment)?,
            From::Top => align_down(room.end.checked_sub(size)?, alignment),
        };
        // Each round steps past one obstacle.
        for _ in 0..=PLACED_MAX {
            let end = start.checked_add(size)?;
            if start < room.start || end > room.end {
                return None;
            }
            let Some(obstacle) = self.obstacle(&(start..end)) else { return Some(start) };
            start = match from {
                From::Bottom => obstacle.end.checked_next_multiple_of(alignment)?,
                From::Top => align_down(obstacle.start.checked_sub(size)?, alignment),
            };
        }
        None
    }

    fn obstacle(&self, wanted: &Range<u64>) -> Option<&Range<u64>> {
        let mut obstacles =
            core::iter::once(&LEGACY_HOLE).chain(self.placed.iter().map(|(range, _)| range));
        obstacles.find(|range| range.start < wanted.end && wanted.start < range.end)
    }
}

const fn align_down(address: u64, alignment: u64) -> u64 {
    address & !(alignment - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fake::{FakeMachine, MEMORY_END, SVSM_END};

    fn request(size: u64, window: Range<u64>, from: From) -> Request {
        Request { what: "test", size, alignment: PAGE_BYTES, window, from, usage: Use::Ram }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut placement = Placement::new(&FakeMachine::new());
        for size in [0, MEMORY_END, u64::MAX] {
            let result = placement.place(&request(size, 0..u64::MAX, From::Bottom));
            assert_eq!(result, Err(PayloadError::NoRoom("test")));
        }
        let odd = Request { alignment: 0x3000, ..request(1, 0..u64::MAX, From::Top) };
        assert_eq!(placement.place(&odd), Err(PayloadError::NoRoom("test")));
        let huge = Request { alignment: 1 << 63, ..request(1, 0x1000..u64::MAX, From::Bottom) };
        assert_eq!(placement.place(&huge), Err(PayloadError::NoRoom("test")));
        assert!(placement.placed().is_empty());
    }

    #[test]
    fn the_svsm_and_the_legacy_hole_are_stepped_over() {
        let mut placement = Placement::new(&FakeMachine::new());
        let hole = request(0x4_0000, 0x8_0000..u64::MAX, From::Bottom);
        assert_eq!(placement.place(&hole), Ok(0x10_0000));
        let svsm = request(0x20_0000, 0x03f0_0000..u64::MAX, From::Bottom);
        assert_eq!(placement.place(&svsm), Ok(SVSM_END));
    }

    #[test]
    fn nothing_overlaps_from_either_end() {
        let mut placement = Placement::new(&FakeMachine::new());
        for index in 0..PLACED_MAX {
            let from = if index % 2 == 0 { From::Bottom } else { From::Top };
            let aligned = Request { alignment: 0x20_0000, ..request(0x1001, 0..u64::MAX, from) };
            placement.place(&aligned).unwrap();
        }
        for (index, (a, _)) in placement.placed().iter().enumerate() {
            for (b, _) in &placement.placed()[index + 1..] {
                assert!(a.end <= b.start || b.end <= a.start, "{a:x?} {b:x?}");
            }
        }
        let more = placement.place(&request(1, 0..u64::MAX, From::Top));
        assert_eq!(more, Err(PayloadError::NoRoom("test")), "the number of places is bounded");
    }

    #[test]
    fn from_the_top_means_the_last_place_in_the_window() {
        let mut placement = Placement::new(&FakeMachine::new());
        let first = placement.place(&request(0x1000, 0..0x2000_0000, From::Top));
        assert_eq!(first, Ok(0x1fff_f000));
        let second = placement.place(&request(0x1000, 0..0x2000_0000, From::Top));
        assert_eq!(second, Ok(0x1fff_e000));
    }
}
