// SPDX-License-Identifier: MIT OR Apache-2.0
//! From an alleged guest address to one that the SVSM may use on the guest's behalf.
//!
//! The SVSM can touch every page, so it must not be talked into touching its own: an address is
//! good only when it is RAM of the guest and not a page that the guest has given away (a VMSA, a
//! deposit).

use super::deposits::Deposits;
use super::outcome::Refusal;
use super::vcpus::VcpuTable;
use crate::machine::{LAST_VMPL, Machine, Page, Permissions, RmpFault};

/// The pages that are not the guest's to use although they are its RAM.
pub struct GuestPages<'a> {
    /// VMSAs.
    pub vcpus: &'a VcpuTable,
    /// Deposited memory.
    pub deposits: &'a Deposits,
}

impl GuestPages<'_> {
    /// Checks that `length` bytes at `address` are the guest's to use now.
    pub fn check_range(
        &self,
        machine: &dyn Machine,
        address: u64,
        length: u64,
    ) -> Result<(), Refusal> {
        let end = address.checked_add(length).ok_or(Refusal::InvalidAddress)?;
        let free = machine.is_guest_ram(address, length)
            && !self.vcpus.holds_vmsa(address, end)
            && !self.deposits.holds(address, end);
        if free { Ok(()) } else { Err(Refusal::InvalidAddress) }
    }

    /// Checks a whole page.
    pub fn check_page(&self, machine: &dyn Machine, page: Page) -> Result<(), Refusal> {
        self.check_range(machine, page.address(), page.size().bytes())
    }
}

/// Takes every access from the guest's VMPL and those below it. A later VMPL may have got its share
/// by the guest's own RMPADJUST.
pub fn revoke(machine: &mut dyn Machine, page: Page) -> Result<(), RmpFault> {
    for vmpl in machine.guest_vmpl()..=LAST_VMPL {
        machine.rmpadjust(page, vmpl, Permissions::NONE, false)?;
    }
    Ok(())
}

/// Gives the guest full access, as a page that is no VMSA.
pub fn grant(machine: &mut dyn Machine, page: Page) -> Result<(), RmpFault> {
    let vmpl = machine.guest_vmpl();
    machine.rmpadjust(page, vmpl, Permissions::ALL, false)
}
