// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is done for each #VMEXIT: reflected as #VC, emulated, or the end. AMD 24593, 15.35.4 says
//! which exits an SNP guest sees as #VC.

use snp_abi::ghcb::{MSR_GHCB, MSR_SEV_STATUS, exit};

use super::translate::NestedFault;
use super::{Context, Next, swallow_nmi};
use crate::bits::{high_32, low_32, pair};
use crate::counters::{Event, count};
use crate::layout::{C_BIT, MACHINE_END, MACHINE_START, PAGE};
use crate::rmp::{Access, Fault};
use crate::violation::{Place, Rule, stop};
use crate::{ghcb, world};

const EXIT_CR0_WRITE: u64 = 0x10;
const EXIT_UD: u64 = 0x46;
const EXIT_NMI: u64 = 0x61;
const EXIT_SHUTDOWN: u64 = 0x7f;
/// VMRUN to CLGI and SKINIT: a guest has no SVM.
const EXIT_SVM_FIRST: u64 = 0x80;
const EXIT_SVM_LAST: u64 = 0x86;
/// VMEXIT_INVALID is -1; TCG stores 32 bits of it.
const EXIT_INVALID: u64 = u64::MAX;
const EXIT_INVALID_32: u64 = u32::MAX as u64;
/// SEV_STATUS: SEV, SEV-ES, SEV-SNP.
const SEV_STATUS: u64 = 7;
const MSR_INSTRUCTION_SIZE: u64 = 2;
const VMGEXIT_SIZE: u64 = 4;

impl Context {
    /// Handles the exit that the VMCB describes.
    pub(crate) fn handle_exit(&mut self) -> Next {
        let code = self.vmcb.exit_code();
        match code {
            exit::NESTED_PAGE_FAULT => self.nested_page_fault(),
            EXIT_NMI => {
                count(self.processor, self.vmpl, Event::Nmi);
                swallow_nmi();
            }
            EXIT_UD => self.undefined_instruction(),
            exit::VMMCALL if self.at_vmgexit() => {
                self.vmcb.advance(VMGEXIT_SIZE);
                return ghcb::vmgexit(self);
            }
            exit::MSR => self.msr_access(),
            exit::CPUID
            | exit::IOIO
            | exit::VMMCALL
            | exit::RDPMC
            | exit::INVD
            | exit::WBINVD
            | exit::MONITOR
            | exit::MWAIT
            | exit::READ_DR7
            | exit::WRITE_DR7 => self.reflect(code, Place::default()),
            EXIT_SVM_FIRST..=EXIT_SVM_LAST => self.raise(super::deliver::VECTOR_UD, None),
            EXIT_CR0_WRITE => self.cr0_write(),
            EXIT_SHUTDOWN => stop(self, Rule::Shutdown, Place::default()),
            EXIT_INVALID | EXIT_INVALID_32 => stop(self, Rule::VmsaInvalidState, Place::default()),
            _ => stop(self, Rule::UnexpectedExit, Place::default()),
        }
        Next::Same
    }

    /// A state that no guest can have: it would mean that the switch between the machine and its
    /// guest went wrong, and running on would destroy the evidence.
    pub(crate) fn check_sanity(&self) {
        // After a VMRUN that failed its checks, TCG leaves the machine's registers in the VMCB.
        if matches!(self.vmcb.exit_code(), EXIT_INVALID | EXIT_INVALID_32) {
            return;
        }
        let machine = MACHINE_START..MACHINE_END;
        let rip_is_ours = machine.contains(&self.vmcb.rip());
        let stack_is_ours = machine.contains(&self.vmcb.rsp());
        let tables_are_ours = machine.contains(&(self.vmcb.cr3() & !C_BIT));
        if rip_is_ours && (stack_is_ours || tables_are_ours) {
            stop(self, Rule::GuestRunsMachineCode, Place::default());
        }
    }

    /// The two MSRs that SEV hardware handles itself; all others are the guest's to ask for.
    fn msr_access(&mut self) {
        let (msr, write) = (low_32(self.registers.rcx), self.vmcb.exit_info_1() & 1 != 0);
        let value = match (msr, write) {
            (MSR_GHCB, true) => {
                self.ghcb = pair(low_32(self.registers.rdx), low_32(self.vmcb.rax()));
                self.vmcb.advance(MSR_INSTRUCTION_SIZE);
                return;
            }
            (MSR_GHCB, false) => self.ghcb,
            (MSR_SEV_STATUS, false) => SEV_STATUS,
            _ => return self.reflect(exit::MSR, Place::default()),
        };
        self.vmcb.set_rax(u64::from(low_32(value)));
        self.registers.rdx = u64::from(high_32(value));
        self.vmcb.advance(MSR_INSTRUCTION_SIZE);
    }

    /// A nested page fault: the page wasn't mapped yet, or the RMP forbids the access.
    fn nested_page_fault(&mut self) {
        count(self.processor, self.vmpl, Event::NestedFault);
        // A guest that has turned paging off or on without an exit.
        if self.choose_view() {
            return;
        }
        let fault = NestedFault::decode(self.vmcb.exit_info_1());
        let address = self.vmcb.exit_info_2();
        let gpa = address & !C_BIT;
        let private = address & C_BIT != 0 || self.vmcb.is_unpaged();
        let place = Place::gpa(gpa, fault.name());
        if fault.table_walk && !private {
            // Walks are always private in hardware; TCG follows the bit.
            let at_root = self.vmcb.cr3() & !C_BIT & !(PAGE - 1) == gpa & !(PAGE - 1);
            if at_root && self.add_c_bit_to_cr3() {
                return;
            }
            // Legal, but the machine doesn't emulate it.
            stop(self, Rule::TableEntryWithoutCBit, place);
        }
        if fault.fetch && !private {
            stop(self, Rule::FetchFromSharedPage, place);
        }
        let user = self.vmcb.cpl() == 3 && !fault.table_walk;
        let access = Access { private, write: fault.write, fetch: fault.fetch, user };
        let result = world::memory().resolve(self.vmpl, gpa, access);
        match result {
            Ok(()) => count(self.processor, self.vmpl, Event::Fill),
            Err(Fault::Device) => self.reflect(exit::NESTED_PAGE_FAULT, place),
            Err(Fault::NotValidated) => {
                // The handler learns the page from CR2, as from a page fault.
                if let Some(address) = self.virtual_address_of(gpa) {
                    self.vmcb.set_cr2(address);
                }
                self.reflect(exit::PAGE_NOT_VALIDATED, place);
            }
            Err(Fault::Unassigned) => stop(self, Rule::PrivateAccessToUnassignedPage, place),
            Err(Fault::SharedAccess) => stop(self, Rule::SharedAccessToPrivatePage, place),
            Err(Fault::Permission) => stop(self, Rule::VmplPermission, place),
            Err(Fault::PrivateDevice) => stop(self, Rule::PrivateAccessToDevice, place),
        }
    }
}
