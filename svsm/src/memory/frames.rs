// SPDX-License-Identifier: MIT OR Apache-2.0
//! Page frames of the SVSM's region: a bitmap with hard bounds, one bit per 4 KiB frame.
//!
//! Nothing but frame numbers passes through here, so that it runs in host tests. A frame that was
//! never released to the allocator, or that is released twice, is refused by name.

use super::PAGE_SIZE;

/// Most frames that an allocator can look after: 16 MiB.
pub const FRAMES_MAX: usize = 4096;

/// Why frames could not be handed out or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// No run of free frames is long enough.
    OutOfFrames,
    /// The range is not page aligned, empty, or not inside the region.
    OutsideRegion,
    /// A frame of the range is already free.
    AlreadyFree,
}

/// A bitmap of the frames of one region.
#[derive(Debug)]
pub struct FrameAllocator {
    base: u64,
    count: usize,
    free: [u64; FRAMES_MAX / 64],
    free_count: usize,
}

impl FrameAllocator {
    /// An allocator over the region of `count` frames at `base`, all of them in use.
    ///
    /// # Errors
    /// `OutsideRegion` when the base is not page aligned or the region too large.
    pub const fn new(base: u64, count: usize) -> Result<Self, FrameError> {
        let bytes = (count as u64).saturating_mul(PAGE_SIZE);
        if !base.is_multiple_of(PAGE_SIZE)
            || count > FRAMES_MAX
            || base.checked_add(bytes).is_none()
        {
            return Err(FrameError::OutsideRegion);
        }
        let free = [0; FRAMES_MAX / 64];
        Ok(Self { base, count, free, free_count: 0 })
    }

    /// Frames that are free now.
    pub const fn free_count(&self) -> usize {
        self.free_count
    }

    /// Hands out `count` adjacent frames; the address of the first.
    ///
    /// # Errors
    /// `OutOfFrames` when there is no such run; `OutsideRegion` for a count of zero.
    pub fn allocate(&mut self, count: usize) -> Result<u64, FrameError> {
        self.allocate_aligned(count, 1)
    }

    /// As [`allocate`](Self::allocate), the first frame's address a multiple of `align` frames.
    ///
    /// # Errors
    /// As [`allocate`](Self::allocate).
    pub fn allocate_aligned(&mut self, count: usize, align: usize) -> Result<u64, FrameError> {
        if count == 0 || align == 0 {
            return Err(FrameError::OutsideRegion);
        }
        let first_frame = self.base / PAGE_SIZE;
        let mut start = 0usize;
        while let Some(end) = start.checked_add(count).filter(|end| *end <= self.count) {
            if !(first_frame + start as u64).is_multiple_of(align as u64) {
                start += 1;
                continue;
            }
            match (start..end).rev().find(|&index| !self.is_free(index)) {
                Some(used) => start = used + 1,
                None => {
                    self.mark(start..end, false);
                    return Ok(self.base + start as u64 * PAGE_SIZE);
                }
            }
        }
        Err(FrameError::OutOfFrames)
    }

    /// Takes back, or takes over for the first time, `count` frames from `address` on.
    ///
    /// # Errors
    /// `OutsideRegion` or `AlreadyFree`; then nothing has changed.
    pub fn release(&mut self, address: u64, count: usize) -> Result<(), FrameError> {
        let offset = address.checked_sub(self.base).ok_or(FrameError::OutsideRegion)?;
        let start = usize::try_from(offset / PAGE_SIZE).map_err(|_| FrameError::OutsideRegion)?;
        let end = start.checked_add(count).ok_or(FrameError::OutsideRegion)?;
        if !offset.is_multiple_of(PAGE_SIZE) || count == 0 || end > self.count {
            return Err(FrameError::OutsideRegion);
        }
        if (start..end).any(|index| self.is_free(index)) {
            return Err(FrameError::AlreadyFree);
        }
        self.mark(start..end, true);
        Ok(())
    }

    fn is_free(&self, index: usize) -> bool {
        self.free.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// The range has been checked, and is uniformly in the other state.
    fn mark(&mut self, range: core::ops::Range<usize>, free: bool) {
        let count = range.len();
        for index in range {
            if let Some(word) = self.free.get_mut(index / 64) {
                let bit = 1 << (index % 64);
                *word = if free { *word | bit } else { *word & !bit };
            }
        }
        self.free_count =
            if free { self.free_count + count } else { self.free_count.saturating_sub(count) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0x0400_0000;

    fn region(count: usize) -> FrameAllocator {
        let mut frames = FrameAllocator::new(BASE, count).unwrap();
        frames.release(BASE, count).unwrap();
        frames
    }

    #[test]
    fn nothing_is_free_before_it_is_released() {
        let mut frames = FrameAllocator::new(BASE, 16).unwrap();
        assert_eq!(frames.allocate(1), Err(FrameError::OutOfFrames));
    }

    #[test]
    fn bad_regions_and_ranges_are_refused() {
        assert_eq!(FrameAllocator::new(1, 1).unwrap_err(), FrameError::OutsideRegion);
        assert_eq!(
            FrameAllocator::new(BASE, FRAMES_MAX + 1).unwrap_err(),
            FrameError::OutsideRegion
        );
        let mut frames = region(16);
        for (address, count) in
            [(BASE - 4096, 1), (BASE + 1, 1), (BASE, 0), (BASE, 17), (u64::MAX - 4095, 1)]
        {
            assert_eq!(frames.release(address, count), Err(FrameError::OutsideRegion));
        }
        assert_eq!(frames.allocate(0), Err(FrameError::OutsideRegion));
        assert_eq!(frames.allocate(17), Err(FrameError::OutOfFrames));
        assert_eq!(frames.allocate(usize::MAX), Err(FrameError::OutOfFrames));
    }

    #[test]
    fn a_double_release_changes_nothing() {
        let mut frames = region(16);
        let two = frames.allocate(2).unwrap();
        frames.release(two, 1).unwrap();
        assert_eq!(frames.release(two, 2), Err(FrameError::AlreadyFree));
        assert_eq!(frames.free_count(), 15);
    }

    #[test]
    fn runs_skip_holes_and_respect_alignment() {
        let mut frames = region(128);
        let first = frames.allocate(1).unwrap();
        assert_eq!(first, BASE);
        assert_eq!(frames.allocate_aligned(64, 64), Ok(BASE + 64 * PAGE_SIZE));
        assert_eq!(frames.allocate(64), Err(FrameError::OutOfFrames));
        assert_eq!(frames.allocate(63), Ok(BASE + PAGE_SIZE));
        assert_eq!(frames.allocate(1), Err(FrameError::OutOfFrames));
        assert_eq!(frames.free_count(), 0);
        frames.release(first, 1).unwrap();
        assert_eq!(frames.allocate(1), Ok(first));
    }
}
