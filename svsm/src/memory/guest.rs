// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copies between private memory of ours and the guest's, through the guest window.
//!
//! The copy routines alone open SMAP, and survive a page that is not there (cpu/exception.rs).

use super::{GUEST_MEMORY_END_MAX, GUEST_WINDOW, kernel_space};
use crate::machine::{GuestFault, Page, Permissions, RmpFault, Validation};
use crate::snp::instruction;

unsafe extern "C" {
    // memory_functions.s; the first two return the number of bytes that were left.
    fn guest_copy(destination: *mut u8, source: *const u8, length: usize) -> usize;
    fn guest_fill_zero(destination: *mut u8, length: usize) -> usize;
    // The instruction's operands; its result, or `NOT_VALIDATED`.
    fn guest_rmpadjust(address: u64, size: u64, attributes: u64) -> u32;
}

/// What `guest_rmpadjust` returns for a page that isn't validated: no result of the instruction's.
pub(crate) const NOT_VALIDATED: u32 = 0x1_0000;

/// Copies from guest memory.
///
/// # Errors
/// A page of the range is not there; part of the copy may have happened.
pub fn read(address: u64, buffer: &mut [u8]) -> Result<(), GuestFault> {
    let source = window(address, buffer.len())?;
    // SAFETY: the destination is a slice of ours; the source is in the window, where nothing is a
    // Rust object, and where a fault ends the copy.
    let left = unsafe { guest_copy(buffer.as_mut_ptr(), source, buffer.len()) };
    if left == 0 { Ok(()) } else { Err(GuestFault) }
}

/// Copies to guest memory.
///
/// # Errors
/// A page of the range is not there; part of the copy may have happened.
pub fn write(address: u64, bytes: &[u8]) -> Result<(), GuestFault> {
    let destination = window(address, bytes.len())?;
    // SAFETY: the source is a slice of ours; the destination is as the source in `read`.
    let left = unsafe { guest_copy(destination, bytes.as_ptr(), bytes.len()) };
    if left == 0 { Ok(()) } else { Err(GuestFault) }
}

/// Fills a page with zeros.
///
/// # Errors
/// It is not there, or not all of it.
pub fn zero(page: Page) -> Result<(), GuestFault> {
    let length = usize::try_from(page.size().bytes()).map_err(|_| GuestFault)?;
    let destination = window(page.address(), length)?;
    // SAFETY: as in `write`.
    let left = unsafe { guest_fill_zero(destination, length) };
    if left == 0 { Ok(()) } else { Err(GuestFault) }
}

fn window(address: u64, length: usize) -> Result<*mut u8, GuestFault> {
    let end = address.checked_add(length as u64).ok_or(GuestFault)?;
    if end > GUEST_MEMORY_END_MAX {
        return Err(GuestFault);
    }
    let place = usize::try_from(GUEST_WINDOW + address).map_err(|_| GuestFault)?;
    Ok(core::ptr::with_exposed_provenance_mut(place))
}

/// PVALIDATE of a page of the guest's.
///
/// # Errors
/// The instruction's; `Input` for a page outside the guest window.
pub fn pvalidate(page: Page, validate: bool) -> Result<Validation, RmpFault> {
    let address = mapped_address(page)?;
    // SAFETY: mapped in the guest window; nothing of ours relies on a guest page's state.
    unsafe { instruction::pvalidate(address, page.size(), validate) }
}

/// RMPADJUST of a page of the guest's.
///
/// # Errors
/// The instruction's; `NotValidated` also where the record says otherwise, since guest and host may
/// have exchanged the page without the SVSM; `Input` for a page outside the guest window.
pub fn rmpadjust(
    page: Page,
    vmpl: u8,
    permissions: Permissions,
    vmsa: bool,
) -> Result<(), RmpFault> {
    let address = mapped_address(page)?;
    let attributes = instruction::rmpadjust_attributes(vmpl, permissions, vmsa);
    // SAFETY: mapped in the guest window, where a fault ends the routine; the instruction changes
    // the page's RMP entry alone.
    match unsafe { guest_rmpadjust(address, instruction::size_operand(page.size()), attributes) } {
        NOT_VALIDATED => Err(RmpFault::NotValidated),
        code => RmpFault::from_code(code).map_or(Ok(()), Err),
    }
}

/// Where a page appears in the guest window. Were it not mapped, the instructions above would be
/// a fatal page fault.
fn mapped_address(page: Page) -> Result<u64, RmpFault> {
    let address = GUEST_WINDOW + page.address();
    if page.end() <= GUEST_MEMORY_END_MAX && kernel_space::is_mapped(address) {
        Ok(address)
    } else {
        Err(RmpFault::Input)
    }
}
