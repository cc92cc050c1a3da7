// SPDX-License-Identifier: MIT OR Apache-2.0
//! VMPL2 of the same processor: permissions, VMSA checks, switches. AMD 24593, 15.36.7 and
//! 15.36.16.

use core::arch::asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use snp_abi::Vmpl;
use snp_abi::ghcb::{ApRequest, exit, malformed};
use snp_abi::vmsa::Vmsa;

use crate::faults::{Fault, try_execute, try_read, try_write};
use crate::ghcb::{Answer, page_state};
use crate::instructions::{
    ALL, EXECUTE_USER, FAIL_INPUT, FAIL_PERMISSION, READ, WRITE, rmpadjust, rmpquery,
};
use crate::levels::{
    VMPL2, ap_creation, arrive, mark, prepare, return_to_vmpl0, run_at_vmpl2, run_vmpl, vmsa_page,
    who_am_i,
};
use crate::memory::{OTHER_PAGE, TEST_PAGE, make_private, read_private, write_private};
use crate::{check, check_eq};

/// What VMPL2 leaves for VMPL0.
static REACHED: AtomicU64 = AtomicU64::new(0);

pub(super) fn round_trip() {
    extern "C" fn at_vmpl2() -> ! {
        arrive();
        check_eq!(who_am_i().1, VMPL2);
        loop {
            REACHED.fetch_add(1, SeqCst);
            run_vmpl(0);
        }
    }
    run_at_vmpl2(at_vmpl2);
    check_eq!(REACHED.load(SeqCst), 1);
    for round in 2..100 {
        check_eq!(run_vmpl(VMPL2), Answer::DONE);
        check_eq!(REACHED.load(SeqCst), round);
    }
}

/// Registers are in the VMSA when VMPL0 looks, and what VMPL0 writes there is in the registers.
pub(super) fn state_in_vmsa() {
    extern "C" fn at_vmpl2() -> ! {
        arrive();
        // From here on without Rust, so that every register is known.
        // SAFETY: VMPL2 never returns from here; the MSR protocol needs no memory.
        unsafe {
            asm!(
                "2:",
                "mov r12, 0x1212121212121212",
                "movq xmm7, r12",
                "mov r13, 0x1313131313131313",
                "mov rdi, 0x7777",
                "mov ecx, 0xc0010130",
                "mov eax, 0x16",
                "xor edx, edx",
                "wrmsr",
                ".byte 0xf3, 0x0f, 0x01, 0xd9",
                // VMPL0 has replaced R13.
                "mov r14, r13",
                "mov eax, 0x16",
                "xor edx, edx",
                "wrmsr",
                ".byte 0xf3, 0x0f, 0x01, 0xd9",
                "jmp 2b",
                options(noreturn),
            )
        }
    }
    run_at_vmpl2(at_vmpl2);
    let (apic_id, _) = who_am_i();
    let vmsa_gpa = vmsa_page(apic_id, VMPL2);
    let vmsa: Vmsa = read_private(vmsa_gpa);
    check_eq!(vmsa.r12, 0x1212_1212_1212_1212);
    check_eq!(vmsa.r13, 0x1313_1313_1313_1313);
    check_eq!(vmsa.rdi, 0x7777);
    check_eq!(vmsa.xmm_registers[7][..8], [0x12; 8]);
    check_eq!(vmsa.vmpl, 2);
    check_eq!(vmsa.guest_exit_code, 0x403);
    write_private(vmsa_gpa + offset_of!(Vmsa, r13) as u64, 0xabcd_u64);
    check_eq!(run_vmpl(VMPL2), Answer::DONE);
    let vmsa: Vmsa = read_private(vmsa_gpa);
    check_eq!(vmsa.r14, 0xabcd);
}

/// What Linux does to learn that it isn't at VMPL0, and the rest of RMPADJUST's order.
pub(super) fn probe() {
    extern "C" fn at_vmpl2() -> ! {
        arrive();
        check_eq!(rmpadjust(TEST_PAGE, false, 1, ALL, false), FAIL_PERMISSION);
        check_eq!(rmpadjust(TEST_PAGE, false, 2, ALL, false), FAIL_PERMISSION);
        check_eq!(rmpadjust(TEST_PAGE, false, 5, ALL, false), FAIL_INPUT);
        // More than it has itself, and what it has.
        check_eq!(rmpadjust(TEST_PAGE, false, 3, ALL, false), FAIL_PERMISSION);
        check_eq!(rmpadjust(TEST_PAGE, false, 3, READ, true), FAIL_PERMISSION);
        check_eq!(rmpadjust(TEST_PAGE, false, 3, READ, false), 0);
        check_eq!(rmpquery(TEST_PAGE, 3), (0, 0, 3 | READ << 8));
        check_eq!(rmpquery(TEST_PAGE, 1).0, FAIL_PERMISSION);
        REACHED.store(1, SeqCst);
        return_to_vmpl0()
    }
    make_private(TEST_PAGE);
    check_eq!(rmpadjust(TEST_PAGE, false, VMPL2, READ | WRITE, false), 0);
    run_at_vmpl2(at_vmpl2);
    check_eq!(REACHED.load(SeqCst), 1);
}

pub(super) fn pvalidate_at_vmpl2() {
    extern "C" fn at_vmpl2() -> ! {
        arrive();
        const PVALIDATE: [u8; 5] = [0xf2, 0x0f, 0x01, 0xff, 0xc3];
        const GP: u64 = 13;
        let fault = try_execute(&PVALIDATE).map_err(|fault| (fault.vector, fault.error_code));
        check_eq!(fault, Err((GP, 0)));
        REACHED.store(1, SeqCst);
        return_to_vmpl0()
    }
    run_at_vmpl2(at_vmpl2);
    check_eq!(REACHED.load(SeqCst), 1);
}

/// Page not validated comes before permissions.
pub(super) fn unvalidated_at_vmpl2() {
    extern "C" fn at_vmpl2() -> ! {
        arrive();
        let expected = Fault { vector: 29, error_code: exit::PAGE_NOT_VALIDATED, cr2: TEST_PAGE };
        check_eq!(try_read(TEST_PAGE), Err(expected));
        REACHED.store(1, SeqCst);
        return_to_vmpl0()
    }
    check_eq!(page_state(TEST_PAGE, true), 0);
    run_at_vmpl2(at_vmpl2);
    check_eq!(REACHED.load(SeqCst), 1);
}

pub(super) fn create_vmpl0_refused() {
    extern "C" fn at_vmpl2() -> ! {
        arrive();
        let refused = Answer::malformed(malformed::INVALID_INPUT);
        let (apic_id, _) = who_am_i();
        check_eq!(ap_creation(ApRequest::Create, apic_id, Vmpl::Vmpl0, TEST_PAGE), refused);
        check_eq!(ap_creation(ApRequest::Destroy, apic_id, Vmpl::Vmpl1, 0), refused);
        // Nor may it lose the processor to a level without a VMSA.
        check_eq!(run_vmpl(3), refused);
        REACHED.store(1, SeqCst);
        return_to_vmpl0()
    }
    run_at_vmpl2(at_vmpl2);
    check_eq!(REACHED.load(SeqCst), 1);
}

pub(super) fn run_bad_vmpl() {
    let refused = Answer::malformed(malformed::INVALID_INPUT);
    check_eq!(run_vmpl(4), refused);
    check_eq!(run_vmpl(1 << 32), refused);
    check_eq!(run_vmpl(0), Answer::DONE);
}

/// Gives VMPL2 some permissions for the test page, then lets it try.
fn with_permissions(permissions: u64, at_vmpl2: extern "C" fn() -> !) {
    make_private(TEST_PAGE);
    const RET: u8 = 0xc3;
    write_private(TEST_PAGE, RET);
    check_eq!(rmpadjust(TEST_PAGE, false, VMPL2, permissions, false), 0);
    run_at_vmpl2(at_vmpl2);
}

pub(super) fn read_denied() {
    extern "C" fn at_vmpl2() -> ! {
        arrive();
        try_read(TEST_PAGE).ok();
        return_to_vmpl0()
    }
    with_permissions(0, at_vmpl2);
}

pub(super) fn write_denied() {
    extern "C" fn at_vmpl2() -> ! {
        arrive();
        check_eq!(try_read(TEST_PAGE), Ok(()));
        try_write(TEST_PAGE, 1).ok();
        return_to_vmpl0()
    }
    with_permissions(READ | EXECUTE_USER, at_vmpl2);
}

pub(super) fn execute_denied() {
    extern "C" fn at_vmpl2() -> ! {
        arrive();
        check_eq!(try_write(TEST_PAGE, 0xc3), Ok(()));
        // SAFETY: the page holds RET; the machine ends the case at the fetch.
        unsafe { asm!("call {}", in(reg) TEST_PAGE, clobber_abi("C")) }
        return_to_vmpl0()
    }
    with_permissions(READ | WRITE, at_vmpl2);
}

pub(super) fn vmpl1_page() {
    extern "C" fn at_vmpl2() -> ! {
        arrive();
        try_read(OTHER_PAGE).ok();
        return_to_vmpl0()
    }
    make_private(OTHER_PAGE);
    check_eq!(rmpadjust(OTHER_PAGE, false, 1, ALL, false), 0);
    run_at_vmpl2(at_vmpl2);
}

/// A permission that was used is gone when VMPL0 has taken it back.
pub(super) fn withdrawn() {
    extern "C" fn at_vmpl2() -> ! {
        arrive();
        loop {
            check_eq!(try_write(TEST_PAGE, 1), Ok(()));
            run_vmpl(0);
        }
    }
    with_permissions(READ | WRITE, at_vmpl2);
    check_eq!(run_vmpl(VMPL2), Answer::DONE);
    check_eq!(rmpadjust(TEST_PAGE, false, VMPL2, READ, false), 0);
    run_vmpl(VMPL2);
}

extern "C" fn never() -> ! {
    arrive();
    check!(false);
    return_to_vmpl0()
}

/// Prepares VMPL2, lets `spoil` change its VMSA page, and enters it.
fn enter_spoiled(marked: bool, spoil: impl FnOnce(u64)) {
    let (apic_id, _) = who_am_i();
    let vmsa_gpa = prepare(apic_id, Vmpl::Vmpl2, never);
    if marked {
        mark(vmsa_gpa);
    }
    check_eq!(ap_creation(ApRequest::CreateOnInit, apic_id, Vmpl::Vmpl2, vmsa_gpa), Answer::DONE);
    spoil(vmsa_gpa);
    run_vmpl(VMPL2);
}

pub(super) fn not_marked() {
    enter_spoiled(false, |_| ());
}

pub(super) fn mark_removed() {
    enter_spoiled(true, |vmsa| check_eq!(rmpadjust(vmsa, false, 1, 0, false), 0));
}

pub(super) fn svme_clear() {
    enter_spoiled(true, |vmsa| {
        let at = vmsa + offset_of!(Vmsa, efer) as u64;
        let efer: u64 = read_private(at);
        write_private(at, efer & !(1 << 12));
    });
}

pub(super) fn wrong_vmpl() {
    enter_spoiled(true, |vmsa| write_private(vmsa + offset_of!(Vmsa, vmpl) as u64, 1u8));
}

pub(super) fn wrong_features() {
    enter_spoiled(true, |vmsa| write_private(vmsa + offset_of!(Vmsa, sev_features) as u64, 0u64));
}

pub(super) fn invalid_state() {
    enter_spoiled(true, |vmsa| {
        // CR0's upper half must be zero.
        write_private(vmsa + offset_of!(Vmsa, cr0) as u64, u64::MAX);
    });
}

pub(super) fn triple_fault() {
    extern "C" fn at_vmpl2() -> ! {
        let empty = [0u8; 10];
        // SAFETY: the machine ends the case when the fault can't be delivered.
        unsafe { asm!("lidt [{}]", "ud2", in(reg) &raw const empty) }
        return_to_vmpl0()
    }
    run_at_vmpl2(at_vmpl2);
}
