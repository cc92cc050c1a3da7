// SPDX-License-Identifier: MIT OR Apache-2.0
//! PVALIDATE, RMPADJUST and VMGEXIT (APM volume 3), by their bytes: stable assemblers lack them.
//!
//! SMAP is opened around the two that take an address, since that may be in the guest window.

use crate::machine::{PageSize, Permissions, RmpFault, Validation};
use core::arch::asm;

/// Marks the page mapped at `address` valid or not.
///
/// # Errors
/// The instruction's result in EAX.
///
/// # Safety
/// `address` is mapped, and nothing relies on the page staying as it is.
pub unsafe fn pvalidate(
    address: u64,
    size: PageSize,
    validate: bool,
) -> Result<Validation, RmpFault> {
    let result: u64;
    let unchanged: u8;
    // SAFETY: the caller's promise; the instruction changes RAX, flags and the page's RMP entry.
    unsafe {
        asm!(
            "stac",
            ".byte 0xf2, 0x0f, 0x01, 0xff",
            "setc {}",
            "clac",
            out(reg_byte) unchanged,
            inout("rax") address => result,
            in("rcx") size_operand(size),
            in("rdx") u64::from(validate),
            options(nostack),
        );
    }
    match RmpFault::from_code(low_half(result)) {
        Some(fault) => Err(fault),
        None if unchanged == 1 => Ok(Validation::Unchanged),
        None => Ok(Validation::Changed),
    }
}

/// Sets what a less privileged VMPL may do with the page mapped at `address`, which is ours: on a
/// page that isn't validated this is a fatal #VC. For the guest's there is `memory::guest`.
///
/// # Errors
/// The instruction's result in EAX.
///
/// # Safety
/// `address` is mapped.
pub unsafe fn rmpadjust(
    address: u64,
    size: PageSize,
    vmpl: u8,
    permissions: Permissions,
    vmsa: bool,
) -> Result<(), RmpFault> {
    let attributes = rmpadjust_attributes(vmpl, permissions, vmsa);
    let result: u64;
    // SAFETY: the caller's promise; the instruction changes RAX, flags and the page's RMP entry.
    unsafe {
        asm!(
            "stac",
            ".byte 0xf3, 0x0f, 0x01, 0xfe",
            "clac",
            inout("rax") address => result,
            in("rcx") size_operand(size),
            in("rdx") attributes,
            options(nostack),
        );
    }
    RmpFault::from_code(low_half(result)).map_or(Ok(()), Err)
}

/// RMPADJUST's operand in RDX.
pub(crate) fn rmpadjust_attributes(vmpl: u8, permissions: Permissions, vmsa: bool) -> u64 {
    u64::from(vmpl) | u64::from(permissions.bits()) << 8 | u64::from(vmsa) << 16
}

/// The operand in RCX of both.
pub(crate) fn size_operand(size: PageSize) -> u64 {
    u64::from(size == PageSize::Large)
}

/// Leaves to the hypervisor with what the GHCB MSR names.
///
/// # Safety
/// The MSR holds a request; memory that the hypervisor writes in answer is shared memory that no
/// reference covers.
pub unsafe fn vmgexit() {
    // SAFETY: the caller's promise.
    unsafe { asm!("rep", "vmmcall", options(nostack)) };
}

const fn low_half(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}
