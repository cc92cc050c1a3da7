// SPDX-License-Identifier: MIT OR Apache-2.0
//! The instructions of the real processor (QEMU's) that the machine uses: ports, MSRs, time.

use core::arch::{asm, x86_64};

/// Width of a port or device access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Byte,
    Word,
    Double,
    Quad,
}

impl Width {
    /// The width of this many bytes.
    pub(crate) const fn from_bytes(bytes: u64) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Word),
            4 => Some(Self::Double),
            8 => Some(Self::Quad),
            _ => None,
        }
    }

    pub(crate) const fn bytes(self) -> u64 {
        match self {
            Self::Byte => 1,
            Self::Word => 2,
            Self::Double => 4,
            Self::Quad => 8,
        }
    }
}

/// Reads a port; ports have at most 32 bits.
pub(crate) fn port_in(port: u16, width: Width) -> u32 {
    // SAFETY: reading a port touches no memory; the devices behind ports belong to the guest, and
    // those that could overwrite memory by DMA write where the guest told them to.
    unsafe {
        match width {
            Width::Byte => {
                let value: u8;
                asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack));
                u32::from(value)
            }
            Width::Word => {
                let value: u16;
                asm!("in ax, dx", in("dx") port, out("ax") value, options(nomem, nostack));
                u32::from(value)
            }
            Width::Double | Width::Quad => {
                let value: u32;
                asm!("in eax, dx", in("dx") port, out("eax") value, options(nomem, nostack));
                value
            }
        }
    }
}

/// Writes a port; ports have at most 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "a narrow port takes the low part")]
pub(crate) fn port_out(port: u16, width: Width, value: u32) {
    // SAFETY: as in `port_in`.
    unsafe {
        match width {
            Width::Byte => {
                asm!("out dx, al", in("dx") port, in("al") value as u8, options(nomem, nostack));
            }
            Width::Word => {
                asm!("out dx, ax", in("dx") port, in("ax") value as u16, options(nomem, nostack));
            }
            Width::Double | Width::Quad => {
                asm!("out dx, eax", in("dx") port, in("eax") value, options(nomem, nostack));
            }
        }
    }
}

/// Reads a model-specific register that the processor is known to have.
pub(crate) fn read_msr(msr: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reading an MSR touches no memory. For one that doesn't exist the processor raises
    // #GP, which ends the machine with a report (exceptions.rs).
    unsafe {
        asm!("rdmsr", in("ecx") msr, out("eax") low, out("edx") high, options(nomem, nostack));
    }
    crate::bits::pair(high, low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The value mustn't change how the machine itself executes: no paging, mode or base address
/// that its code depends on.
pub(crate) unsafe fn write_msr(msr: u32, value: u64) {
    let (low, high) = (crate::bits::low_32(value), crate::bits::high_32(value));
    // SAFETY: the caller's.
    unsafe {
        asm!("wrmsr", in("ecx") msr, in("eax") low, in("edx") high, options(nostack));
    }
}

/// The time stamp counter, in ticks.
pub(crate) fn ticks() -> u64 {
    // SAFETY: RDTSC exists on every 64-bit processor and touches no memory.
    unsafe { x86_64::_rdtsc() }
}

/// CPUID of the real processor.
pub(crate) fn cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
    let result = x86_64::__cpuid_count(leaf, subleaf);
    [result.eax, result.ebx, result.ecx, result.edx]
}

/// Ends QEMU through `isa-debug-exit`: its status is `code * 2 + 1`.
pub(crate) fn exit_qemu(code: u32) -> ! {
    const DEBUG_EXIT_PORT: u16 = 0xf4;
    port_out(DEBUG_EXIT_PORT, Width::Double, code);
    rest()
}

/// Stops this processor for good.
pub(crate) fn rest() -> ! {
    loop {
        halt();
    }
}

/// Waits for ever: GIF is clear.
fn halt() {
    // SAFETY: halting has no effect on memory.
    unsafe { asm!("hlt", options(nomem, nostack)) }
}

/// 64 random bits for a test machine's keys: RDRAND, mixed with the time if it gives nothing.
pub(crate) fn random() -> u64 {
    const ATTEMPTS: u32 = 16;
    const RDRAND: u32 = 1 << 30;
    let present = cpuid(1, 0)[2] & RDRAND != 0;
    for _ in 0..if present { ATTEMPTS } else { 0 } {
        let (value, ok): (u64, u8);
        // SAFETY: the processor has the instruction; it touches no memory.
        unsafe {
            asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) ok, options(nomem, nostack));
        }
        if ok != 0 {
            return value;
        }
    }
    ticks().wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
