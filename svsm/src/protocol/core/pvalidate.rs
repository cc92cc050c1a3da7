// SPDX-License-Identifier: MIT OR Apache-2.0
//! PVALIDATE on the guest's behalf (AMD 58019, core call 1).
//!
//! - The guest loses its access *before* a page is made invalid, so that it can't use the page in
//!   between; it gets access *after* the page was validated and filled with zeros, so that a host
//!   which maps one of the SVSM's old pages there discloses nothing.
//! - `next` names the entry that failed: Linux goes on from there with smaller pages when a 2 MiB
//!   entry met a size mismatch.
//! - Each entry is checked and carried out under the lock, and the lock is given up between
//!   entries.

use crate::machine::{Machine, Page, PageSize, RmpFault, Validation};
use crate::protocol::Services;
use crate::protocol::guest_pages::{grant, revoke};
use crate::protocol::outcome::Refusal;
use crate::protocol::page_list::PageList;

/// RCX = address of the list.
pub(super) fn pvalidate(
    services: &Services,
    machine: &mut dyn Machine,
    address: u64,
) -> Result<(), Refusal> {
    let list = PageList::copy_from_guest(machine, &services.core()?.pages(), address)?;
    let mut revoked = false;
    let outcome = list.for_each_from_next(services, machine, |machine, entry| {
        let entry = Entry::parse(entry)?;
        revoked |= !entry.validate;
        entry.carry_out(services, machine)
    });
    if revoked {
        machine.flush_guest_translations();
    }
    outcome
}

/// One entry: `[1:0]` page size, `[2]` validate, `[3]` ignore "no change", `[11:4]` zero, `[63:12]`
/// page.
struct Entry {
    page: Page,
    validate: bool,
    ignore_no_change: bool,
}

impl Entry {
    fn parse(entry: u64) -> Result<Self, Refusal> {
        let size = match entry & 0b11 {
            0 => PageSize::Small,
            1 => PageSize::Large,
            _ => return Err(Refusal::InvalidParameter),
        };
        if entry & 0xff0 != 0 {
            return Err(Refusal::InvalidParameter);
        }
        let page = Page::new(entry & !0xfff, size).ok_or(Refusal::InvalidParameter)?;
        Ok(Self { page, validate: entry & 0b100 != 0, ignore_no_change: entry & 0b1000 != 0 })
    }

    fn carry_out(&self, services: &Services, machine: &mut dyn Machine) -> Result<(), Refusal> {
        let state = services.core()?;
        state.pages().check_page(machine, self.page)?;
        if self.validate { self.validate(machine) } else { self.invalidate(machine) }
    }

    fn validate(&self, machine: &mut dyn Machine) -> Result<(), Refusal> {
        let validation = machine.pvalidate(self.page, true)?;
        self.judge(validation)?;
        let mut given = machine.zero_page(self.page).map_err(|_| Refusal::InvalidAddress);
        if given.is_ok() {
            given = grant(machine, self.page).map_err(Refusal::from);
        }
        if given.is_err() && validation == Validation::Changed {
            // Back to what it was; the first failure is the one to report.
            if machine.pvalidate(self.page, false).is_err() {
                let address = self.page.address();
                machine.log(format_args!("guest: {address:#x} stays valid, without access"));
            }
        }
        given
    }

    fn invalidate(&self, machine: &mut dyn Machine) -> Result<(), Refusal> {
        match revoke(machine, self.page) {
            // It wasn't validated, so nobody had access: PVALIDATE says "no change".
            Ok(()) | Err(RmpFault::NotValidated) => {}
            Err(fault) => return Err(self.keep(machine, fault)),
        }
        match machine.pvalidate(self.page, false) {
            Ok(validation) => self.judge(validation),
            Err(fault) => Err(self.keep(machine, fault)),
        }
    }

    /// The page is still valid, so it is still the guest's.
    fn keep(&self, machine: &mut dyn Machine, fault: RmpFault) -> Refusal {
        if fault != RmpFault::SizeMismatch && grant(machine, self.page).is_err() {
            let address = self.page.address();
            machine.log(format_args!("guest: {address:#x} stays valid, without access"));
        }
        fault.into()
    }

    fn judge(&self, validation: Validation) -> Result<(), Refusal> {
        if validation == Validation::Unchanged && !self.ignore_no_change {
            return Err(Refusal::NoChange);
        }
        Ok(())
    }
}
