// SPDX-License-Identifier: MIT OR Apache-2.0
//! PVALIDATE, RMPADJUST, RMPQUERY (AMD 24594), and instructions that become #VC.

use snp_abi::ghcb::{MSR_SEV_STATUS, exit};

use crate::faults::{Fault, try_execute, try_read};
use crate::ghcb::{alias, large_entry, page_state, page_state_list};
use crate::instructions::{
    ALL, EXECUTE_USER, FAIL_INPUT, FAIL_PERMISSION, FAIL_SIZE_MISMATCH, READ, Validation, WRITE,
    pvalidate, read_msr, rmpadjust, rmpquery,
};
use crate::memory::{
    LARGE_PAGE, OTHER_PAGE, PAGE, TEST_BLOCK, TEST_PAGE, make_private, make_private_block,
};
use crate::{check, check_eq};

const UD: u64 = 6;
const VC: u64 = 29;

pub(super) fn validate_twice() {
    make_private(TEST_PAGE);
    check_eq!(pvalidate(TEST_PAGE, false, true), Validation::UNCHANGED);
    check_eq!(pvalidate(TEST_PAGE, false, false), Validation::CHANGED);
    check_eq!(pvalidate(TEST_PAGE, false, false), Validation::UNCHANGED);
    check_eq!(pvalidate(TEST_PAGE, false, true), Validation::CHANGED);
}

pub(super) fn validate_wrong_size() {
    check_eq!(page_state(TEST_BLOCK, true), 0);
    check_eq!(pvalidate(TEST_BLOCK, true, true), Validation::failed(FAIL_SIZE_MISMATCH));
    check_eq!(pvalidate(TEST_BLOCK, false, true), Validation::CHANGED);
}

pub(super) fn validate_misaligned() {
    check_eq!(page_state_list(&[large_entry(TEST_BLOCK, true)]), Ok(0));
    check_eq!(pvalidate(TEST_BLOCK + PAGE, true, true), Validation::failed(FAIL_INPUT));
}

pub(super) fn validate_block() {
    make_private_block(TEST_BLOCK);
    check_eq!(pvalidate(TEST_BLOCK, true, true), Validation::UNCHANGED);
    check_eq!(try_read(TEST_BLOCK + LARGE_PAGE - 1), Ok(()));
    check_eq!(pvalidate(TEST_BLOCK, true, false), Validation::CHANGED);
    check!(try_read(TEST_BLOCK + LARGE_PAGE - 1).is_err());
}

/// The hypervisor splits the entry when a 4 KiB operation meets a 2 MiB page.
pub(super) fn validate_splits_block() {
    make_private_block(TEST_BLOCK);
    check_eq!(pvalidate(TEST_BLOCK + PAGE, false, false), Validation::CHANGED);
    check_eq!(pvalidate(TEST_BLOCK, true, false), Validation::failed(FAIL_SIZE_MISMATCH));
    check_eq!(try_read(TEST_BLOCK), Ok(()));
    check!(try_read(TEST_BLOCK + PAGE).is_err());
}

pub(super) fn rescind_then_access() {
    make_private(TEST_PAGE);
    check_eq!(try_read(TEST_PAGE), Ok(()));
    check_eq!(pvalidate(TEST_PAGE, false, false), Validation::CHANGED);
    let expected = Fault { vector: VC, error_code: exit::PAGE_NOT_VALIDATED, cr2: TEST_PAGE };
    check_eq!(try_read(TEST_PAGE), Err(expected));
}

pub(super) fn validate_unassigned() {
    pvalidate(TEST_PAGE, false, true);
}

pub(super) fn validate_shared() {
    pvalidate(alias(TEST_PAGE), false, true);
}

pub(super) fn validate_unmapped() {
    pvalidate(0x7f_ffff_f000, false, true);
}

pub(super) fn adjust_own_level() {
    make_private(TEST_PAGE);
    check_eq!(rmpadjust(TEST_PAGE, false, 0, ALL, false), FAIL_PERMISSION);
    // The permission check comes before the page is looked at: Linux relies on it.
    check_eq!(rmpadjust(OTHER_PAGE, false, 0, ALL, false), FAIL_PERMISSION);
}

pub(super) fn adjust_bad_operands() {
    make_private(TEST_PAGE);
    check_eq!(rmpadjust(TEST_PAGE, false, 4, ALL, false), FAIL_INPUT);
    check_eq!(rmpadjust(TEST_PAGE, false, 255, ALL, false), FAIL_INPUT);
    check_eq!(rmpadjust(TEST_PAGE, false, 1, 0x80, false), FAIL_INPUT);
    check_eq!(rmpadjust(TEST_PAGE + PAGE, true, 1, ALL, false), FAIL_INPUT);
    make_private_block(TEST_BLOCK);
    check_eq!(rmpadjust(TEST_BLOCK, true, 1, ALL, true), FAIL_INPUT);
}

pub(super) fn adjust_sizes() {
    make_private_block(TEST_BLOCK);
    check_eq!(rmpadjust(TEST_BLOCK, true, 2, READ | WRITE, false), 0);
    check_eq!(rmpquery(TEST_BLOCK + PAGE, 2), (0, 1, 2 | (READ | WRITE) << 8));
    check_eq!(rmpadjust(TEST_BLOCK + PAGE, false, 2, READ, false), 0);
    check_eq!(rmpquery(TEST_BLOCK + PAGE, 2), (0, 0, 2 | READ << 8));
    check_eq!(rmpadjust(TEST_BLOCK, true, 2, ALL, false), FAIL_SIZE_MISMATCH);
}

pub(super) fn adjust_unvalidated() {
    check_eq!(page_state(TEST_PAGE, true), 0);
    // RMPADJUST takes its operands in registers: the probe calls code that loads them.
    const LOAD_AND_ADJUST: [u8; 16] = [
        0xb8, 0x00, 0x00, 0x60, 0x04, // mov eax, TEST_PAGE
        0xba, 0x01, 0x0f, 0x00, 0x00, // mov edx, VMPL1, all permissions
        0xf3, 0x0f, 0x01, 0xfe, // rmpadjust
        0xc3, 0xc3,
    ];
    check_eq!(TEST_PAGE, 0x0460_0000);
    let expected = Fault { vector: VC, error_code: exit::PAGE_NOT_VALIDATED, cr2: TEST_PAGE };
    check_eq!(try_execute(&LOAD_AND_ADJUST), Err(expected));
}

pub(super) fn adjust_unassigned() {
    rmpadjust(TEST_PAGE, false, 1, ALL, false);
}

pub(super) fn query() {
    make_private(TEST_PAGE);
    check_eq!(rmpquery(TEST_PAGE, 0).0, FAIL_PERMISSION);
    check_eq!(rmpquery(TEST_PAGE, 4).0, FAIL_INPUT);
    check_eq!(rmpquery(TEST_PAGE, 1), (0, 0, 1));
    check_eq!(rmpadjust(TEST_PAGE, false, 3, READ | EXECUTE_USER, false), 0);
    check_eq!(rmpquery(TEST_PAGE, 3), (0, 0, 3 | (READ | EXECUTE_USER) << 8));
    check_eq!(rmpadjust(TEST_PAGE, false, 1, 0, true), 0);
    check_eq!(rmpquery(TEST_PAGE, 1), (0, 0, 1 | 1 << 16));
}

fn raises(code: &[u8], vector: u64, error_code: u64) {
    let fault = try_execute(code).map_err(|fault| (fault.vector, fault.error_code));
    check_eq!(fault, Err((vector, error_code)));
}

pub(super) fn invalid_opcode() {
    raises(&[0x0f, 0x0b, 0xc3], UD, 0);
}

pub(super) fn cpuid_is_vc() {
    raises(&[0x0f, 0xa2, 0xc3], VC, exit::CPUID);
}

pub(super) fn port_is_vc() {
    raises(&[0xec, 0xc3], VC, exit::IOIO);
    raises(&[0xe6, 0x80, 0xc3], VC, exit::IOIO);
}

pub(super) fn msr_is_vc() {
    // RDMSR with RCX = 0, which isn't one that the guest reaches itself; and the others.
    raises(&[0x0f, 0x32, 0xc3], VC, exit::MSR);
    raises(&[0x0f, 0x09, 0xc3], VC, exit::WBINVD);
    raises(&[0x0f, 0x33, 0xc3], VC, exit::RDPMC);
    raises(&[0x0f, 0x21, 0xf8, 0xc3], VC, exit::READ_DR7);
    raises(&[0x0f, 0x01, 0xd9, 0xc3], VC, exit::VMMCALL);
}

pub(super) fn sev_status() {
    check_eq!(read_msr(MSR_SEV_STATUS), 7);
}

/// A guest has no SVM of its own.
pub(super) fn svm_is_ud() {
    raises(&[0x0f, 0x01, 0xd8, 0xc3], UD, 0); // VMRUN
    raises(&[0x0f, 0x01, 0xdc, 0xc3], UD, 0); // STGI
}
