// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request in a GHCB page, and the events that need nothing else. AMD 56421, section 4.

use core::mem::offset_of;

use snp_abi::Vmpl;
use snp_abi::ghcb::{
    ExitVerdict, Field, GhcbPage, SHARED_BUFFER_OFFSET, SHARED_BUFFER_SIZE, USAGE_STANDARD,
    ValidBitmap, exit, malformed,
};

use super::{FEATURES, ap_creation, device, guest_request, note_refusal, page_state, run_vmpl};
use crate::bits::{field, high_32, low_32, pair};
use crate::counters::{Event, count};
use crate::layout::PAGE;
use crate::vcpu::{Context, Next, VECTOR_GP, exception};
use crate::violation::{Place, Rule, guest_terminated, stop};
use crate::{cpuid, model_specific, physical, processor, world};

/// A request, its fields copied once: the guest may change the page at any time.
pub(super) struct Call {
    page: u64,
    valid: ValidBitmap,
    pub(super) code: u64,
    pub(super) info_1: u64,
    pub(super) info_2: u64,
}

/// How a request ends, if not with exit info 2 = 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Refused, with a reason from [`malformed`].
    Malformed(u64),
    /// The guest is to raise this exception (EVENTINJ format).
    Exception(u64),
}

pub(super) const INVALID_INPUT: Refusal = Refusal::Malformed(malformed::INVALID_INPUT);
pub(super) const INVALID_SCRATCH: Refusal = Refusal::Malformed(malformed::INVALID_SCRATCH_AREA);
/// #GP(0).
const GENERAL_PROTECTION: Refusal = Refusal::Exception(exception(VECTOR_GP, Some(0)));
/// The largest scratch area outside the GHCB page, in bytes.
const SCRATCH_LIMIT: u64 = 16384;

/// Serves the request in the page at `gpa`.
pub(super) fn serve(context: &mut Context, gpa: u64) -> Next {
    let entry = world::memory().rmp.entry(gpa / PAGE);
    if !entry.is_memory() {
        stop(context, Rule::GhcbNotMemory, Place::gpa(gpa, "ghcb"));
    }
    if !entry.is_shared() {
        stop(context, Rule::GhcbNotShared, Place::gpa(gpa, "ghcb"));
    }
    let mut call = Call::read(gpa);
    let mut next = Next::Same;
    let result = call.check(context).and_then(|()| dispatch(context, &mut call, &mut next));
    call.finish(result);
    next
}

/// The event itself. Exit info 2 of a success is the value returned.
fn dispatch(context: &mut Context, call: &mut Call, next: &mut Next) -> Result<u64, Refusal> {
    let event = |event| count(context.processor, context.vmpl, event);
    match call.code {
        exit::IOIO => {
            event(Event::PortIo);
            device::port_access(context, call)
        }
        exit::MSR => {
            event(Event::Msr);
            msr(context, call)
        }
        exit::CPUID => {
            event(Event::Cpuid);
            cpuid_request(call)
        }
        exit::MMIO_READ | exit::MMIO_WRITE => {
            event(Event::Mmio);
            device::mmio(context, call)
        }
        exit::PAGE_STATE_CHANGE => {
            event(Event::PageStateChange);
            page_state::change(context, call)
        }
        exit::AP_CREATION => ap_creation::serve(context, call),
        exit::RUN_VMPL => {
            event(Event::RunVmpl);
            let vmpl = Vmpl::from_number(call.info_1)
                .and_then(|vmpl| run_vmpl(context, vmpl))
                .ok_or(INVALID_INPUT)?;
            *next = Next::Run(vmpl);
            Ok(0)
        }
        exit::GUEST_REQUEST | exit::EXTENDED_GUEST_REQUEST => {
            event(Event::GuestRequest);
            guest_request::serve(call)
        }
        exit::HYPERVISOR_FEATURES => Ok(FEATURES.bits()),
        // The guest takes a processor offline. It comes back by AP creation.
        exit::AP_RESET_HOLD => {
            *next = Next::Hold;
            Ok(0)
        }
        exit::NMI_COMPLETE => {
            context.nmi_masked = false;
            Ok(0)
        }
        exit::TERMINATE => {
            guest_terminated(context, field(call.info_1, 0, 3), field(call.info_1, 4, 11))
        }
        exit::UNSUPPORTED => {
            stop(context, Rule::EventUnknown, Place::gpa(call.info_1, "unsupported-by-guest"))
        }
        _ => instruction(call),
    }
}

/// Instructions without a meaning for this machine's devices.
fn instruction(call: &mut Call) -> Result<u64, Refusal> {
    const DR7_RESET: u64 = 0x400;
    const NO_SUCH_HYPERCALL: i64 = -1000;
    match call.code {
        exit::READ_DR7 => call.set(Field::Rax, DR7_RESET),
        exit::WRITE_DR7 => {
            call.get(Field::Rax)?;
        }
        exit::RDPMC => {
            call.set(Field::Rax, 0);
            call.set(Field::Rdx, 0);
        }
        exit::RDTSC | exit::RDTSCP => {
            let ticks = processor::ticks();
            call.set(Field::Rax, u64::from(low_32(ticks)));
            call.set(Field::Rdx, u64::from(high_32(ticks)));
            if call.code == exit::RDTSCP {
                call.set(Field::Rcx, 0);
            }
        }
        exit::VMMCALL => call.set(Field::Rax, NO_SUCH_HYPERCALL.cast_unsigned()),
        exit::WBINVD | exit::INVD | exit::MONITOR | exit::MWAIT => {}
        code => {
            note_refusal("GHCB event", code, call.info_1);
            return Err(Refusal::Malformed(malformed::INVALID_EVENT));
        }
    }
    Ok(0)
}

/// RDMSR and WRMSR. AMD 56421, 4.1.3.
fn msr(context: &Context, call: &mut Call) -> Result<u64, Refusal> {
    let msr = low_32(call.get(Field::Rcx)?);
    match call.info_1 {
        0 => {
            let is_boot_processor = context.processor == world::boot_processor();
            let value = model_specific::read(msr, is_boot_processor).ok_or_else(|| {
                note_refusal("RDMSR", u64::from(msr), 0);
                GENERAL_PROTECTION
            })?;
            call.set(Field::Rax, u64::from(low_32(value)));
            call.set(Field::Rdx, u64::from(high_32(value)));
            Ok(0)
        }
        1 => {
            let value = pair(low_32(call.get(Field::Rdx)?), low_32(call.get(Field::Rax)?));
            model_specific::write(msr, value).ok_or_else(|| {
                note_refusal("WRMSR", u64::from(msr), value);
                GENERAL_PROTECTION
            })?;
            Ok(0)
        }
        _ => Err(INVALID_INPUT),
    }
}

fn cpuid_request(call: &mut Call) -> Result<u64, Refusal> {
    let (leaf, subleaf) = (low_32(call.get(Field::Rax)?), low_32(call.get(Field::Rcx)?));
    let result = cpuid::guest_cpuid(leaf, subleaf);
    let fields = [Field::Rax, Field::Rbx, Field::Rcx, Field::Rdx];
    for (field, value) in fields.into_iter().zip(result) {
        call.set(field, u64::from(value));
    }
    Ok(0)
}

impl Call {
    fn read(page: u64) -> Self {
        let quadword = |field: Field| physical::read::<u64>(page + field.offset() as u64);
        let call = Self {
            page,
            valid: physical::read(page + offset_of!(GhcbPage, valid_bitmap) as u64),
            code: quadword(Field::ExitCode),
            info_1: quadword(Field::ExitInfo1),
            info_2: quadword(Field::ExitInfo2),
        };
        // What is marked valid afterwards is what the hypervisor has set, as on KVM.
        let bitmap = page + offset_of!(GhcbPage, valid_bitmap) as u64;
        physical::write(bitmap, ValidBitmap::default());
        call
    }

    /// What every request must have.
    fn check(&self, context: &Context) -> Result<(), Refusal> {
        if context.registered_ghcb != Some(self.page) {
            return Err(Refusal::Malformed(malformed::NOT_REGISTERED));
        }
        let usage: u32 = physical::read(self.page + offset_of!(GhcbPage, usage) as u64);
        if usage != USAGE_STANDARD {
            return Err(Refusal::Malformed(malformed::INVALID_USAGE));
        }
        for field in [Field::ExitCode, Field::ExitInfo1, Field::ExitInfo2] {
            if !self.valid.contains(field) {
                return Err(Refusal::Malformed(malformed::MISSING_INPUT));
            }
        }
        Ok(())
    }

    /// A field that the event needs.
    pub(super) fn get(&self, field: Field) -> Result<u64, Refusal> {
        if !self.valid.contains(field) {
            return Err(Refusal::Malformed(malformed::MISSING_INPUT));
        }
        Ok(physical::read(self.page + field.offset() as u64))
    }

    /// A result.
    pub(super) fn set(&mut self, field: Field, value: u64) {
        physical::write(self.page + field.offset() as u64, value);
        let (byte, bit) = field.valid_bit();
        let at = self.page + byte as u64;
        let bits: u8 = physical::read(at);
        physical::write(at, bits | bit);
    }

    /// The scratch area, `length` bytes that are all shared memory: in the page's shared buffer, or
    /// outside the page up to a limit.
    pub(super) fn scratch(&self, length: u64) -> Result<u64, Refusal> {
        let start = self.get(Field::Scratch)?;
        let end = start.checked_add(length).ok_or(INVALID_SCRATCH)?;
        let buffer = self.page + SHARED_BUFFER_OFFSET as u64;
        let buffer_end = buffer + SHARED_BUFFER_SIZE as u64;
        if start >= buffer && end <= buffer_end {
            return Ok(start);
        }
        let overlaps_page = start < self.page + PAGE && end > self.page;
        if overlaps_page || length == 0 || length > SCRATCH_LIMIT {
            return Err(INVALID_SCRATCH);
        }
        let memory = world::memory();
        let all_shared =
            (start / PAGE..=(end - 1) / PAGE).all(|frame| memory.rmp.entry(frame).is_shared());
        if all_shared { Ok(start) } else { Err(INVALID_SCRATCH) }
    }

    /// Writes the verdict.
    fn finish(&mut self, result: Result<u64, Refusal>) {
        let (verdict, info_2) = match result {
            Ok(info_2) => (ExitVerdict::Done, info_2),
            Err(Refusal::Malformed(reason)) => (ExitVerdict::Malformed, reason),
            Err(Refusal::Exception(event)) => (ExitVerdict::Exception, event),
        };
        if let Err(Refusal::Malformed(reason)) = result {
            note_refusal("GHCB request: event, reason", self.code, reason);
        }
        self.set(Field::ExitInfo1, verdict.encode());
        self.set(Field::ExitInfo2, info_2);
    }
}
