// SPDX-License-Identifier: MIT OR Apache-2.0
//! The report that ends the machine when the guest breaks a rule: one line with everything, the
//! last exits, and an exit code.

use core::fmt::{self, Display};
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::console::write_line;
use crate::rmp::Entry;
use crate::vcpu::Context;
use crate::{counters, exit_code, processor, say, symbols, world};

/// The rules. Their names are what tests expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the rules")]
pub enum Rule {
    PrivateAccessToUnassignedPage,
    SharedAccessToPrivatePage,
    AccessToUnvalidatedPage,
    VmplPermission,
    PrivateAccessToDevice,
    FetchFromSharedPage,
    TableEntryWithoutCBit,
    VcWithoutGate,
    EventDeliveryFault,
    PvalidateOfUnassignedPage,
    RmpadjustOfUnassignedPage,
    RmpqueryOfUnassignedPage,
    RmpInstructionOperand,
    VmsaNotMarked,
    VmsaInUse,
    VmsaSvmeClear,
    VmsaWrongVmpl,
    VmsaSevFeatures,
    VmsaInvalidState,
    NoVmsaForVmpl,
    GhcbNotShared,
    GhcbNotMemory,
    DmaToPrivateMemory,
    MsrProtocolUnknown,
    MsrProtocolMalformed,
    EventUnknown,
    Shutdown,
    UnexpectedExit,
    GuestRunsMachineCode,
    InstructionNotEmulated,
}

impl Rule {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PrivateAccessToUnassignedPage => "private-access-to-unassigned-page",
            Self::SharedAccessToPrivatePage => "shared-access-to-private-page",
            Self::AccessToUnvalidatedPage => "access-to-unvalidated-page",
            Self::VmplPermission => "vmpl-permission",
            Self::PrivateAccessToDevice => "private-access-to-device",
            Self::FetchFromSharedPage => "fetch-from-shared-page",
            Self::TableEntryWithoutCBit => "table-entry-without-c-bit",
            Self::VcWithoutGate => "vc-without-gate",
            Self::EventDeliveryFault => "event-delivery-fault",
            Self::PvalidateOfUnassignedPage => "pvalidate-of-unassigned-page",
            Self::RmpadjustOfUnassignedPage => "rmpadjust-of-unassigned-page",
            Self::RmpqueryOfUnassignedPage => "rmpquery-of-unassigned-page",
            Self::RmpInstructionOperand => "rmp-instruction-operand",
            Self::VmsaNotMarked => "vmsa-not-marked",
            Self::VmsaInUse => "vmsa-in-use",
            Self::VmsaSvmeClear => "vmsa-svme-clear",
            Self::VmsaWrongVmpl => "vmsa-wrong-vmpl",
            Self::VmsaSevFeatures => "vmsa-sev-features",
            Self::VmsaInvalidState => "vmsa-invalid-state",
            Self::NoVmsaForVmpl => "no-vmsa-for-vmpl",
            Self::GhcbNotShared => "ghcb-not-shared",
            Self::GhcbNotMemory => "ghcb-not-memory",
            Self::DmaToPrivateMemory => "dma-to-private-memory",
            Self::MsrProtocolUnknown => "msr-protocol-unknown",
            Self::MsrProtocolMalformed => "msr-protocol-malformed",
            Self::EventUnknown => "event-unknown",
            Self::Shutdown => "shutdown",
            Self::UnexpectedExit => "unexpected-exit",
            Self::GuestRunsMachineCode => "guest-runs-machine-code",
            Self::InstructionNotEmulated => "instruction-not-emulated",
        }
    }

    /// The code that QEMU exits with: the machine's limits aren't the guest's mistakes.
    const fn exit_code(self) -> u32 {
        match self {
            Self::TableEntryWithoutCBit
            | Self::UnexpectedExit
            | Self::GuestRunsMachineCode
            | Self::InstructionNotEmulated => exit_code::NOT_IMPLEMENTED,
            _ => exit_code::VIOLATION,
        }
    }
}

/// What was accessed, for the report.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    /// Guest-physical address without the C-bit.
    pub(crate) gpa: Option<u64>,
    /// Kind of access.
    pub(crate) access: &'static str,
}

impl Place {
    pub(crate) const fn gpa(gpa: u64, access: &'static str) -> Self {
        Self { gpa: Some(gpa), access }
    }
}

/// One past exit, kept for the report.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PastExit {
    pub(crate) code: u64,
    pub(crate) info_1: u64,
    pub(crate) info_2: u64,
    pub(crate) rip: u64,
    pub(crate) ghcb: u64,
}

/// Exits kept for each context.
pub(crate) const PAST_EXITS: usize = 8;

/// One report is enough: the first processor makes it, the others stop.
static REPORTING: AtomicBool = AtomicBool::new(false);

/// Whether this processor is the one to report; never returns on the others.
fn first_to_report() {
    if REPORTING.swap(true, SeqCst) {
        processor::rest();
    }
}

/// Ends the machine with a report about `context`.
pub(crate) fn stop(context: &Context, rule: Rule, place: Place) -> ! {
    first_to_report();
    let vmcb = &context.vmcb;
    let rip = vmcb.rip();
    let rmp = RmpText(place.gpa, context.memory_entry(place.gpa));
    let mut name = [0; symbols::NAME_SIZE];
    let symbol = symbols::find(rip, &mut name);
    write_line(
        "machine-violation: ",
        format_args!(
            "rule={} vmpl={} cpu={} rip={rip:#x} symbol={symbol} gpa={} access={} rmp={rmp}",
            rule.name(),
            context.vmpl.index(),
            context.processor,
            Optional(place.gpa),
            if place.access.is_empty() { "-" } else { place.access },
        ),
    );
    describe(context);
    counters::print_all();
    processor::exit_qemu(rule.exit_code())
}

/// Ends the machine because the guest asked for it.
pub(crate) fn guest_terminated(context: &Context, set: u64, code: u64) -> ! {
    first_to_report();
    let mut name = [0; symbols::NAME_SIZE];
    let rip = context.vmcb.rip();
    let symbol = symbols::find(rip, &mut name);
    write_line(
        "machine-termination: ",
        format_args!(
            "set={set:#x} code={code:#x} vmpl={} cpu={} rip={rip:#x} symbol={symbol}",
            context.vmpl.index(),
            context.processor,
        ),
    );
    counters::print_all();
    processor::exit_qemu(exit_code::GUEST_TERMINATED)
}

fn describe(context: &Context) {
    let vmcb = &context.vmcb;
    say!(
        "exit {:#x} info {:#x} {:#x} interrupt {:#x} cpl {} rsp {:#x} rflags {:#x}",
        vmcb.exit_code(),
        vmcb.exit_info_1(),
        vmcb.exit_info_2(),
        vmcb.exit_interrupt_info(),
        vmcb.cpl(),
        vmcb.rsp(),
        vmcb.rflags(),
    );
    say!(
        "cr0 {:#x} cr2 {:#x} cr3 {:#x} cr4 {:#x} efer {:#x} ghcb {:#x} nested {:#x} vmcb {:#x}",
        vmcb.cr0(),
        vmcb.cr2(),
        vmcb.cr3(),
        vmcb.cr4(),
        vmcb.efer(),
        context.ghcb,
        vmcb.nested_root(),
        vmcb.address(),
    );
    let registers = &context.registers;
    say!(
        "rax {:#x} rbx {:#x} rcx {:#x} rdx {:#x} rsi {:#x} rdi {:#x} rbp {:#x}",
        vmcb.rax(),
        registers.rbx,
        registers.rcx,
        registers.rdx,
        registers.rsi,
        registers.rdi,
        registers.rbp,
    );
    say!(
        "r8 {:#x} r9 {:#x} r10 {:#x} r11 {:#x} r12 {:#x} r13 {:#x} r14 {:#x} r15 {:#x}",
        registers.r8_to_r15[0],
        registers.r8_to_r15[1],
        registers.r8_to_r15[2],
        registers.r8_to_r15[3],
        registers.r8_to_r15[4],
        registers.r8_to_r15[5],
        registers.r8_to_r15[6],
        registers.r8_to_r15[7],
    );
    for exit in context.past_exits_oldest_first() {
        say!(
            "  exit {:#x} info {:#x} {:#x} rip {:#x} ghcb {:#x}",
            exit.code,
            exit.info_1,
            exit.info_2,
            exit.rip,
            exit.ghcb,
        );
    }
    say!("stops of the world {}", world::STOPS.load(SeqCst));
}

/// An address, or `-`.
struct Optional(Option<u64>);

impl Display for Optional {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => write!(formatter, "{value:#x}"),
            None => formatter.write_str("-"),
        }
    }
}

/// An RMP entry, `-` without an address, `?` when its lock is held.
struct RmpText(Option<u64>, Option<Entry>);

impl Display for RmpText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (None, _) => formatter.write_str("-"),
            (Some(_), None) => formatter.write_str("?"),
            (Some(_), Some(entry)) => entry.fmt(formatter),
        }
    }
}
