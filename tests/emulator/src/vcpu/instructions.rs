// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instructions that TCG lacks or that need more than TCG does: PVALIDATE, RMPADJUST, RMPQUERY
//! (AMD 24594), VMGEXIT, and writes of CR0 that turn paging on.

use snp_abi::Vmpl;
use snp_abi::vmsa::{EFER_LMA, EFER_LME};

use super::Context;
use super::deliver::{VECTOR_GP, VECTOR_UD};
use crate::bits::{field, low_32};
use crate::counters::{Event, count, count_many};
use crate::layout::{C_BIT, PAGE};
use crate::rmp::{Done, FRAMES_IN_LARGE, Fault, Outcome, Permissions};
use crate::violation::{Place, Rule, stop};
use crate::vmcb::CR0_PAGING;
use crate::world;

/// Bytes of the RMP instructions and of VMGEXIT, as a little-endian number.
const PVALIDATE: u32 = 0xff01_0ff2;
const RMPADJUST: u32 = 0xfe01_0ff3;
const RMPQUERY: u32 = 0xfd01_0ff3;
const VMGEXIT_REP: u32 = 0xd901_0ff3;
const VMGEXIT_REPNE: u32 = 0xd901_0ff2;
const RMP_INSTRUCTION_SIZE: u64 = 4;
/// RFLAGS: CF, PF, AF, ZF, SF, OF.
const ARITHMETIC_FLAGS: u64 = 0x8d5;

/// The three instructions that take an address in RAX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RmpInstruction {
    Pvalidate,
    Rmpadjust,
    Rmpquery,
}

impl RmpInstruction {
    const fn unassigned_rule(self) -> Rule {
        match self {
            Self::Pvalidate => Rule::PvalidateOfUnassignedPage,
            Self::Rmpadjust => Rule::RmpadjustOfUnassignedPage,
            Self::Rmpquery => Rule::RmpqueryOfUnassignedPage,
        }
    }
    const fn name(self) -> &'static str {
        match self {
            Self::Pvalidate => "pvalidate",
            Self::Rmpadjust => "rmpadjust",
            Self::Rmpquery => "rmpquery",
        }
    }
}

impl Context {
    /// Whether the instruction at RIP is a VMGEXIT; TCG reports it as VMMCALL.
    pub(crate) fn at_vmgexit(&self) -> bool {
        matches!(low_32(self.code_bytes()), VMGEXIT_REP | VMGEXIT_REPNE)
    }

    /// #UD: one of the RMP instructions, or an invalid one of the guest's own (Linux uses UD2).
    pub(crate) fn undefined_instruction(&mut self) {
        let instruction = match low_32(self.code_bytes()) {
            PVALIDATE => RmpInstruction::Pvalidate,
            RMPADJUST => RmpInstruction::Rmpadjust,
            RMPQUERY => RmpInstruction::Rmpquery,
            _ => return self.raise(VECTOR_UD, None),
        };
        // PVALIDATE is VMPL0's; all three are CPL 0's.
        let allowed = self.vmcb.cpl() == 0
            && (instruction != RmpInstruction::Pvalidate || self.vmpl == Vmpl::Vmpl0);
        if !allowed {
            return self.raise(VECTOR_GP, Some(0));
        }
        let address = self.vmcb.rax();
        let gpa = self.rmp_operand(address);
        let result = match instruction {
            RmpInstruction::Pvalidate => self.pvalidate(gpa),
            RmpInstruction::Rmpadjust => self.rmpadjust(gpa),
            RmpInstruction::Rmpquery => self.rmpquery(gpa),
        };
        match result {
            Ok((outcome, carry)) => self.finish_rmp_instruction(outcome, carry),
            Err(Fault::NotValidated) => {
                self.vmcb.set_cr2(address);
                let place = Place::gpa(gpa, instruction.name());
                self.reflect(snp_abi::ghcb::exit::PAGE_NOT_VALIDATED, place);
            }
            Err(_) => {
                stop(self, instruction.unassigned_rule(), Place::gpa(gpa, instruction.name()));
            }
        }
    }

    /// The page that RAX points at. An unmapped address would be a page fault on hardware; no
    /// client does it on purpose, so it ends the machine.
    fn rmp_operand(&self, address: u64) -> u64 {
        match self.translate(address) {
            Some(target) if target.private => target.gpa,
            Some(target) => {
                stop(self, Rule::RmpInstructionOperand, Place::gpa(target.gpa, "shared-mapping"))
            }
            None => stop(self, Rule::RmpInstructionOperand, Place::gpa(address, "unmapped")),
        }
    }

    fn pvalidate(&mut self, gpa: u64) -> Result<(Outcome, bool), Fault> {
        let (large, validate) = (self.registers.rcx & 1 != 0, self.registers.rdx & 1 != 0);
        count(self.processor, self.vmpl, Event::Pvalidate);
        let pages = if large { FRAMES_IN_LARGE } else { 1 };
        let mut memory = world::memory();
        let (done, carry) = memory.rmp.pvalidate(gpa / PAGE, large, validate)?;
        memory.follow(self.processor, done.change);
        if done.change.is_some() {
            count_many(self.processor, self.vmpl, Event::PvalidatePages, pages);
        }
        Ok((done.outcome, carry))
    }

    fn rmpadjust(&mut self, gpa: u64) -> Result<(Outcome, bool), Fault> {
        let (large, attributes) = (self.registers.rcx & 1 != 0, self.registers.rdx);
        count(self.processor, self.vmpl, Event::Rmpadjust);
        let target = field(attributes, 0, 7);
        let permission_bits = u8::try_from(field(attributes, 8, 15)).unwrap_or(u8::MAX);
        let Some(permissions) = Permissions::from_bits(permission_bits) else {
            return Ok((Outcome::FailInput, false));
        };
        let vmsa = field(attributes, 16, 16) != 0;
        let mut memory = world::memory();
        let frame = gpa / PAGE;
        let Done { outcome, change } =
            memory.rmp.adjust(self.vmpl, frame, large, target, permissions, vmsa)?;
        memory.follow(self.processor, change);
        Ok((outcome, false))
    }

    fn rmpquery(&mut self, gpa: u64) -> Result<(Outcome, bool), Fault> {
        count(self.processor, self.vmpl, Event::Rmpquery);
        let target = field(self.registers.rdx, 0, 7);
        match world::memory().rmp.query(self.vmpl, gpa / PAGE, target)? {
            Err(outcome) => Ok((outcome, false)),
            Ok(entry) => {
                let level = Vmpl::from_number(target).unwrap_or(Vmpl::Vmpl3);
                let permissions = u64::from(entry.permissions(level).bits());
                self.registers.rdx = target | permissions << 8 | u64::from(entry.is_vmsa()) << 16;
                self.registers.rcx = u64::from(entry.is_large());
                Ok((Outcome::Success, false))
            }
        }
    }

    /// EAX is the outcome; OF, SF, AF are cleared, ZF and PF follow the result, CF is the carry.
    fn finish_rmp_instruction(&mut self, outcome: Outcome, carry: bool) {
        let result = outcome as u32;
        let parity_even = result.count_ones().is_multiple_of(2);
        let flags = self.vmcb.rflags() & !ARITHMETIC_FLAGS
            | u64::from(carry)
            | u64::from(parity_even) << 2
            | u64::from(result == 0) << 6;
        self.vmcb.set_rax(u64::from(result));
        self.vmcb.set_rflags(flags);
        self.vmcb.advance(RMP_INSTRUCTION_SIZE);
    }

    /// MOV to CR0, which exits only while paging is off: turning it on changes the nested root, and
    /// the C-bit must get into CR3, which 32-bit code can't load (page walks are always private).
    pub(crate) fn cr0_write(&mut self) {
        count(self.processor, self.vmpl, Event::Cr0Write);
        let code = self.code_bytes();
        // 0F 22 /r with CR0 in the reg field; RSP as a source makes no sense.
        let is_mov_to_cr0 = code & 0xf8_ffff == 0xc0_220f;
        let number = u8::try_from(field(code, 16, 18)).unwrap_or(0);
        let source =
            if number == 0 { Some(self.vmcb.rax()) } else { self.registers.by_number(number) };
        let (true, Some(source)) = (is_mov_to_cr0, source) else {
            stop(self, Rule::InstructionNotEmulated, Place { gpa: None, access: "cr0-write" });
        };
        const EXTENSION_TYPE: u64 = 1 << 4;
        let value = source & 0xffff_ffff | EXTENSION_TYPE;
        if value & CR0_PAGING != 0 {
            let efer = self.vmcb.efer();
            if efer & EFER_LME != 0 {
                self.vmcb.set_efer(efer | EFER_LMA);
            }
            self.add_c_bit_to_cr3();
        }
        self.vmcb.set_cr0(value);
        self.choose_view();
        self.vmcb.advance(3);
    }

    /// Page walks are private whatever CR3 says. Linux's decompressor loads a CR3 without the C-bit
    /// several times. True if the bit was missing.
    pub(crate) fn add_c_bit_to_cr3(&mut self) -> bool {
        let cr3 = self.vmcb.cr3();
        if cr3 & C_BIT != 0 {
            return false;
        }
        count(self.processor, self.vmpl, Event::Cr3WithoutCBit);
        self.vmcb.set_cr3(cr3 | C_BIT);
        true
    }
}
