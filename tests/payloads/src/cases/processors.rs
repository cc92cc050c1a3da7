// SPDX-License-Identifier: MIT OR Apache-2.0
//! More than one processor: AP creation, VMSAs in use, rights withdrawn while another runs.

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use snp_abi::Vmpl;
use snp_abi::ghcb::{ApRequest, exit, malformed};

use crate::faults::try_write;
use crate::ghcb::{Answer, Call, call};
use crate::instructions::{FAIL_IN_USE, READ, WRITE, rmpadjust};
use crate::levels::{
    VMPL2, ap_creation, apic_id, arrive, fill, grant_image, mark, prepare, return_to_vmpl0,
    run_vmpl, vmsa_page, who_am_i,
};
use crate::memory::{OTHER_PAGE, STACK_AREA, TEST_PAGE, make_private};
use crate::{check, check_eq, outcome};

/// Rounds of the other processor.
static ROUNDS: AtomicU64 = AtomicU64::new(0);
/// Which incarnation of the other processor runs.
static INCARNATION: AtomicU64 = AtomicU64::new(0);
/// What the other processor is allowed to do.
static PERMISSION: AtomicU64 = AtomicU64::new(0);
/// 1 while the other processor may be between its look at the permission and the end of its write.
static WRITING: AtomicU64 = AtomicU64::new(0);
/// Most turns of a waiting loop: far more than any machine needs.
const PATIENCE: u64 = 2_000_000_000;

extern "C" fn count_rounds() -> ! {
    arrive();
    check_eq!(who_am_i(), (apic_id(1), 0));
    INCARNATION.fetch_add(1, SeqCst);
    loop {
        ROUNDS.fetch_add(1, SeqCst);
        core::hint::spin_loop();
    }
}

/// Waits for a condition that the other processor brings about.
fn wait_for(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..PATIENCE {
        if condition() {
            return;
        }
        core::hint::spin_loop();
    }
    outcome::fail(format_args!("waited in vain for {what}"));
}

/// Starts VMPL0 of the second processor; the VMSA's address.
fn start_second(run: extern "C" fn() -> !) -> u64 {
    let other = apic_id(1);
    let vmsa_gpa = prepare(other, Vmpl::Vmpl0, run);
    mark(vmsa_gpa);
    check_eq!(ap_creation(ApRequest::Create, other, Vmpl::Vmpl0, vmsa_gpa), Answer::DONE);
    vmsa_gpa
}

pub(super) fn creation() {
    start_second(count_rounds);
    wait_for("the second processor", || ROUNDS.load(SeqCst) > 1000);
}

pub(super) fn destroy_and_create() {
    let other = apic_id(1);
    let vmsa_gpa = start_second(count_rounds);
    for incarnation in 1..10 {
        wait_for("the incarnation", || INCARNATION.load(SeqCst) == incarnation);
        let destroyed = ap_creation(ApRequest::Destroy, other, Vmpl::Vmpl0, vmsa_gpa);
        check_eq!(destroyed, Answer::DONE);
        // It no longer runs, and its page is free for whatever we like.
        let rounds = ROUNDS.load(SeqCst);
        for _ in 0..10_000 {
            core::hint::spin_loop();
        }
        check_eq!(ROUNDS.load(SeqCst), rounds);
        check_eq!(rmpadjust(vmsa_gpa, false, 1, 0, false), 0);
        start_second_again(vmsa_gpa, count_rounds);
    }
}

/// Starts the second processor from a page that was its VMSA before.
fn start_second_again(vmsa_gpa: u64, run: extern "C" fn() -> !) {
    let other = apic_id(1);
    let number = other * 4;
    let stack_top = STACK_AREA + (number + 1) * 0x4000;
    fill(vmsa_gpa, number, Vmpl::Vmpl0, run, stack_top);
    mark(vmsa_gpa);
    check_eq!(ap_creation(ApRequest::Create, other, Vmpl::Vmpl0, vmsa_gpa), Answer::DONE);
}

extern "C" fn hold() -> ! {
    arrive();
    INCARNATION.fetch_add(1, SeqCst);
    call(Call { code: exit::AP_RESET_HOLD, info_1: 0, info_2: 0, fields: &[] });
    outcome::fail(format_args!("came back from a reset hold"))
}

/// A processor that is held gives its VMSA up, and starts anew by AP creation only.
pub(super) fn reset_hold() {
    let vmsa_gpa = start_second(hold);
    for incarnation in 1..10 {
        wait_for("the incarnation", || INCARNATION.load(SeqCst) == incarnation);
        wait_for("the VMSA", || rmpadjust(vmsa_gpa, false, 1, 0, false) != FAIL_IN_USE);
        check_eq!(rmpadjust(vmsa_gpa, false, 1, 0, false), 0);
        start_second_again(vmsa_gpa, hold);
    }
}

pub(super) fn creation_refused() {
    let refused = Answer::malformed(malformed::INVALID_INPUT);
    let other = apic_id(1);
    make_private(TEST_PAGE);
    check_eq!(ap_creation(ApRequest::Create, 77, Vmpl::Vmpl0, TEST_PAGE), refused);
    check_eq!(ap_creation(ApRequest::Create, other, Vmpl::Vmpl0, TEST_PAGE + 8), refused);
    check_eq!(ap_creation(ApRequest::Create, other, Vmpl::Vmpl0, 0xfee0_0000), refused);
    check_eq!(ap_creation(ApRequest::Create, other, Vmpl::Vmpl0, 0x0100_0000), refused);
    // The processor that runs the machine and no guest.
    check_eq!(ap_creation(ApRequest::Create, 0, Vmpl::Vmpl0, TEST_PAGE), refused);
}

pub(super) fn in_use() {
    let vmsa_gpa = start_second(count_rounds);
    wait_for("the second processor", || ROUNDS.load(SeqCst) > 0);
    check_eq!(rmpadjust(vmsa_gpa, false, 1, 0, false), FAIL_IN_USE);
    check!(crate::ghcb::page_state(vmsa_gpa, false) != 0);
}

pub(super) fn on_two_processors() {
    let vmsa_gpa = start_second(count_rounds);
    wait_for("the second processor", || ROUNDS.load(SeqCst) > 0);
    let (own, _) = who_am_i();
    ap_creation(ApRequest::Create, own, Vmpl::Vmpl0, vmsa_gpa);
}

extern "C" fn write_while_allowed() -> ! {
    arrive();
    loop {
        WRITING.store(1, SeqCst);
        if PERMISSION.load(SeqCst) == 1 {
            check_eq!(try_write(TEST_PAGE, 1), Ok(()));
            ROUNDS.fetch_add(1, SeqCst);
        }
        WRITING.store(0, SeqCst);
        core::hint::spin_loop();
    }
}

extern "C" fn write_always() -> ! {
    arrive();
    loop {
        check_eq!(try_write(TEST_PAGE, 1), Ok(()));
        ROUNDS.fetch_add(1, SeqCst);
    }
}

/// VMPL0 of the second processor: hands over to VMPL2 for good.
extern "C" fn hand_over() -> ! {
    arrive();
    check_eq!(run_vmpl(VMPL2), Answer::DONE);
    return_to_vmpl0()
}

/// Runs a function at VMPL2 of the second processor.
fn start_second_at_vmpl2(run: extern "C" fn() -> !) {
    let other = apic_id(1);
    make_private(TEST_PAGE);
    make_private(OTHER_PAGE);
    check_eq!(rmpadjust(TEST_PAGE, false, VMPL2, READ | WRITE, false), 0);
    grant_image();
    let vmsa_gpa = prepare(other, Vmpl::Vmpl2, run);
    mark(vmsa_gpa);
    // The processor may run VMPL2 before that has a VMSA: it waits.
    start_second(hand_over);
    check_eq!(ap_creation(ApRequest::Create, other, Vmpl::Vmpl2, vmsa_gpa), Answer::DONE);
    check_eq!(vmsa_gpa, vmsa_page(other, VMPL2));
}

/// Permissions come and go while another processor uses them.
pub(super) fn permissions_reach() {
    start_second_at_vmpl2(write_while_allowed);
    for round in 0..50 {
        PERMISSION.store(1, SeqCst);
        let before = ROUNDS.load(SeqCst);
        wait_for("a write", || ROUNDS.load(SeqCst) > before + 1);
        PERMISSION.store(0, SeqCst);
        // Who is found outside of the section from now on sees the new value when it enters.
        wait_for("the last write", || WRITING.load(SeqCst) == 0);
        check_eq!(rmpadjust(TEST_PAGE, false, VMPL2, READ, false), 0);
        check_eq!(rmpadjust(OTHER_PAGE, false, VMPL2, round % 2, false), 0);
        check_eq!(rmpadjust(TEST_PAGE, false, VMPL2, READ | WRITE, false), 0);
    }
}

pub(super) fn withdrawn() {
    start_second_at_vmpl2(write_always);
    wait_for("a write", || ROUNDS.load(SeqCst) > 100);
    check_eq!(rmpadjust(TEST_PAGE, false, VMPL2, READ, false), 0);
    let after = ROUNDS.load(SeqCst);
    wait_for("a write that must not happen", || ROUNDS.load(SeqCst) > after + 10);
}
