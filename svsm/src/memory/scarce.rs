// SPDX-License-Identifier: MIT OR Apache-2.0
//! For host tests: an allocator that fails where a test wants it to.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Allocations until the one that fails; `None`: none does.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
}

#[global_allocator]
static ALLOCATOR: Scarce = Scarce;

/// Runs `work` while one allocation of this thread fails, the one behind `before` others. Also says
/// whether it came to that.
pub(crate) fn without_one_allocation<T>(before: usize, work: impl FnOnce() -> T) -> (T, bool) {
    LEFT.set(Some(before));
    let outcome = work();
    (outcome, LEFT.take().is_none())
}

/// Runs a part of such work that belongs to the test.
pub(crate) fn with_plenty<T>(work: impl FnOnce() -> T) -> T {
    let left = LEFT.take();
    let outcome = work();
    LEFT.set(left);
    outcome
}

struct Scarce;

impl Scarce {
    fn fails() -> bool {
        let left = LEFT.get();
        LEFT.set(left.and_then(|left| left.checked_sub(1)));
        left == Some(0)
    }
}

// SAFETY: the system's allocator, or nothing.
unsafe impl GlobalAlloc for Scarce {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        if Self::fails() { core::ptr::null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        if Self::fails() { core::ptr::null_mut() } else { unsafe { System.alloc_zeroed(layout) } }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, and all memory is the system's.
        unsafe { System.dealloc(pointer, layout) };
    }
}
