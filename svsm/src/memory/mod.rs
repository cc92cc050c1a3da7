// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory of the SVSM: its own region (frames, heap, page tables) and its view of the guest's.
//!
//! ```text
//!  virtual                      physical                   permissions
//!  region, identity             0x0400_0000 + 16 MiB       text R-X, constants R--, the rest RW-
//!                                                          (guard pages below stacks: absent;
//!                                                          GHCBs and bounce pages: shared, RW-)
//!  GUEST_WINDOW + gpa           guest RAM, private         RW-, user page: SMAP faults every
//!                                                          access outside the copy routines
//! ```

pub mod frames;
#[cfg(feature = "bare-metal")]
pub mod guest;
pub mod heap;
#[cfg(feature = "bare-metal")]
pub mod kernel_space;
pub mod page_table;
#[cfg(test)]
pub(crate) mod scarce;
#[cfg(feature = "bare-metal")]
pub mod shared;
pub mod validated;

/// Bytes in a small page.
pub const PAGE_SIZE: u64 = 4096;
/// Bytes in a small page, as the type of lengths.
pub const PAGE_BYTES: usize = 4096;
/// Bytes in a large page.
pub const LARGE_PAGE_SIZE: u64 = 2 << 20;
/// Virtual address at which guest-physical address 0 appears in the SVSM's address space.
pub const GUEST_WINDOW: u64 = 0xffff_8000_0000_0000;
/// The SVSM serves guests whose RAM ends at most here: it keeps one bit per guest page.
pub const GUEST_MEMORY_END_MAX: u64 = 64 << 30;

/// An address or length as the type of pointers and lengths, which has as many bits on this
/// processor.
#[cfg(feature = "bare-metal")]
#[expect(clippy::cast_possible_truncation, reason = "asserted below")]
pub(crate) const fn pointer_sized(value: u64) -> usize {
    const { assert!(usize::BITS == u64::BITS) };
    value as usize
}
