// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SNP instructions, with their raw results. AMD 24594.

use core::arch::asm;

/// PVALIDATE's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validation {
    pub(crate) eax: u32,
    pub(crate) carry: bool,
}

impl Validation {
    pub(crate) const CHANGED: Self = Self { eax: 0, carry: false };
    pub(crate) const UNCHANGED: Self = Self { eax: 0, carry: true };
    pub(crate) const fn failed(eax: u32) -> Self {
        Self { eax, carry: false }
    }
}

pub(crate) const FAIL_INPUT: u32 = 1;
pub(crate) const FAIL_PERMISSION: u32 = 2;
pub(crate) const FAIL_IN_USE: u32 = 3;
pub(crate) const FAIL_SIZE_MISMATCH: u32 = 6;

pub(crate) const READ: u64 = 1;
pub(crate) const WRITE: u64 = 2;
pub(crate) const EXECUTE_USER: u64 = 4;
pub(crate) const ALL: u64 = 15;

/// The low half.
#[expect(clippy::cast_possible_truncation, reason = "taking the low part is the purpose")]
pub(crate) const fn low_32(value: u64) -> u32 {
    value as u32
}

/// PVALIDATE of a virtual address.
pub(crate) fn pvalidate(address: u64, large: bool, validate: bool) -> Validation {
    let (rax, carry): (u64, u8);
    // SAFETY: it changes the state of a page of the case's own; the compiler knows that memory
    // changes.
    unsafe {
        asm!(
            ".byte 0xf2, 0x0f, 0x01, 0xff",
            "setc {carry}",
            carry = out(reg_byte) carry,
            inlateout("rax") address => rax,
            in("rcx") u64::from(large),
            in("rdx") u64::from(validate),
        );
    }
    Validation { eax: low_32(rax), carry: carry != 0 }
}

/// RMPADJUST of a virtual address: EAX.
pub(crate) fn rmpadjust(address: u64, large: bool, vmpl: u64, permissions: u64, vmsa: bool) -> u32 {
    let rax: u64;
    // SAFETY: it changes what other VMPLs may do with a page.
    unsafe {
        asm!(
            ".byte 0xf3, 0x0f, 0x01, 0xfe",
            inlateout("rax") address => rax,
            in("rcx") u64::from(large),
            in("rdx") vmpl | permissions << 8 | u64::from(vmsa) << 16,
        );
    }
    low_32(rax)
}

/// RMPQUERY of a virtual address: EAX, RCX (size) and RDX (VMPL, permissions, VMSA).
pub(crate) fn rmpquery(address: u64, vmpl: u64) -> (u32, u64, u64) {
    let (rax, rcx, rdx): (u64, u64, u64);
    // SAFETY: it reads the state of a page.
    unsafe {
        asm!(
            ".byte 0xf3, 0x0f, 0x01, 0xfd",
            inlateout("rax") address => rax,
            inlateout("rcx") 0u64 => rcx,
            inlateout("rdx") vmpl => rdx,
        );
    }
    (low_32(rax), rcx, rdx)
}

/// Writes the GHCB MSR, executes VMGEXIT, reads the MSR.
pub(crate) fn msr_exit(value: u64) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the hypervisor changes only what the request names.
    unsafe {
        asm!(
            "wrmsr",
            ".byte 0xf3, 0x0f, 0x01, 0xd9",
            "rdmsr",
            in("ecx") snp_abi::ghcb::MSR_GHCB,
            inlateout("eax") low_32(value) => low,
            inlateout("edx") low_32(value >> 32) => high,
        );
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Reads an MSR that isn't intercepted, or that the machine answers itself.
pub(crate) fn read_msr(msr: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reading has no effect.
    unsafe { asm!("rdmsr", in("ecx") msr, out("eax") low, out("edx") high) }
    u64::from(high) << 32 | u64::from(low)
}
