// SPDX-License-Identifier: MIT OR Apache-2.0
//! The payload's memory: the first GiB is mapped privately one to one, and once more, shared, one
//! GiB higher. Cases use memory behind the image, which the launch leaves unassigned.

use core::ptr;

use zerocopy::{FromBytes, IntoBytes};

use crate::check_eq;
use crate::instructions::{Validation, pvalidate};
use crate::{ghcb, outcome};

/// Bytes in a page.
pub(crate) const PAGE: u64 = 4096;
/// Bytes in a large page.
pub(crate) const LARGE_PAGE: u64 = 0x20_0000;
/// Added to an address for its shared alias.
pub(crate) const SHARED_ALIAS: u64 = 0x4000_0000;
/// GHCB pages: one for each APIC id and VMPL.
pub(crate) const GHCB_AREA: u64 = 0x0440_0000;
/// A page for the case's own purposes.
pub(crate) const TEST_PAGE: u64 = 0x0460_0000;
/// Another, in the same 2 MiB.
pub(crate) const OTHER_PAGE: u64 = TEST_PAGE + PAGE;
/// A 2 MiB block for the case's own purposes.
pub(crate) const TEST_BLOCK: u64 = 0x0480_0000;
/// VMSA pages.
pub(crate) const VMSA_AREA: u64 = 0x04a0_0000;
/// Stacks of other VMPLs and processors.
pub(crate) const STACK_AREA: u64 = 0x04c0_0000;
/// The launch leaves everything from here on to the case.
const FREE_AREA: u64 = GHCB_AREA;
const FREE_AREA_END: u64 = 0x2000_0000;

fn pointer(address: u64) -> *mut u8 {
    let address = usize::try_from(address).unwrap_or(0);
    ptr::with_exposed_provenance_mut(address)
}

fn check_range(address: u64) {
    let gpa = address % SHARED_ALIAS;
    if !(FREE_AREA..FREE_AREA_END).contains(&gpa) {
        outcome::fail(format_args!("a case writes to {address:#x}"));
    }
}

/// Reads through the private mapping.
pub(crate) fn read_private<T: FromBytes>(gpa: u64) -> T {
    // SAFETY: the first GiB is mapped; reading memory that Rust owns is no harm, and every bit
    // pattern is a valid T. An access that the machine refuses ends the case with its report.
    unsafe { ptr::read_volatile(pointer(gpa).cast()) }
}

/// Writes through the private mapping.
pub(crate) fn write_private<T: IntoBytes>(gpa: u64, value: T) {
    check_range(gpa);
    // SAFETY: mapped, and outside the image.
    unsafe { ptr::write_volatile(pointer(gpa).cast(), value) }
}

/// Reads through the shared mapping.
pub(crate) fn read_shared<T: FromBytes>(gpa: u64) -> T {
    // SAFETY: the second GiB is an alias of the first; as in `read_private`.
    unsafe { ptr::read_volatile(pointer(gpa + SHARED_ALIAS).cast()) }
}

/// Writes through the shared mapping.
pub(crate) fn write_shared<T: IntoBytes>(gpa: u64, value: T) {
    check_range(gpa);
    // SAFETY: mapped, and outside the image.
    unsafe { ptr::write_volatile(pointer(gpa + SHARED_ALIAS).cast(), value) }
}

/// Has a page assigned and validates it.
pub(crate) fn make_private(gpa: u64) {
    check_eq!(ghcb::page_state(gpa, true), 0);
    check_eq!(pvalidate(gpa, false, true), Validation::CHANGED);
}

/// Has a 2 MiB block assigned and validates it.
pub(crate) fn make_private_block(gpa: u64) {
    check_eq!(ghcb::page_state_list(&[ghcb::large_entry(gpa, true)]), Ok(0));
    check_eq!(pvalidate(gpa, true, true), Validation::CHANGED);
}

/// Zeroes a private page.
pub(crate) fn clear(gpa: u64) {
    for offset in (0..PAGE).step_by(8) {
        write_private(gpa + offset, 0u64);
    }
}
