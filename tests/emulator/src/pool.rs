// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's pool of pages: from the end of its image to [`MACHINE_END`]. Pages are never given
//! back; every user has a bound of its own (nested tables: one table for each 2 MiB, view and
//! VMPL).

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::layout::{MACHINE_END, PAGE, page_ceiling};
use crate::{fatal, physical};

static NEXT: AtomicU64 = AtomicU64::new(MACHINE_END);

/// Opens the pool at the end of the image.
pub(crate) fn open(image_end: u64) {
    NEXT.store(page_ceiling(image_end), SeqCst);
}

/// Zeroed, contiguous pages: the physical address of the first.
pub(crate) fn pages(count: u64) -> u64 {
    let first = NEXT.fetch_add(count * PAGE, SeqCst);
    if first + count * PAGE > MACHINE_END {
        fatal!("the machine's page pool is used up: {count} more pages don't fit");
    }
    physical::fill_pages(first, count, 0);
    first
}

/// Pages left.
pub(crate) fn left() -> u64 {
    (MACHINE_END - NEXT.load(SeqCst).min(MACHINE_END)) / PAGE
}
