// SPDX-License-Identifier: MIT OR Apache-2.0
//! Raw physical memory through the identity map: the guest's pages, device registers, and the pages
//! of the machine's pool. Memory that Rust owns (the image) is out of reach here.
//!
//! Accesses are volatile: other processors and devices change this memory at any time, so a value
//! is copied out once and used from the copy.

use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use zerocopy::{FromBytes, IntoBytes};

use crate::bits::index;
use crate::fatal;
use crate::layout::{C_BIT, PAGE, REACHABLE_END};

/// The image's range. Until [`own_image`] is called, as in host tests, everything counts as owned.
static IMAGE_START: AtomicU64 = AtomicU64::new(0);
static IMAGE_END: AtomicU64 = AtomicU64::new(u64::MAX);

/// Says where the image lies; once, at start.
///
/// # Safety
/// The identity map is active, and `start..end` covers every object, stack and instruction of the
/// program, as well as its page tables.
pub unsafe fn own_image(start: u64, end: u64) {
    IMAGE_START.store(start, Relaxed);
    IMAGE_END.store(end, Relaxed);
}

/// The pointer for a checked physical range. The C-bit is ignored, as the memory controller of this
/// machine does.
fn pointer(address: u64, length: u64) -> *mut u8 {
    let address = address & !C_BIT;
    let in_image =
        address < IMAGE_END.load(Relaxed) && address + length > IMAGE_START.load(Relaxed);
    if address >= REACHABLE_END || REACHABLE_END - address < length || in_image {
        fatal!("access to physical address {address:#x}, {length} bytes, is out of reach");
    }
    ptr::with_exposed_provenance_mut(index(address))
}

/// Reads a value.
pub(crate) fn read<T: FromBytes>(address: u64) -> T {
    let pointer = pointer(address, size_of::<T>() as u64).cast::<T>();
    if pointer.is_aligned() {
        // SAFETY: the range is identity-mapped and outside what Rust owns (`pointer`), aligned,
        // and every bit pattern is a valid T.
        unsafe { ptr::read_volatile(pointer) }
    } else {
        // SAFETY: as above, but for the alignment.
        unsafe { ptr::read_unaligned(pointer) }
    }
}

/// Writes a value.
pub(crate) fn write<T: IntoBytes>(address: u64, value: T) {
    let pointer = pointer(address, size_of::<T>() as u64).cast::<T>();
    if pointer.is_aligned() {
        // SAFETY: the range is identity-mapped, outside what Rust owns, and aligned.
        unsafe { ptr::write_volatile(pointer, value) }
    } else {
        // SAFETY: as above, but for the alignment.
        unsafe { ptr::write_unaligned(pointer, value) }
    }
}

/// Fills whole pages with a pattern.
pub(crate) fn fill_pages(address: u64, pages: u64, pattern: u8) {
    let pointer = pointer(address, pages * PAGE);
    // SAFETY: the range is identity-mapped and outside what Rust owns.
    unsafe { ptr::write_bytes(pointer, pattern, index(pages * PAGE)) }
}

/// Copies from one physical range to another; they may overlap.
pub(crate) fn copy(from: u64, to: u64, length: u64) {
    let (from, to) = (pointer(from, length), pointer(to, length));
    // SAFETY: both ranges are identity-mapped and outside what Rust owns.
    unsafe { ptr::copy(from, to, index(length)) }
}

/// Copies bytes out.
pub(crate) fn read_bytes(address: u64, bytes: &mut [u8]) {
    let pointer = pointer(address, bytes.len() as u64);
    // SAFETY: the source is identity-mapped and outside what Rust owns, so it can't overlap
    // `bytes`.
    unsafe { ptr::copy_nonoverlapping(pointer, bytes.as_mut_ptr(), bytes.len()) }
}

/// Copies bytes in.
pub(crate) fn write_bytes(address: u64, bytes: &[u8]) {
    let pointer = pointer(address, bytes.len() as u64);
    // SAFETY: the destination is identity-mapped and outside what Rust owns.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), pointer, bytes.len()) }
}

/// A range that nobody writes while the slice lives, as a slice.
///
/// # Safety
/// For as long as the slice is used nothing writes the range: no guest, no device, and no other
/// function of this module.
pub(crate) unsafe fn slice<'a>(address: u64, length: u64) -> &'a [u8] {
    let pointer = pointer(address, length);
    // SAFETY: identity-mapped, outside what Rust owns, and constant by the caller's promise.
    unsafe { core::slice::from_raw_parts(pointer, index(length)) }
}
