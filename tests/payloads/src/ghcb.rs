// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's side of the GHCB protocol: as thin as it can be, so that cases can send anything.

use core::mem::offset_of;

use snp_abi::ghcb::{
    Field, GhcbPage, PageOperation, PageStateEntry, PortAccess, PortSize, SHARED_BUFFER_OFFSET,
    exit,
};
use snp_abi::msr_protocol::Request;

use crate::instructions::msr_exit;
use crate::memory::{GHCB_AREA, PAGE, SHARED_ALIAS, read_shared, write_shared};
use crate::{levels, outcome};

/// This processor's and VMPL's GHCB; the launch leaves the memory shared.
pub(crate) fn page() -> u64 {
    let (apic_id, vmpl) = levels::who_am_i();
    GHCB_AREA + (apic_id * 4 + vmpl) * PAGE
}

/// Registers the page.
pub(crate) fn setup() {
    let gpa = page();
    if msr_exit(Request::RegisterGhcb(gpa).encode()) != gpa | 0x13 {
        terminate(0, 0x77);
    }
    for offset in (0..PAGE).step_by(8) {
        write_shared(gpa + offset, 0u64);
    }
}

/// A request being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call<'a> {
    pub(crate) code: u64,
    pub(crate) info_1: u64,
    pub(crate) info_2: u64,
    /// Further fields.
    pub(crate) fields: &'a [(Field, u64)],
}

/// What the hypervisor answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) info_1: u64,
    pub(crate) info_2: u64,
}

impl Answer {
    pub(crate) const DONE: Self = Self { info_1: 0, info_2: 0 };
    pub(crate) const fn malformed(reason: u64) -> Self {
        Self { info_1: 2, info_2: reason }
    }
}

/// Writes a field without marking it valid.
pub(crate) fn put(field: Field, value: u64) {
    write_shared(page() + field.offset() as u64, value);
}

/// Writes a field and marks it valid.
pub(crate) fn give(field: Field, value: u64) {
    put(field, value);
    let (byte, bit) = field.valid_bit();
    let at = page() + byte as u64;
    let bits: u8 = read_shared(at);
    write_shared(at, bits | bit);
}

/// A field as the hypervisor left it, and whether it marked it.
pub(crate) fn get(field: Field) -> (u64, bool) {
    let (byte, bit) = field.valid_bit();
    let marks: u8 = read_shared(page() + byte as u64);
    (read_shared(page() + field.offset() as u64), marks & bit != 0)
}

/// Empties the bitmap and fills in the fixed fields.
pub(crate) fn begin(call: Call<'_>) {
    let bitmap = page() + offset_of!(GhcbPage, valid_bitmap) as u64;
    write_shared(bitmap, [0u64; 2]);
    write_shared(page() + offset_of!(GhcbPage, usage) as u64, 0u32);
    write_shared(page() + offset_of!(GhcbPage, protocol_version) as u64, 2u16);
    give(Field::ExitCode, call.code);
    give(Field::ExitInfo1, call.info_1);
    give(Field::ExitInfo2, call.info_2);
    for (field, value) in call.fields {
        give(*field, *value);
    }
}

/// Executes VMGEXIT with the page as it is.
pub(crate) fn finish() -> Answer {
    msr_exit(page());
    Answer { info_1: get(Field::ExitInfo1).0, info_2: get(Field::ExitInfo2).0 }
}

/// A whole request.
pub(crate) fn call(call: Call<'_>) -> Answer {
    begin(call);
    finish()
}

/// Where the shared buffer of the page begins.
pub(crate) fn buffer() -> u64 {
    page() + SHARED_BUFFER_OFFSET as u64
}

/// OUT.
pub(crate) fn port_out(port: u16, bytes: u8, value: u32) {
    let size = if bytes == 1 { PortSize::Byte } else { PortSize::Long };
    let access = PortAccess { port, size, input: false, string: false, repeat: false };
    let fields = [(Field::Rax, u64::from(value))];
    call(Call { code: exit::IOIO, info_1: access.encode(), info_2: 0, fields: &fields });
}

/// Asks for the end.
pub(crate) fn terminate(set: u8, code: u8) -> ! {
    loop {
        msr_exit(Request::Terminate { set, code }.encode());
    }
}

/// Page state change by the MSR protocol: the error, 0 for success.
pub(crate) fn page_state(gpa: u64, private: bool) -> u32 {
    let operation = if private { PageOperation::Private } else { PageOperation::Shared };
    let answer = msr_exit(Request::PageState { gpa, operation }.encode());
    match snp_abi::msr_protocol::decode_page_state_answer(answer) {
        Ok(error) => error,
        Err(_) => outcome::fail(format_args!("page state change answered {answer:#x}")),
    }
}

/// An entry for a 2 MiB page.
pub(crate) fn large_entry(gpa: u64, private: bool) -> u64 {
    let operation = if private { PageOperation::Private } else { PageOperation::Shared };
    PageStateEntry { current_page: 0, gpa, operation, large: true }.encode()
}

/// Page state change by the page: exit info 2, or the whole answer if it was refused.
pub(crate) fn page_state_list(entries: &[u64]) -> Result<u64, Answer> {
    let last = (entries.len() as u64).wrapping_sub(1) & 0xffff;
    write_shared(buffer(), last << 16);
    for (index, entry) in (1u64..).zip(entries) {
        write_shared(buffer() + index * 8, *entry);
    }
    let answer = call(Call {
        code: exit::PAGE_STATE_CHANGE,
        info_1: 0,
        info_2: 0,
        fields: &[(Field::Scratch, buffer())],
    });
    if answer.info_1 == 0 { Ok(answer.info_2) } else { Err(answer) }
}

/// The shared alias of the buffer is what the payload itself writes through.
pub(crate) const fn alias(gpa: u64) -> u64 {
    gpa + SHARED_ALIAS
}
