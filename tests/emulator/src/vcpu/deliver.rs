// SPDX-License-Identifier: MIT OR Apache-2.0
//! Delivery of an event to 64-bit guest code, in software: the frame is built on the guest's stack
//! as the processor would. AMD 24593, 8.9 (long-mode interrupts) and 15.35.5 (#VC).
//!
//! TCG's own EVENTINJ won't do for two kinds of event. For vector 29 it pushes no error code. And
//! an external interrupt injected with it may be delivered twice, because TCG leaves the exception
//! pending after it has injected it.

use snp_abi::vmsa::{EFER_LMA, Segment};

use super::Context;
use super::translate::Target;
use crate::counters::{Event, count};
use crate::layout::PAGE;
use crate::rmp::Access;
use crate::violation::{Place, Rule, stop};
use crate::{bits, physical, world};

/// #VC.
pub(crate) const VECTOR_VC: u8 = 29;
/// #UD.
pub(crate) const VECTOR_UD: u8 = 6;
/// #GP.
pub(crate) const VECTOR_GP: u8 = 13;
/// NMI.
pub(crate) const VECTOR_NMI: u8 = 2;

const GATE_SIZE: u64 = 16;
const INTERRUPT_GATE: u64 = 14;
const TRAP_GATE: u64 = 15;
/// Offsets in the 64-bit TSS.
const TSS_RSP0: u64 = 4;
const TSS_IST1: u64 = 36;
/// RFLAGS that every delivery clears: TF, NT, RF, VM.
const CLEARED_FLAGS: u64 = 1 << 8 | 1 << 14 | 1 << 16 | 1 << 17;
const INTERRUPT_FLAG: u64 = 1 << 9;
const DATA_SEGMENT: u16 = 0xc93;
const CODE_SEGMENT: u16 = 0xa9b;

/// An event for EVENTINJ: an exception, with its error code.
pub(crate) const fn exception(vector: u8, error_code: Option<u32>) -> u64 {
    const TYPE_EXCEPTION: u64 = 3 << 8;
    const HAS_ERROR_CODE: u64 = 1 << 11;
    const VALID: u64 = 1 << 31;
    let event = vector as u64 | TYPE_EXCEPTION | VALID;
    match error_code {
        Some(code) => event | HAS_ERROR_CODE | (code as u64) << 32,
        None => event,
    }
}

/// An event for EVENTINJ: an NMI.
pub(crate) const NMI_EVENT: u64 = VECTOR_NMI as u64 | 2 << 8 | 1 << 31;

/// A gate of the 64-bit IDT.
struct Gate {
    low: u64,
    high: u64,
}

impl Gate {
    const fn is_usable(&self) -> bool {
        let kind = bits::field(self.low, 40, 43);
        self.low >> 47 & 1 != 0 && (kind == INTERRUPT_GATE || kind == TRAP_GATE)
    }
    const fn target(&self) -> u64 {
        bits::field(self.low, 0, 15) | bits::field(self.low, 48, 63) << 16 | self.high << 32
    }
    const fn selector(&self) -> u16 {
        bits::low_16(self.low >> 16)
    }
    const fn stack_table_index(&self) -> u64 {
        bits::field(self.low, 32, 34)
    }
    const fn masks_interrupts(&self) -> bool {
        bits::field(self.low, 40, 43) == INTERRUPT_GATE
    }
}

impl Context {
    /// #VC with an exit code as its error code.
    pub(crate) fn reflect(&mut self, exit_code: u64, place: Place) {
        count(self.processor, self.vmpl, Event::VmmCommunication);
        let gate_missing = self.vmcb.efer() & EFER_LMA == 0
            || u64::from(self.vmcb.idtr().limit) < (u64::from(VECTOR_VC) + 1) * GATE_SIZE - 1;
        if gate_missing {
            let rule = if exit_code == snp_abi::ghcb::exit::PAGE_NOT_VALIDATED {
                Rule::AccessToUnvalidatedPage
            } else {
                Rule::VcWithoutGate
            };
            stop(self, rule, place);
        }
        self.deliver(VECTOR_VC, Some(exit_code), place);
    }

    /// Builds the frame of an event and points the guest at the handler.
    pub(crate) fn deliver(&mut self, vector: u8, error_code: Option<u64>, place: Place) {
        let slot = self.vmcb.idtr().base + u64::from(vector) * GATE_SIZE;
        let gate = Gate { low: self.delivery_read(slot), high: self.delivery_read(slot + 8) };
        if !gate.is_usable() {
            let rule =
                if vector == VECTOR_VC { Rule::VcWithoutGate } else { Rule::EventDeliveryFault };
            stop(self, rule, place);
        }
        let cpl = self.vmcb.cpl();
        let (ss, cs) = (self.vmcb.ss(), self.vmcb.cs());
        let stack = match (gate.stack_table_index(), cpl) {
            (0, 0) => self.vmcb.rsp(),
            (0, _) => self.delivery_read(self.vmcb.tr().base + TSS_RSP0),
            (n, _) => self.delivery_read(self.vmcb.tr().base + TSS_IST1 + (n - 1) * 8),
        };
        let mut top = stack & !15;
        let frame = [
            u64::from(ss.selector),
            self.vmcb.rsp(),
            self.vmcb.rflags(),
            u64::from(cs.selector),
            self.vmcb.rip(),
        ];
        for value in frame.into_iter().chain(error_code) {
            top = top.wrapping_sub(8);
            self.delivery_write(top, value);
        }
        self.vmcb.set_rsp(top);
        self.vmcb.set_rip(gate.target());
        self.vmcb.set_cs(Segment::flat(gate.selector() & !3, CODE_SEGMENT));
        if cpl != 0 {
            self.vmcb.set_ss(Segment::flat(0, DATA_SEGMENT));
        }
        let masked = if gate.masks_interrupts() { INTERRUPT_FLAG } else { 0 };
        self.vmcb.set_rflags(self.vmcb.rflags() & !CLEARED_FLAGS & !masked);
        self.vmcb.clear_interrupt_shadow();
    }

    fn delivery_read(&self, address: u64) -> u64 {
        physical::read(self.delivery_target(address, false))
    }

    fn delivery_write(&self, address: u64, value: u64) {
        physical::write(self.delivery_target(address, true), value);
    }

    /// Where an aligned quadword of IDT, TSS or stack lies. The processor would fault again if the
    /// RMP forbids the access, and that ends the guest.
    fn delivery_target(&self, address: u64, write: bool) -> u64 {
        let access_name = if write { "event-stack" } else { "event-table" };
        let Some(Target { gpa, private }) = self.translate(address) else {
            stop(self, Rule::EventDeliveryFault, Place::gpa(address, access_name));
        };
        let access = Access { private, write, fetch: false, user: false };
        if world::memory().rmp.check(self.vmpl, gpa / PAGE, access).is_err() {
            stop(self, Rule::EventDeliveryFault, Place::gpa(gpa, access_name));
        }
        gpa
    }

    /// An event whose delivery was cut short by an exit, in EVENTINJ format. Interrupts and NMIs
    /// are gone from the interrupt controller and must be delivered again. Faults and software
    /// interrupts recur, because the instruction is executed again.
    pub(crate) fn interrupted_delivery(&self) -> Option<u8> {
        let event = self.vmcb.exit_interrupt_info();
        let vector = bits::low_8(event);
        let kind = bits::field(event, 8, 10);
        let valid = event >> 31 & 1 != 0;
        // TCG reports an interrupt as type 3 (exception) with its vector.
        let interrupt = kind == 0 || kind == 3 && vector >= 32;
        let nmi = kind == 2 || kind == 3 && vector == VECTOR_NMI;
        (valid && (interrupt || nmi)).then_some(vector)
    }

    /// Raises an exception in the guest by EVENTINJ.
    pub(crate) fn raise(&mut self, vector: u8, error_code: Option<u32>) {
        self.vmcb.inject(exception(vector, error_code));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_decoded() {
        let gate = Gate { low: 0x1234_8e02_0010_5678, high: 0xffff_8000 };
        assert!(gate.is_usable());
        assert!(gate.masks_interrupts());
        assert_eq!(gate.target(), 0xffff_8000_1234_5678);
        assert_eq!(gate.selector(), 0x10);
        assert_eq!(gate.stack_table_index(), 2);
        assert!(!Gate { low: 0x1234_0e02_0010_5678, high: 0 }.is_usable(), "not present");
        assert!(!Gate { low: 0x1234_8502_0010_5678, high: 0 }.is_usable(), "a task gate");
    }

    #[test]
    fn events_carry_their_error_code() {
        assert_eq!(exception(VECTOR_UD, None), 0x8000_0306);
        assert_eq!(exception(VECTOR_GP, Some(0)), 0x8000_0b0d);
        assert_eq!(exception(14, Some(2)), 0x2_8000_0b0e);
        assert_eq!(NMI_EVENT, 0x8000_0202);
    }
}
