// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens on an exception. Two kinds are ordinary: CPUID (a #VC, answered from the table) and
//! a guest page that is not there under one of the routines for guest memory. Everything else is a
//! fault of ours or an attack of the host's, and ends the guest under a name.
//!
//! The host may raise an exception at any instruction, and reads the console. So what is logged
//! says where it happened, and never what was in a register: that may have been a part of a key.

use super::per_cpu;
use super::registers::read_cr2;
use crate::boot::launch;
use crate::memory::{GUEST_WINDOW, kernel_space, pointer_sized};
use crate::snp::termination::{Reason, terminate};
use core::sync::atomic::Ordering;
use snp_abi::ghcb::exit;

const PAGE_FAULT: u64 = 14;
const VMM_COMMUNICATION: u64 = 29;
/// The instruction CPUID.
const CPUID_BYTES: [u8; 2] = [0x0f, 0xa2];

/// What vectors.s pushes, from the last push up.
#[repr(C)]
struct ExceptionFrame {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rbp: u64,
    rdi: u64,
    rsi: u64,
    rdx: u64,
    rcx: u64,
    rbx: u64,
    rax: u64,
    vector: u64,
    error_code: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

unsafe extern "C" {
    // Labels of memory_functions.s.
    static guest_copy_access: u8;
    static guest_copy_fault: u8;
    static guest_fill_zero_access: u8;
    static guest_fill_zero_fault: u8;
    static guest_rmpadjust_access: u8;
    static guest_rmpadjust_fault: u8;
}

/// Called by vectors.s on the vector's IST stack, SSE state saved.
// SAFETY: the name is unique in this program; only vectors.s calls it.
#[unsafe(no_mangle)]
extern "C" fn svsm_exception(frame: &mut ExceptionFrame) {
    let cpu = per_cpu::current();
    if cpu.in_exception.swap(true, Ordering::Relaxed) {
        // The first handler's stack may be gone: no more than the end.
        terminate(Reason::Exception);
    }
    let resumed = match (frame.vector, frame.error_code) {
        (PAGE_FAULT, _) => resume_copy(frame),
        (VMM_COMMUNICATION, exit::PAGE_NOT_VALIDATED) => resume_copy(frame),
        (VMM_COMMUNICATION, exit::CPUID) => answer_cpuid(frame),
        _ => false,
    };
    if !resumed {
        fatal(frame);
    }
    cpu.in_exception.store(false, Ordering::Relaxed);
}

/// Lets a routine for guest memory return what it could not do. Only an access to the guest window
/// may fail: the other side of a copy is our own memory.
fn resume_copy(frame: &mut ExceptionFrame) -> bool {
    let exits = [
        (&raw const guest_copy_access, &raw const guest_copy_fault),
        (&raw const guest_fill_zero_access, &raw const guest_fill_zero_fault),
        (&raw const guest_rmpadjust_access, &raw const guest_rmpadjust_fault),
    ];
    let in_window = |address: u64| address >= GUEST_WINDOW;
    if !in_window(frame.rdi) && !in_window(frame.rsi) {
        return false;
    }
    for (access, way_out) in exits {
        if frame.rip == access.addr() as u64 {
            frame.rip = way_out.addr() as u64;
            return true;
        }
    }
    false
}

/// The host can inject a #VC anywhere: only a true CPUID instruction is answered.
fn answer_cpuid(frame: &mut ExceptionFrame) -> bool {
    if !kernel_space::is_code(frame.rip, CPUID_BYTES.len() as u64) {
        return false;
    }
    let instruction = core::ptr::with_exposed_provenance::<[u8; 2]>(pointer_sized(frame.rip));
    // SAFETY: inside our own text, which is mapped readable and never written.
    if unsafe { instruction.read_unaligned() } != CPUID_BYTES {
        return false;
    }
    let Some(table) = launch::cpuid_table() else { return false };
    let [eax, ebx, ecx, edx] =
        table.answer((frame.rax & 0xffff_ffff) as u32, (frame.rcx & 0xffff_ffff) as u32);
    (frame.rax, frame.rbx, frame.rcx, frame.rdx) = (eax.into(), ebx.into(), ecx.into(), edx.into());
    frame.rip += CPUID_BYTES.len() as u64;
    true
}

fn fatal(frame: &ExceptionFrame) -> ! {
    let address = read_cr2();
    let guarded = frame.vector == PAGE_FAULT && kernel_space::is_region(address);
    let unvalidated =
        frame.vector == VMM_COMMUNICATION && frame.error_code == exit::PAGE_NOT_VALIDATED;
    let (reason, what) = if guarded {
        (Reason::StackOverflow, "access to a guard page (stack overflow?)")
    } else if unvalidated {
        (Reason::NotValidated, "access to a page that is not validated (#VC 0x404)")
    } else {
        (Reason::Exception, "unexpected exception")
    };
    crate::error!(
        "fatal: {what}: vector {} error {:#x} rip {:#x} address {address:#x} rsp {:#x}",
        frame.vector,
        frame.error_code,
        frame.rip,
        frame.rsp,
    );
    terminate(reason);
}
