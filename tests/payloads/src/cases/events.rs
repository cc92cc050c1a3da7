// SPDX-License-Identifier: MIT OR Apache-2.0
//! The GHCB protocol: MSR requests and events, good and bad. AMD 56421.

use core::mem::offset_of;

use snp_abi::config::{CPUID_OFFSET, REGION_BASE};
use snp_abi::cpuid::CpuidPage;
use snp_abi::ghcb::{
    Field, GhcbPage, PageOperation, PageStateEntry, PortAccess, PortSize, exit, malformed,
    page_state_error,
};
use snp_abi::msr_protocol::{CpuidRegister, Request};

use crate::ghcb::{
    Answer, Call, begin, buffer, call, finish, get, give, large_entry, page, page_state,
    page_state_list, put,
};
use crate::instructions::{Validation, msr_exit, pvalidate};
use crate::memory::{
    OTHER_PAGE, PAGE, TEST_BLOCK, TEST_PAGE, make_private, read_private, read_shared,
    write_private, write_shared,
};
use crate::{check, check_eq};

const MACHINE: u64 = 0x0100_0000;
const POST_PORT: u16 = 0x80;
/// CMOS: index port, data port.
const CMOS_INDEX: u16 = 0x70;
const CMOS_DATA: u16 = 0x71;
const LOCAL_APIC_ID: u64 = 0xfee0_0020;
const MSR_APIC_BASE: u64 = 0x1b;

pub(super) fn unknown_request() {
    msr_exit(0x0fe);
}

pub(super) fn malformed_request() {
    msr_exit(1 << 20 | 0x080);
}

pub(super) fn private_ghcb() {
    make_private(TEST_PAGE);
    msr_exit(TEST_PAGE);
}

pub(super) fn ghcb_nowhere() {
    msr_exit(0xfee0_0000);
}

pub(super) fn ghcb_on_machine() {
    msr_exit(MACHINE);
}

pub(super) fn unsupported() {
    call(Call { code: exit::UNSUPPORTED, info_1: 0x8b, info_2: 0, fields: &[] });
}

pub(super) fn terminate_by_msr() {
    crate::ghcb::terminate(0xd, 0x42);
}

pub(super) fn terminate_by_page() {
    call(Call { code: exit::TERMINATE, info_1: 0x7 << 4 | 0x3, info_2: 0, fields: &[] });
}

pub(super) fn register_private() {
    make_private(TEST_PAGE);
    check_eq!(msr_exit(Request::RegisterGhcb(TEST_PAGE).encode()), !0xfff | 0x13);
    check_eq!(msr_exit(Request::RegisterGhcb(MACHINE).encode()), !0xfff | 0x13);
    // The refusal has taken the registration away.
    check_eq!(msr_exit(Request::RegisterGhcb(page()).encode()), page() | 0x13);
}

pub(super) fn unregistered() {
    check_eq!(msr_exit(Request::RegisterGhcb(OTHER_PAGE).encode()), OTHER_PAGE | 0x13);
    let features = Call { code: exit::HYPERVISOR_FEATURES, info_1: 0, info_2: 0, fields: &[] };
    check_eq!(call(features), Answer::malformed(malformed::NOT_REGISTERED));
    check_eq!(msr_exit(Request::RegisterGhcb(page()).encode()), page() | 0x13);
    check_eq!(call(features).info_1, 0);
}

pub(super) fn usage() {
    begin(Call { code: exit::HYPERVISOR_FEATURES, info_1: 0, info_2: 0, fields: &[] });
    write_shared(page() + offset_of!(GhcbPage, usage) as u64, 7u32);
    check_eq!(finish(), Answer::malformed(malformed::INVALID_USAGE));
}

pub(super) fn missing_field() {
    let cpuid = Call { code: exit::CPUID, info_1: 0, info_2: 0, fields: &[(Field::Rax, 0)] };
    check_eq!(call(cpuid), Answer::malformed(malformed::MISSING_INPUT));
    begin(Call { code: 0, info_1: 0, info_2: 0, fields: &[] });
    write_shared(page() + offset_of!(GhcbPage, valid_bitmap) as u64, [0u64; 2]);
    put(Field::ExitCode, exit::HYPERVISOR_FEATURES);
    give(Field::ExitInfo1, 0);
    give(Field::ExitInfo2, 0);
    check_eq!(finish(), Answer::malformed(malformed::MISSING_INPUT));
}

/// Marks left by the guest are gone after a call; results are marked.
pub(super) fn bitmap_cleared() {
    let fields = [(Field::Rax, 1), (Field::Rcx, 0), (Field::R8, 5)];
    check_eq!(call(Call { code: exit::CPUID, info_1: 0, info_2: 0, fields: &fields }).info_1, 0);
    for field in
        [Field::Rax, Field::Rbx, Field::Rcx, Field::Rdx, Field::ExitInfo1, Field::ExitInfo2]
    {
        check!(get(field).1);
    }
    check!(!get(Field::R8).1);
    check!(!get(Field::ExitCode).1);
}

pub(super) fn unknown_event() {
    for code in [0x8000_0099, 0x1_0000_0000, 0x8000_0014, u64::MAX] {
        let answer = call(Call { code, info_1: 0, info_2: 0, fields: &[] });
        check_eq!(answer, Answer::malformed(malformed::INVALID_EVENT));
    }
}

pub(super) fn sev_information() {
    let answer = msr_exit(Request::SevInformation.encode());
    let information = snp_abi::msr_protocol::SevInformation::decode(answer);
    let cpuid: CpuidPage = read_private(REGION_BASE + CPUID_OFFSET);
    check_eq!(
        information.map(|i| (i.version_max, u32::from(i.c_bit_position))).ok(),
        cpuid.c_bit_position().map(|position| (2, position)).ok(),
    );
}

pub(super) fn features() {
    let by_page = call(Call { code: exit::HYPERVISOR_FEATURES, info_1: 0, info_2: 0, fields: &[] });
    check_eq!(by_page, Answer { info_1: 0, info_2: 0x23 });
    check_eq!(msr_exit(Request::HypervisorFeatures.encode()), 0x23 << 12 | 0x81);
}

/// The page, the MSR protocol and the event give the same values.
pub(super) fn cpuid_agrees() {
    let cpuid: CpuidPage = read_private(REGION_BASE + CPUID_OFFSET);
    let Ok(functions) = cpuid.functions() else {
        crate::outcome::fail(format_args!("the CPUID page isn't valid"));
    };
    for function in functions {
        let fields =
            [(Field::Rax, u64::from(function.leaf)), (Field::Rcx, u64::from(function.subleaf))];
        check_eq!(
            call(Call { code: exit::CPUID, info_1: 0, info_2: 0, fields: &fields }).info_1,
            0
        );
        let registers = [
            (CpuidRegister::Eax, Field::Rax, function.eax),
            (CpuidRegister::Ebx, Field::Rbx, function.ebx),
            (CpuidRegister::Ecx, Field::Rcx, function.ecx),
            (CpuidRegister::Edx, Field::Rdx, function.edx),
        ];
        for (register, field, expected) in registers {
            let same_everywhere = u64::from(u32::MAX ^ apic_id_mask(function.leaf, register));
            check_eq!(get(field).0 & same_everywhere, u64::from(expected));
            if function.subleaf == 0 {
                let answer = msr_exit(Request::Cpuid { leaf: function.leaf, register }.encode());
                let value = snp_abi::msr_protocol::decode_cpuid_answer(register, answer);
                check_eq!(
                    value.map(|v| u64::from(v) & same_everywhere).ok(),
                    Some(expected.into())
                );
            }
        }
    }
}

/// Bits of a register that differ between processors.
fn apic_id_mask(leaf: u32, register: CpuidRegister) -> u32 {
    match (leaf, register) {
        (1, CpuidRegister::Ebx) => 0xff00_0000,
        (0xb, CpuidRegister::Edx) => u32::MAX,
        _ => 0,
    }
}

pub(super) fn cpuid_policy() {
    let cpuid: CpuidPage = read_private(REGION_BASE + CPUID_OFFSET);
    let ecx = |leaf| cpuid.find(leaf, 0).map(|function| function.ecx);
    const XSAVE_AND_X2APIC: u32 = 1 << 26 | 1 << 21;
    const SVM: u32 = 1 << 2;
    check_eq!(ecx(1).map(|ecx| ecx & XSAVE_AND_X2APIC), Some(0));
    check_eq!(ecx(0x8000_0001).map(|ecx| ecx & SVM), Some(0));
    check_eq!(cpuid.find(0, 0).map(|function| function.eax), Some(0xb));
    check_eq!(cpuid.find(0x8000_001f, 0).map(|function| function.eax & 0x1a), Some(0x1a));
    check!(cpuid.find(0xd, 0).is_none());
}

fn read_msr(msr: u64) -> Answer {
    call(Call { code: exit::MSR, info_1: 0, info_2: 0, fields: &[(Field::Rcx, msr)] })
}

pub(super) fn msr_policy() {
    const GENERAL_PROTECTION: u64 = 13 | 3 << 8 | 1 << 11 | 1 << 31;
    check_eq!(read_msr(MSR_APIC_BASE), Answer::DONE);
    check_eq!(get(Field::Rax).0 & 0xffff_f000, 0xfee0_0000);
    for msr in [0xdead, 0x802, 0xc001_0117] {
        check_eq!(read_msr(msr), Answer { info_1: 1, info_2: GENERAL_PROTECTION });
    }
    let write = [(Field::Rcx, 0xc001_0117), (Field::Rax, 0), (Field::Rdx, 0)];
    let answer = call(Call { code: exit::MSR, info_1: 1, info_2: 0, fields: &write });
    check_eq!(answer, Answer { info_1: 1, info_2: GENERAL_PROTECTION });
    let bad =
        Call { code: exit::MSR, info_1: 2, info_2: 0, fields: &[(Field::Rcx, MSR_APIC_BASE)] };
    check_eq!(call(bad), Answer::malformed(malformed::INVALID_INPUT));
}

const fn port(port: u16, input: bool) -> PortAccess {
    PortAccess { port, size: PortSize::Byte, input, string: false, repeat: false }
}

pub(super) fn port_io() {
    let out = |number, value| {
        let fields = [(Field::Rax, value)];
        let info_1 = port(number, false).encode();
        call(Call { code: exit::IOIO, info_1, info_2: 0, fields: &fields })
    };
    // CMOS RAM keeps what is written to it.
    check_eq!(out(CMOS_INDEX, 0x40), Answer::DONE);
    check_eq!(out(CMOS_DATA, 0x5a), Answer::DONE);
    check_eq!(out(CMOS_INDEX, 0x40), Answer::DONE);
    let info_1 = port(CMOS_DATA, true).encode();
    check_eq!(call(Call { code: exit::IOIO, info_1, info_2: 0, fields: &[] }), Answer::DONE);
    check_eq!(get(Field::Rax), (0x5a, true));
    let two_sizes = Call {
        code: exit::IOIO,
        info_1: port(POST_PORT, false).encode() | 2 << 4,
        info_2: 0,
        fields: &[(Field::Rax, 0)],
    };
    check_eq!(call(two_sizes), Answer::malformed(malformed::INVALID_INPUT));
}

fn string(number: u16, input: bool, count: u64, scratch: u64) -> Answer {
    let access = PortAccess { string: true, repeat: true, ..port(number, input) };
    let fields = [(Field::Scratch, scratch)];
    call(Call { code: exit::IOIO, info_1: access.encode(), info_2: count, fields: &fields })
}

/// QEMU's fw_cfg device answers its signature, byte by byte.
pub(super) fn port_string() {
    const FW_CFG_SELECTOR: u16 = 0x510;
    const FW_CFG_DATA: u16 = 0x511;
    let select = PortAccess { size: PortSize::Word, ..port(FW_CFG_SELECTOR, false) };
    let fields = [(Field::Rax, 0)];
    let info_1 = select.encode();
    check_eq!(call(Call { code: exit::IOIO, info_1, info_2: 0, fields: &fields }), Answer::DONE);
    check_eq!(string(FW_CFG_DATA, true, 4, buffer()), Answer::DONE);
    check_eq!(read_shared::<[u8; 4]>(buffer()), *b"QEMU");
    // The scratch area may also be other shared memory.
    check_eq!(call(Call { code: exit::IOIO, info_1, info_2: 0, fields: &fields }), Answer::DONE);
    check_eq!(string(FW_CFG_DATA, true, 4, TEST_PAGE), Answer::DONE);
    check_eq!(read_shared::<[u8; 4]>(TEST_PAGE), *b"QEMU");
}

pub(super) fn port_string_bounds() {
    let refused = Answer::malformed(malformed::INVALID_SCRATCH_AREA);
    make_private(OTHER_PAGE);
    check_eq!(string(POST_PORT, false, 0x7f1, buffer()), refused);
    check_eq!(string(POST_PORT, false, 1, page()), refused);
    check_eq!(string(POST_PORT, false, 2, OTHER_PAGE - 1), refused);
    check_eq!(string(POST_PORT, false, 1, OTHER_PAGE), refused);
    check_eq!(string(POST_PORT, false, 16385, TEST_BLOCK), refused);
    check_eq!(string(POST_PORT, false, 1, MACHINE), refused);
    check_eq!(string(POST_PORT, false, 2, u64::MAX), refused);
    check_eq!(string(POST_PORT, false, 16384, TEST_BLOCK), Answer::DONE);
}

/// Reads fw_cfg's signature by DMA into `target`, with the control structure at `structure`.
fn read_signature_by_dma(structure: u64, target: u64) {
    const DMA_HIGH: u16 = 0x514;
    const DMA_LOW: u16 = 0x518;
    let halves = [(DMA_HIGH, structure >> 32), (DMA_LOW, structure & 0xffff_ffff)];
    for (number, half) in halves {
        let access = PortAccess { size: PortSize::Long, ..port(number, false) };
        let value = u64::from(crate::instructions::low_32(half).swap_bytes());
        let fields = [(Field::Rax, value)];
        let info_1 = access.encode();
        let answer = call(Call { code: exit::IOIO, info_1, info_2: 0, fields: &fields });
        check_eq!(answer, Answer::DONE);
    }
    // QEMU clears the control field when it is done.
    check_eq!(read_shared::<u32>(structure), 0);
    check_eq!(read_shared::<[u8; 4]>(target), *b"QEMU");
}

/// Select key 0 and read four bytes.
fn write_dma_control(
    write: fn(u64, [u32; 2]),
    write_address: fn(u64, u64),
    structure: u64,
    to: u64,
) {
    const SELECT_AND_READ: u32 = 1 << 3 | 1 << 1;
    write(structure, [SELECT_AND_READ.to_be(), 4u32.to_be()]);
    write_address(structure + 8, to.to_be());
}

pub(super) fn dma_to_shared() {
    write_dma_control(write_shared, write_shared, TEST_PAGE, OTHER_PAGE);
    read_signature_by_dma(TEST_PAGE, OTHER_PAGE);
}

pub(super) fn dma_to_private() {
    make_private(OTHER_PAGE);
    write_dma_control(write_shared, write_shared, TEST_PAGE, OTHER_PAGE);
    read_signature_by_dma(TEST_PAGE, OTHER_PAGE);
}

pub(super) fn dma_control_private() {
    make_private(TEST_PAGE);
    write_dma_control(write_private, write_private, TEST_PAGE, OTHER_PAGE);
    read_signature_by_dma(TEST_PAGE, OTHER_PAGE);
}

fn mmio_event(code: u64, gpa: u64, bytes: u64) -> Answer {
    let fields = [(Field::Scratch, buffer())];
    call(Call { code, info_1: gpa, info_2: bytes, fields: &fields })
}

pub(super) fn mmio() {
    const TASK_PRIORITY: u64 = 0xfee0_0080;
    let (apic_id, _) = crate::levels::who_am_i();
    check_eq!(mmio_event(exit::MMIO_READ, LOCAL_APIC_ID, 4), Answer::DONE);
    check_eq!(u64::from(read_shared::<u32>(buffer())) >> 24, apic_id);
    write_shared(buffer(), 0x20u32);
    check_eq!(mmio_event(exit::MMIO_WRITE, TASK_PRIORITY, 4), Answer::DONE);
    write_shared(buffer(), 0u32);
    check_eq!(mmio_event(exit::MMIO_READ, TASK_PRIORITY, 4), Answer::DONE);
    check_eq!(read_shared::<u32>(buffer()), 0x20);
}

pub(super) fn mmio_refuses_memory() {
    let refused = Answer::malformed(malformed::INVALID_INPUT);
    make_private(TEST_PAGE);
    write_private(TEST_PAGE, 0x55u64);
    for gpa in [TEST_PAGE, OTHER_PAGE, MACHINE, 0x0100_0000 - 4, 1 << 32, u64::MAX - 3] {
        check_eq!(mmio_event(exit::MMIO_WRITE, gpa, 8), refused);
        check_eq!(mmio_event(exit::MMIO_READ, gpa, 8), refused);
    }
    check_eq!(mmio_event(exit::MMIO_READ, LOCAL_APIC_ID, 3), refused);
    check_eq!(read_private::<u64>(TEST_PAGE), 0x55);
}

fn small_entry(gpa: u64, private: bool) -> u64 {
    let operation = if private { PageOperation::Private } else { PageOperation::Shared };
    PageStateEntry { current_page: 0, gpa, operation, large: false }.encode()
}

pub(super) fn page_state_list_works() {
    let entries = [
        small_entry(TEST_PAGE, true),
        small_entry(OTHER_PAGE, true),
        large_entry(TEST_BLOCK, true),
        small_entry(OTHER_PAGE, false),
    ];
    check_eq!(page_state_list(&entries), Ok(0));
    check_eq!(read_shared::<u16>(buffer()), 4);
    check_eq!(pvalidate(TEST_PAGE, false, true), Validation::CHANGED);
    check_eq!(pvalidate(TEST_BLOCK, true, true), Validation::CHANGED);
    read_shared::<u64>(OTHER_PAGE);
}

pub(super) fn page_state_bad_header() {
    let with_header = |header: u64| {
        write_shared(buffer(), header);
        let fields = [(Field::Scratch, buffer())];
        call(Call { code: exit::PAGE_STATE_CHANGE, info_1: 0, info_2: 0, fields: &fields })
    };
    let refused = Answer { info_1: 0, info_2: page_state_error::INVALID_HEADER };
    check_eq!(with_header(1), refused);
    check_eq!(with_header(253 << 16), refused);
    check_eq!(with_header(0xffff_0000), refused);
    let fields = [(Field::Scratch, page())];
    let outside = Call { code: exit::PAGE_STATE_CHANGE, info_1: 0, info_2: 0, fields: &fields };
    check_eq!(call(outside), Answer::malformed(malformed::INVALID_SCRATCH_AREA));
}

pub(super) fn page_state_bad_entry() {
    for bad in [TEST_PAGE, 5 << 52 | TEST_PAGE, 1 << 57 | small_entry(TEST_PAGE, true)] {
        let entries = [small_entry(OTHER_PAGE, true), bad];
        check_eq!(page_state_list(&entries), Ok(page_state_error::INVALID_ENTRY));
        check_eq!(read_shared::<u16>(buffer()), 1);
    }
}

pub(super) fn page_state_outside() {
    for gpa in [MACHINE, 0xa_0000, 0xfee0_0000, 1 << 40, (1 << 52) - PAGE] {
        check_eq!(page_state_list(&[small_entry(gpa, true)]), Ok(page_state_error::GENERIC));
        check!(page_state(gpa, true) != 0);
    }
}

fn guest_request(request: u64, response: u64) -> Answer {
    let code = exit::GUEST_REQUEST;
    call(Call { code, info_1: request, info_2: response, fields: &[] })
}

pub(super) fn guest_request_bad_pages() {
    let refused = Answer::malformed(malformed::INVALID_INPUT);
    make_private(TEST_PAGE);
    check_eq!(guest_request(TEST_PAGE, OTHER_PAGE), refused);
    check_eq!(guest_request(OTHER_PAGE, TEST_PAGE), refused);
    check_eq!(guest_request(OTHER_PAGE, OTHER_PAGE), refused);
    check_eq!(guest_request(OTHER_PAGE + 8, TEST_BLOCK), refused);
    check_eq!(guest_request(MACHINE, OTHER_PAGE), refused);
}

/// A host that limits requests says "busy", and looks at the message only later.
pub(super) fn guest_request_throttled() {
    const BUSY: u64 = 2 << 32;
    for _ in 0..2 {
        check_eq!(guest_request(TEST_PAGE, OTHER_PAGE), Answer { info_1: 0, info_2: BUSY });
    }
    let answer = guest_request(TEST_PAGE, OTHER_PAGE);
    check_eq!(answer.info_1, 0);
    check_eq!(answer.info_2 >> 32, 0);
    check!(answer.info_2 != 0);
}
