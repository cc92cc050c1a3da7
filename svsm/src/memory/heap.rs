// SPDX-License-Identifier: MIT OR Apache-2.0
//! The heap's arithmetic: one arena of 4 KiB pages, sizes up to half a page from pages of equal
//! objects, larger ones from runs of whole pages.
//!
//! All bookkeeping is beside the arena, in offsets: no pointer is followed, so that a write past an
//! object cannot turn the allocator against itself, a double release is noticed, and the whole
//! runs in host tests. A page whose last object is released goes back to the arena.
//!
//! ```text
//!  page:  Free | Objects(class, bitmap of objects in use) | RunStart(pages) | RunRest
//! ```

use core::alloc::Layout;

/// Bytes in a page of the arena.
pub const HEAP_PAGE_SIZE: usize = 4096;
/// Most pages that an arena may have: 12 MiB.
pub const HEAP_PAGES_MAX: usize = 3072;

const SMALLEST_SHIFT: u32 = 5;
const LARGEST_SHIFT: u32 = 11;
const CLASSES: usize = (LARGEST_SHIFT - SMALLEST_SHIFT + 1) as usize;

#[derive(Clone, Copy, Debug)]
enum Page {
    Free,
    /// Objects of `1 << (5 + class)` bytes; bit n of `used` is object n.
    Objects {
        class: u8,
        used: u128,
    },
    RunStart {
        pages: u16,
    },
    RunRest,
}

/// What a release found wrong: memory corruption or a bug, never a caller's ordinary mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRelease;

/// How full the heap is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapUse {
    /// Bytes in pages that hold anything now.
    pub used: usize,
    /// The most that `used` has been.
    pub peak: usize,
    /// Bytes in the arena.
    pub total: usize,
}

/// The bookkeeping of one arena.
#[derive(Debug)]
pub struct Heap {
    pages: [Page; HEAP_PAGES_MAX],
    count: usize,
    /// A page of each class that had room when last looked at; only a hint.
    hint: [usize; CLASSES],
    used: usize,
    peak: usize,
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

impl Heap {
    /// A heap without an arena: every allocation fails.
    pub const fn new() -> Self {
        let pages = [Page::Free; HEAP_PAGES_MAX];
        Self { pages, count: 0, hint: [0; CLASSES], used: 0, peak: 0 }
    }

    /// Gives the empty heap its arena of `count` pages (at most [`HEAP_PAGES_MAX`] are taken).
    pub fn set_arena(&mut self, count: usize) {
        self.count = count.min(HEAP_PAGES_MAX);
    }

    /// How full the heap is.
    pub const fn usage(&self) -> HeapUse {
        HeapUse {
            used: self.used * HEAP_PAGE_SIZE,
            peak: self.peak * HEAP_PAGE_SIZE,
            total: self.count * HEAP_PAGE_SIZE,
        }
    }

    /// The offset in the arena of room for `layout`; `None` when there is none, or when it asks for
    /// more than page alignment. The arena itself must be page aligned.
    pub fn allocate(&mut self, layout: Layout) -> Option<usize> {
        if layout.align() > HEAP_PAGE_SIZE {
            return None;
        }
        match class_of(layout) {
            Some(class) => self.allocate_object(class),
            None => self.allocate_run(layout.size().div_ceil(HEAP_PAGE_SIZE)),
        }
    }

    /// Takes back what `allocate` gave at `offset` for the same layout.
    ///
    /// # Errors
    /// `BadRelease` when nothing of that size is in use there; then nothing has changed.
    pub fn release(&mut self, offset: usize, layout: Layout) -> Result<(), BadRelease> {
        let index = offset / HEAP_PAGE_SIZE;
        let within = offset % HEAP_PAGE_SIZE;
        let page = self.pages.get_mut(index).ok_or(BadRelease)?;
        match (*page, class_of(layout)) {
            (Page::Objects { class, used }, Some(wanted)) if usize::from(class) == wanted => {
                let size = object_size(wanted);
                let bit = 1u128 << (within / size);
                if !within.is_multiple_of(size) || used & bit == 0 {
                    return Err(BadRelease);
                }
                let used = used & !bit;
                if used == 0 {
                    *page = Page::Free;
                    self.used -= 1;
                } else {
                    *page = Page::Objects { class, used };
                    self.remember(wanted, index);
                }
                Ok(())
            }
            (Page::RunStart { pages }, None) if within == 0 => {
                let pages = usize::from(pages);
                if pages != layout.size().div_ceil(HEAP_PAGE_SIZE) {
                    return Err(BadRelease);
                }
                self.fill(index, pages, Page::Free);
                self.used -= pages;
                Ok(())
            }
            _ => Err(BadRelease),
        }
    }

    fn allocate_object(&mut self, class: usize) -> Option<usize> {
        let index = self.page_with_room(class)?;
        let page = self.pages.get_mut(index)?;
        let used = match *page {
            Page::Objects { used, .. } => used,
            _ => {
                self.used += 1;
                self.peak = self.peak.max(self.used);
                0
            }
        };
        let slot = used.trailing_ones();
        let class_byte = u8::try_from(class).ok()?;
        *page = Page::Objects { class: class_byte, used: used | 1 << slot };
        self.remember(class, index);
        Some(index * HEAP_PAGE_SIZE + slot as usize * object_size(class))
    }

    /// A page of this class that is not full, else a free page.
    fn page_with_room(&self, class: usize) -> Option<usize> {
        let hint = self.hint.get(class).copied()?;
        if self.has_room(hint, class) {
            return Some(hint);
        }
        let mut free = None;
        for index in 0..self.count {
            if self.has_room(index, class) {
                return Some(index);
            }
            // The highest free page, to leave the low end to long runs.
            if matches!(self.pages.get(index), Some(Page::Free)) {
                free = Some(index);
            }
        }
        free
    }

    fn has_room(&self, index: usize, wanted: usize) -> bool {
        let objects = HEAP_PAGE_SIZE / object_size(wanted);
        matches!(self.pages.get(index), Some(Page::Objects { class, used })
            if usize::from(*class) == wanted && (used.trailing_ones() as usize) < objects)
    }

    fn remember(&mut self, class: usize, index: usize) {
        if let Some(hint) = self.hint.get_mut(class) {
            *hint = index;
        }
    }

    /// First fit.
    fn allocate_run(&mut self, pages: usize) -> Option<usize> {
        let length = u16::try_from(pages).ok()?;
        let mut start = 0usize;
        while let Some(end) = start.checked_add(pages).filter(|end| *end <= self.count) {
            let run = self.pages.get(start..end)?;
            match run.iter().rposition(|page| !matches!(page, Page::Free)) {
                Some(used) => start += used + 1,
                None => {
                    self.fill(start, pages, Page::RunRest);
                    *self.pages.get_mut(start)? = Page::RunStart { pages: length };
                    self.used += pages;
                    self.peak = self.peak.max(self.used);
                    return Some(start * HEAP_PAGE_SIZE);
                }
            }
        }
        None
    }

    fn fill(&mut self, start: usize, pages: usize, state: Page) {
        for page in self.pages.iter_mut().skip(start).take(pages) {
            *page = state;
        }
    }
}

/// The class of equal objects that serves this layout, `None` for whole pages.
fn class_of(layout: Layout) -> Option<usize> {
    let size =
        layout.size().max(layout.align()).max(1 << SMALLEST_SHIFT).checked_next_power_of_two();
    let shift = size?.trailing_zeros();
    if shift > LARGEST_SHIFT { None } else { Some((shift - SMALLEST_SHIFT) as usize) }
}

const fn object_size(class: usize) -> usize {
    1 << (SMALLEST_SHIFT as usize + class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{boxed::Box, vec::Vec};

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    fn heap(pages: usize) -> Box<Heap> {
        let mut heap = Box::new(Heap::new());
        heap.set_arena(pages);
        heap
    }

    #[test]
    fn no_arena_no_memory() {
        assert_eq!(heap(0).allocate(layout(1, 1)), None);
        assert_eq!(heap(0).allocate(layout(8192, 1)), None);
    }

    #[test]
    fn more_than_a_page_of_alignment_is_refused() {
        assert_eq!(heap(16).allocate(layout(1, 8192)), None);
    }

    #[test]
    fn bad_releases_are_noticed() {
        let mut heap = heap(16);
        let small = heap.allocate(layout(64, 8)).unwrap();
        let large = heap.allocate(layout(10_000, 8)).unwrap();
        assert_eq!(heap.release(small + 64, layout(64, 8)), Err(BadRelease));
        assert_eq!(heap.release(small + 1, layout(64, 8)), Err(BadRelease));
        assert_eq!(heap.release(small, layout(65, 8)), Err(BadRelease));
        assert_eq!(heap.release(large + 4096, layout(10_000, 8)), Err(BadRelease));
        assert_eq!(heap.release(large, layout(20_000, 8)), Err(BadRelease));
        assert_eq!(heap.release(usize::MAX, layout(64, 8)), Err(BadRelease));
        heap.release(small, layout(64, 8)).unwrap();
        assert_eq!(heap.release(small, layout(64, 8)), Err(BadRelease));
        heap.release(large, layout(10_000, 8)).unwrap();
        assert_eq!(heap.release(large, layout(10_000, 8)), Err(BadRelease));
        assert_eq!(heap.usage().used, 0);
    }

    #[test]
    fn the_arena_is_the_limit_and_comes_back() {
        let mut heap = heap(4);
        let mut given = Vec::new();
        while let Some(offset) = heap.allocate(layout(2048, 8)) {
            given.push(offset);
        }
        assert_eq!(given.len(), 8);
        assert_eq!(heap.allocate(layout(1, 1)), None);
        for offset in given {
            heap.release(offset, layout(2048, 8)).unwrap();
        }
        assert_eq!(heap.allocate(layout(4 * 4096, 4096)), Some(0));
        assert_eq!(heap.usage(), HeapUse { used: 16384, peak: 16384, total: 16384 });
    }

    /// Random traffic against a model: no two live objects overlap, each is aligned and inside.
    #[test]
    fn live_objects_never_overlap() {
        let mut heap = heap(200);
        let mut live: Vec<(usize, Layout)> = Vec::new();
        let mut seed = 0x1234_5678_9abc_def1u64;
        let mut random = |limit: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed % limit as u64).unwrap()
        };
        for _ in 0..20_000 {
            if !live.is_empty() && random(5) < 2 {
                let (offset, layout) = live.swap_remove(random(live.len()));
                heap.release(offset, layout).unwrap();
                continue;
            }
            let size = if random(10) == 0 { random(40_000) + 1 } else { random(600) + 1 };
            let wanted = layout(size, 1 << random(8));
            let Some(offset) = heap.allocate(wanted) else { continue };
            assert!(offset.is_multiple_of(wanted.align()));
            assert!(offset + wanted.size() <= 200 * HEAP_PAGE_SIZE);
            for (other, theirs) in &live {
                assert!(offset + wanted.size() <= *other || other + theirs.size() <= offset);
            }
            live.push((offset, wanted));
        }
        assert!(live.len() > 100);
        for (offset, layout) in live {
            heap.release(offset, layout).unwrap();
        }
        assert_eq!(heap.usage().used, 0);
    }
}
