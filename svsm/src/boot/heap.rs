// SPDX-License-Identifier: MIT OR Apache-2.0
//! The global allocator: the heap's arithmetic over an arena of frames.

use crate::memory::heap::{HEAP_PAGE_SIZE, Heap, HeapUse};
use crate::memory::kernel_space::{self, SpaceError};
use crate::memory::pointer_sized;
use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicPtr, Ordering};
use spin::Mutex;

/// Frames of the arena: 8 MiB.
const ARENA_FRAMES: usize = 2048;

struct KernelHeap {
    heap: Mutex<Heap>,
    arena: AtomicPtr<u8>,
}

#[global_allocator]
static HEAP: KernelHeap =
    KernelHeap { heap: Mutex::new(Heap::new()), arena: AtomicPtr::new(core::ptr::null_mut()) };

/// Gives the heap its arena.
///
/// # Errors
/// The region is too small.
pub(super) fn initialise() -> Result<(), SpaceError> {
    let address = kernel_space::allocate_arena(ARENA_FRAMES)?;
    let arena = core::ptr::with_exposed_provenance_mut(pointer_sized(address));
    HEAP.arena.store(arena, Ordering::Release);
    HEAP.heap.lock().set_arena(ARENA_FRAMES);
    Ok(())
}

/// How full the heap is.
pub fn usage() -> HeapUse {
    HEAP.heap.lock().usage()
}

// SAFETY: `Heap` gives out ranges of the arena that are aligned, inside it, and disjoint while in
// use (its tests); the arena is frames that nobody else has.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.heap.lock().allocate(layout) {
            Some(offset) => self.arena.load(Ordering::Acquire).wrapping_add(offset),
            None => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let offset = pointer.addr().wrapping_sub(self.arena.load(Ordering::Acquire).addr());
        let released = self.heap.lock().release(offset, layout);
        assert!(released.is_ok(), "heap: bad release, offset {offset:#x} size {}", layout.size());
    }
}

const _: () = assert!(HEAP_PAGE_SIZE == 4096);
