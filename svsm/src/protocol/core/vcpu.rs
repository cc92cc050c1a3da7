// SPDX-License-Identifier: MIT OR Apache-2.0
//! CREATE_VCPU and DELETE_VCPU (AMD 58019, core calls 2 and 3).
//!
//! The SVSM decides which pages are VMSAs; the guest itself asks the hypervisor to run them. What
//! makes a VMSA dangerous is its VMPL, so the guest loses write access before the page is looked
//! at.

use crate::machine::{LAST_VMPL, Machine, PAGE_BYTES, Page, Permissions, RmpFault};
use crate::protocol::guest_pages::{grant, revoke};
use crate::protocol::outcome::Refusal;
use crate::protocol::vcpus::{NotRemovable, VmsaOwner};
use crate::protocol::{Registers, Services, halves};
use core::mem::offset_of;
use snp_abi::vmsa::{EFER_SVME, Vmsa};

/// Offsets of the fields that are checked.
const VMSA_VMPL: u64 = offset_of!(Vmsa, vmpl) as u64;
const VMSA_EFER: u64 = offset_of!(Vmsa, efer) as u64;
const VMSA_SEV_FEATURES: u64 = offset_of!(Vmsa, sev_features) as u64;

/// RCX = VMSA page, RDX = calling area, R8 = APIC id.
pub(super) fn create(
    services: &Services,
    machine: &mut dyn Machine,
    registers: &Registers,
) -> Result<(), Refusal> {
    let vmsa = Page::small(registers.rcx).ok_or(Refusal::InvalidParameter)?;
    let calling_area = Page::small(registers.rdx).ok_or(Refusal::InvalidParameter)?;
    let [0, apic_id] = halves(registers.r8) else { return Err(Refusal::InvalidParameter) };
    if vmsa == calling_area || !machine.has_vcpu(apic_id) {
        return Err(Refusal::InvalidParameter);
    }
    let mut state = services.core()?;
    let repeated = state.vcpus.removable(vmsa.address()) != Err(NotRemovable::Unknown);
    if repeated {
        return Err(Refusal::InvalidParameter);
    }
    state.pages().check_page(machine, vmsa)?;
    state.pages().check_page(machine, calling_area)?;
    if state.vcpus.serving_from(vmsa.address()) {
        return Err(Refusal::InvalidParameter);
    }
    if !state.vcpus.has_room() {
        return Err(Refusal::InvalidRequest);
    }
    seal(machine, vmsa)?;
    state
        .vcpus
        .insert(apic_id, vmsa.address(), calling_area.address(), VmsaOwner::Guest)
        .map_err(|_| Refusal::InvalidRequest)
}

/// Turns a page of the guest's into a VMSA, or leaves it as it was.
fn seal(machine: &mut dyn Machine, vmsa: Page) -> Result<(), Refusal> {
    let mut outcome = revoke(machine, vmsa).map_err(refuse_address);
    if outcome.is_ok() {
        machine.flush_guest_translations();
        outcome = check_content(machine, vmsa.address());
    }
    if outcome.is_ok() {
        // Linux reads `sev_features` back after the call, so reading stays allowed.
        let vmpl = machine.guest_vmpl();
        outcome =
            machine.rmpadjust(vmsa, vmpl, Permissions::READ, true).map_err(Refusal::Instruction);
    }
    // The page stays an ordinary one; the first failure is the one to report.
    if outcome.is_err() && grant(machine, vmsa).is_err() {
        machine.log(format_args!("guest: {:#x} is no VMSA and not accessible", vmsa.address()));
    }
    outcome
}

/// Only what the rules demand: the rest of a VMSA is the guest's own business, and later features
/// use fields that are reserved today.
fn check_content(machine: &mut dyn Machine, vmsa: u64) -> Result<(), Refusal> {
    let [vmpl] = field(machine, vmsa, VMSA_VMPL)?;
    let efer = u64::from_le_bytes(field(machine, vmsa, VMSA_EFER)?);
    let sev_features = u64::from_le_bytes(field(machine, vmsa, VMSA_SEV_FEATURES)?);
    let good = vmpl == machine.guest_vmpl()
        && efer & EFER_SVME != 0
        && sev_features == machine.sev_features();
    if good { Ok(()) } else { Err(Refusal::InvalidParameter) }
}

fn field<const BYTES: usize>(
    machine: &mut dyn Machine,
    vmsa: u64,
    offset: u64,
) -> Result<[u8; BYTES], Refusal> {
    let mut bytes = [0; BYTES];
    let address = vmsa.saturating_add(offset);
    machine.read_guest(address, &mut bytes).map_err(|_| Refusal::InvalidAddress)?;
    Ok(bytes)
}

/// A page without validated memory behind it is a bad address, not an instruction's failure.
fn refuse_address(fault: RmpFault) -> Refusal {
    match fault {
        RmpFault::NotValidated => Refusal::InvalidAddress,
        other => Refusal::Instruction(other),
    }
}

/// RCX = VMSA page. Releases it and its calling area.
pub(super) fn delete(
    services: &Services,
    machine: &mut dyn Machine,
    address: u64,
) -> Result<(), Refusal> {
    if !address.is_multiple_of(PAGE_BYTES) {
        return Err(Refusal::InvalidParameter);
    }
    let vmsa = Page::small(address).ok_or(Refusal::InvalidParameter)?;
    let mut state = services.core()?;
    state.vcpus.removable(address).map_err(|why| match why {
        NotRemovable::Unknown => Refusal::InvalidParameter,
        NotRemovable::Serving => Refusal::Instruction(RmpFault::InUse),
    })?;
    // Without SVME the hypervisor can't enter it any more; if it runs at this moment, the RMPADJUST
    // below fails and the bit comes back.
    let efer = u64::from_le_bytes(field(machine, address, VMSA_EFER)?);
    write_efer(machine, address, efer & !EFER_SVME)?;
    if let Err(fault) = release(machine, vmsa) {
        write_efer(machine, address, efer)?;
        return Err(fault.into());
    }
    state.vcpus.remove(address);
    Ok(())
}

fn write_efer(machine: &mut dyn Machine, vmsa: u64, efer: u64) -> Result<(), Refusal> {
    let address = vmsa.saturating_add(VMSA_EFER);
    machine.write_guest(address, &efer.to_le_bytes()).map_err(|_| Refusal::InvalidAddress)
}

/// No VMSA any more, and the guest's again.
fn release(machine: &mut dyn Machine, vmsa: Page) -> Result<(), RmpFault> {
    for vmpl in machine.guest_vmpl()..=LAST_VMPL {
        machine.rmpadjust(vmsa, vmpl, Permissions::NONE, false)?;
    }
    grant(machine, vmsa)
}
