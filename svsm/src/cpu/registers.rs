// SPDX-License-Identifier: MIT OR Apache-2.0
//! Privileged registers and instructions, each wrapped once.

use core::arch::{asm, x86_64};

/// Base of the GS segment.
pub const MSR_GS_BASE: u32 = 0xc000_0101;
/// CR4.SMEP.
pub const CR4_SMEP: u64 = 1 << 20;
/// CR4.SMAP.
pub const CR4_SMAP: u64 = 1 << 21;

/// Reads an MSR.
///
/// # Safety
/// The MSR exists, and is one that the SVSM may read without a #VC.
pub unsafe fn read_msr(number: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller's promise; RDMSR touches no memory.
    unsafe {
        asm!("rdmsr", in("ecx") number, out("eax") low, out("edx") high,
            options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes an MSR.
///
/// # Safety
/// The MSR exists, may be written without a #VC, and the value keeps the running code's
/// assumptions.
pub unsafe fn write_msr(number: u32, value: u64) {
    let (low, high) = (value & 0xffff_ffff, value >> 32);
    // SAFETY: the caller's promise.
    unsafe {
        asm!("wrmsr", in("ecx") number, in("rax") low, in("rdx") high,
            options(nostack, preserves_flags));
    }
}

/// The time stamp counter.
pub fn read_tsc() -> u64 {
    // SAFETY: RDTSC has no preconditions in ring 0.
    unsafe { x86_64::_rdtsc() }
}

/// The address of the last page fault.
pub fn read_cr2() -> u64 {
    let value: u64;
    // SAFETY: reading CR2 has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Sets CR3, which also flushes the TLB.
///
/// # Safety
/// The tables map everything that the running code uses, at the same addresses.
pub unsafe fn write_cr3(value: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("mov cr3, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// Sets bits in CR4.
///
/// # Safety
/// The processor has the features, and the running code keeps their rules.
pub unsafe fn set_cr4(bits: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("mov {value}, cr4", "or {value}, {bits}", "mov cr4, {value}",
            value = out(reg) _, bits = in(reg) bits, options(nostack));
    }
}

/// Drops the translation of one address on this CPU.
pub fn flush_page(address: u64) {
    // SAFETY: INVLPG changes no memory and needs no valid mapping.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

/// Drops every translation of this guest, global ones too, on all CPUs, and waits until that is
/// done (APM volume 3, INVLPGB and TLBSYNC; by their bytes). The caller has checked CPUID.
pub fn flush_translations_everywhere() {
    /// RAX: include global translations.
    const GLOBAL: u64 = 1 << 3;
    // SAFETY: dropping translations changes no memory; where the instructions are missing they are
    // #UD, a named fault.
    unsafe {
        asm!(
            ".byte 0x0f, 0x01, 0xfe",
            ".byte 0x0f, 0x01, 0xff",
            in("rax") GLOBAL,
            in("ecx") 0,
            in("edx") 0,
            options(nostack, preserves_flags),
        );
    }
}

/// RDSEED once; `None` when the source has nothing ready. The caller has checked CPUID.
pub fn read_seed() -> Option<u64> {
    let value: u64;
    let ready: u8;
    // SAFETY: RDSEED touches registers and flags only; where the instruction is missing it is #UD,
    // which the exception handler turns into a named fault.
    unsafe {
        asm!("rdseed {}", "setc {}", out(reg) value, out(reg_byte) ready, options(nomem, nostack));
    }
    (ready == 1).then_some(value)
}

/// RDRAND once; `None` when the generator has nothing ready. The caller has checked CPUID.
pub fn read_random() -> Option<u64> {
    let value: u64;
    let ready: u8;
    // SAFETY: as for `read_seed`.
    unsafe {
        asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) ready, options(nomem, nostack));
    }
    (ready == 1).then_some(value)
}

/// Waits, with interrupts off, until the hypervisor lets this vCPU run again.
pub fn wait() {
    // SAFETY: HLT with interrupts off only stops this vCPU.
    unsafe { asm!("hlt", options(nomem, nostack)) };
}

/// Waits for good, with interrupts off.
pub fn halt() -> ! {
    loop {
        // SAFETY: HLT with interrupts off only stops this vCPU.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
