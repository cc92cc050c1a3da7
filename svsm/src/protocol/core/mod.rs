// SPDX-License-Identifier: MIT OR Apache-2.0
//! Protocol 0, core (AMD 58019, "Core protocol").

mod calling_area;
mod deposit;
mod pvalidate;
mod query;
mod vcpu;

use super::deposits::Deposits;
use super::guest_pages::GuestPages;
use super::outcome::Refusal;
use super::vcpus::VcpuTable;
use super::{Caller, Registers, Services};
use crate::machine::Machine;
use snp_abi::svsm::core_call;

/// What the core protocol knows of the guest. One lock protects it; it is never held across more
/// than one page's work.
#[derive(Debug)]
pub struct CoreState {
    /// VMSAs and calling areas.
    pub vcpus: VcpuTable,
    /// Deposited memory.
    pub deposits: Deposits,
    /// The guest's copy of the secrets page and the APIC id of its boot vCPU.
    pub boot: Option<GuestBoot>,
}

/// What REMAP_CA of the boot vCPU must keep up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestBoot {
    /// APIC id of the vCPU that the guest starts on.
    pub apic_id: u32,
    /// Guest-physical address of the guest's secrets page.
    pub secrets_page: u64,
}

impl Default for CoreState {
    fn default() -> Self {
        Self::new()
    }
}

impl CoreState {
    /// A guest without vCPUs.
    pub const fn new() -> Self {
        Self { vcpus: VcpuTable::new(), deposits: Deposits::new(), boot: None }
    }

    /// The rules about which pages the guest may name.
    pub fn pages(&self) -> GuestPages<'_> {
        GuestPages { vcpus: &self.vcpus, deposits: &self.deposits }
    }
}

/// Serves one core call.
pub(super) fn call(
    services: &Services,
    machine: &mut dyn Machine,
    caller: Caller,
    number: u32,
    registers: &mut Registers,
) -> Result<(), Refusal> {
    match number {
        core_call::REMAP_CA => calling_area::remap(services, machine, caller, registers.rcx),
        core_call::PVALIDATE => pvalidate::pvalidate(services, machine, registers.rcx),
        core_call::CREATE_VCPU => vcpu::create(services, machine, registers),
        core_call::DELETE_VCPU => vcpu::delete(services, machine, registers.rcx),
        core_call::DEPOSIT_MEM => deposit::deposit(services, machine, caller, registers.rcx),
        core_call::WITHDRAW_MEM => deposit::withdraw(services, machine, caller, registers.rcx),
        core_call::QUERY_PROTOCOL => {
            query::query_protocol(services, registers);
            Ok(())
        }
        core_call::CONFIGURE_VTOM => query::configure_vtom(registers),
        _ => Err(Refusal::UnsupportedCall),
    }
}
