// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accesses to memory. AMD 24593, 15.36.10.

use core::arch::asm;

use snp_abi::ghcb::exit;

use crate::faults::{Fault, try_read, try_write};
use crate::ghcb::{alias, page_state};
use crate::instructions::{Validation, pvalidate};
use crate::memory::{
    LARGE_PAGE, OTHER_PAGE, PAGE, SHARED_ALIAS, TEST_BLOCK, TEST_PAGE, make_private,
    make_private_block, read_private, read_shared, write_private, write_shared,
};
use crate::{check, check_eq};

const VC: u64 = 29;
const LOCAL_APIC_VERSION: u64 = 0xfee0_0030;
const MACHINE: u64 = 0x0100_0000;

pub(super) fn private_read_of_unassigned() {
    read_private::<u64>(TEST_PAGE);
}

pub(super) fn private_write_of_unassigned() {
    write_private(TEST_PAGE, 1u64);
}

pub(super) fn shared_read_of_private() {
    make_private(TEST_PAGE);
    read_shared::<u64>(TEST_PAGE);
}

pub(super) fn shared_read_of_unvalidated() {
    check_eq!(page_state(TEST_PAGE, true), 0);
    read_shared::<u64>(TEST_PAGE);
}

pub(super) fn shared_write_of_private() {
    make_private(TEST_PAGE);
    write_shared(TEST_PAGE, 1u64);
}

/// A page table entry with the C-bit for a device: the payload's tables only reach 2 GiB, so the
/// VGA window it is.
pub(super) fn private_device() {
    read_private::<u64>(0xa_0000);
}

pub(super) fn private_machine() {
    read_private::<u64>(MACHINE);
}

pub(super) fn fetch_from_shared() {
    const RET: u8 = 0xc3;
    write_shared(TEST_PAGE, RET);
    // SAFETY: the machine ends the case at the fetch.
    unsafe { asm!("call {}", in(reg) alias(TEST_PAGE), clobber_abi("C")) }
}

/// Without an interrupt table #VC can't be delivered.
pub(super) fn no_gate() {
    check_eq!(page_state(TEST_PAGE, true), 0);
    let empty = [0u8; 10];
    // SAFETY: no exception is handled from here on; the next one ends the case.
    unsafe { asm!("lidt [{}]", in(reg) &raw const empty) }
    read_private::<u64>(TEST_PAGE);
}

/// Page tables in shared memory: a walk is private in any case, and the machine says so.
pub(super) fn table_without_c_bit() {
    let cr3: u64;
    // SAFETY: reading CR3 has no effect.
    unsafe { asm!("mov {}, cr3", out(reg) cr3) }
    make_private(TEST_PAGE);
    for slot in 0..512 {
        let entry: u64 = read_private((cr3 & 0x7f_ffff_f000) + slot * 8);
        // The same tables but for the C-bit of the entries in the root.
        write_private(TEST_PAGE + slot * 8, entry & 0x7f_ffff_ffff);
    }
    let root = TEST_PAGE | cr3 & !0x7f_ffff_ffff;
    // SAFETY: the machine ends the case at the next table walk.
    unsafe { asm!("mov cr3, {}", in(reg) root) }
}

/// #VC with a stack that isn't validated: nothing can be delivered.
pub(super) fn stack_unvalidated() {
    check_eq!(page_state(TEST_PAGE, true), 0);
    // SAFETY: the machine ends the case at the CPUID.
    unsafe {
        asm!(
            "mov rsp, {}",
            "cpuid",
            in(reg) TEST_PAGE + PAGE,
            out("eax") _, out("ecx") _, out("edx") _,
        );
    }
}

fn not_validated(address: u64) -> Result<(), Fault> {
    Err(Fault { vector: VC, error_code: exit::PAGE_NOT_VALIDATED, cr2: address })
}

pub(super) fn unvalidated_read() {
    check_eq!(page_state(TEST_PAGE, true), 0);
    check_eq!(try_read(TEST_PAGE + 0x123), not_validated(TEST_PAGE + 0x123));
    check_eq!(pvalidate(TEST_PAGE, false, true), Validation::CHANGED);
    check_eq!(try_read(TEST_PAGE + 0x123), Ok(()));
}

pub(super) fn unvalidated_write() {
    check_eq!(page_state(TEST_PAGE, true), 0);
    check_eq!(try_write(TEST_PAGE + 0xfff, 1), not_validated(TEST_PAGE + 0xfff));
    check_eq!(pvalidate(TEST_PAGE, false, true), Validation::CHANGED);
    check_eq!(try_write(TEST_PAGE + 0xfff, 7), Ok(()));
    check_eq!(read_private::<u8>(TEST_PAGE + 0xfff), 7);
}

/// An address that the instruction computes: CR2 is found although no register holds it.
pub(super) fn unvalidated_alias() {
    check_eq!(page_state(OTHER_PAGE, true), 0);
    // The probe's operand is RDI; an address near the page's end crosses nothing.
    check_eq!(try_read(OTHER_PAGE), not_validated(OTHER_PAGE));
    check_eq!(try_read(OTHER_PAGE + 8), not_validated(OTHER_PAGE + 8));
}

/// A device is reached by #VC, and by shared addresses only.
pub(super) fn shared_device() {
    let fault = try_read(SHARED_ALIAS + 0xa_0000);
    check_eq!(
        fault.map_err(|fault| (fault.vector, fault.error_code)),
        Err((VC, exit::NESTED_PAGE_FAULT)),
    );
    check!(LOCAL_APIC_VERSION > SHARED_ALIAS);
}

pub(super) fn contents_lost() {
    const MARK: u64 = 0x1234_5678_9abc_def0;
    write_shared(TEST_PAGE, MARK);
    make_private(TEST_PAGE);
    check!(read_private::<u64>(TEST_PAGE) != MARK);
    write_private(TEST_PAGE, MARK);
    check_eq!(pvalidate(TEST_PAGE, false, false), Validation::CHANGED);
    check_eq!(page_state(TEST_PAGE, false), 0);
    check!(read_shared::<u64>(TEST_PAGE) != MARK);
}

pub(super) fn contents_kept() {
    const MARK: u64 = 0x0fed_cba9_8765_4321;
    make_private(TEST_PAGE);
    write_private(TEST_PAGE, MARK);
    check_eq!(page_state(TEST_PAGE, true), 0);
    check_eq!(read_private::<u64>(TEST_PAGE), MARK);
}

/// A block is taken apart page by page, and every page keeps a state of its own.
pub(super) fn pages_of_a_block() {
    make_private_block(TEST_BLOCK);
    write_private(TEST_BLOCK, 1u64);
    write_private(TEST_BLOCK + LARGE_PAGE - 8, 2u64);
    let middle = TEST_BLOCK + 0x8_0000;
    check_eq!(pvalidate(middle, false, false), Validation::CHANGED);
    check_eq!(page_state(middle, false), 0);
    write_shared(middle, 3u64);
    check_eq!(read_shared::<u64>(middle), 3);
    check_eq!(read_private::<u64>(TEST_BLOCK), 1);
    check_eq!(read_private::<u64>(TEST_BLOCK + LARGE_PAGE - 8), 2);
    check_eq!(read_private::<u64>(middle - PAGE), read_private(middle - PAGE));
}
