// SPDX-License-Identifier: MIT OR Apache-2.0
//! DEPOSIT_MEM and WITHDRAW_MEM (AMD 58019, core calls 4 and 5).
//!
//! Both use the list of PVALIDATE with entries `[1:0]` page size, `[11:2]` zero, `[63:12]` page. A
//! deposited page loses every access of the guest's and is filled with zeros; a withdrawn one is
//! filled with zeros again and given back. `mem_available` in the caller's calling area says
//! whether anything can be withdrawn. No known client uses these calls; what we read into the text
//! is in docs/decisions/0030-deposited-memory.md.

use crate::machine::{Machine, Page, PageSize};
use crate::protocol::core::CoreState;
use crate::protocol::deposits::DEPOSITS_MAX;
use crate::protocol::guest_pages::{grant, revoke};
use crate::protocol::outcome::Refusal;
use crate::protocol::page_list::PageList;
use crate::protocol::{Caller, Services};

/// RCX = address of the list of pages to take.
pub(super) fn deposit(
    services: &Services,
    machine: &mut dyn Machine,
    caller: Caller,
    address: u64,
) -> Result<(), Refusal> {
    let list = PageList::copy_from_guest(machine, &services.core()?.pages(), address)?;
    let outcome = list.for_each_from_next(services, machine, |machine, entry| {
        let page = parse_entry(entry)?;
        let mut state = services.core()?;
        take(&mut state, machine, &list, page)
    });
    machine.flush_guest_translations();
    announce(&services.core_after_effects(), machine, caller);
    outcome
}

fn parse_entry(entry: u64) -> Result<Page, Refusal> {
    let size = match entry & 0xfff {
        0 => PageSize::Small,
        1 => PageSize::Large,
        _ => return Err(Refusal::InvalidParameter),
    };
    Page::new(entry & !0xfff, size).ok_or(Refusal::InvalidParameter)
}

fn take(
    state: &mut CoreState,
    machine: &mut dyn Machine,
    list: &PageList,
    page: Page,
) -> Result<(), Refusal> {
    state.pages().check_page(machine, page)?;
    // The SVSM still writes to these on the guest's behalf.
    let in_use = state.vcpus.holds_calling_area(page.address(), page.end())
        || (page.address()..page.end()).contains(&list.page_address());
    if in_use {
        return Err(Refusal::InvalidParameter);
    }
    if !state.deposits.has_room() {
        return Err(Refusal::InvalidRequest);
    }
    let mut outcome = revoke(machine, page).map_err(Refusal::from);
    if outcome.is_ok() {
        outcome = machine.zero_page(page).map_err(|_| Refusal::InvalidAddress);
    }
    if outcome.is_ok() {
        outcome = state.deposits.keep(page).map_err(|_| Refusal::InvalidRequest);
    }
    // It stays the guest's; where that is impossible it never was.
    if outcome.is_err() && grant(machine, page).is_err() {
        machine.log(format_args!("guest: {:#x} was not its to deposit", page.address()));
    }
    outcome
}

/// RCX = address of a list whose `entries` says how many pages it has room for; the reply replaces
/// it.
pub(super) fn withdraw(
    services: &Services,
    machine: &mut dyn Machine,
    caller: Caller,
    address: u64,
) -> Result<(), Refusal> {
    let list = PageList::copy_from_guest(machine, &services.core()?.pages(), address)?;
    // An empty answer first: a list that can't be written is found out before anything changes
    // hands.
    list.replace(services, machine, &[])?;
    let mut entries = [0; DEPOSITS_MAX];
    let mut count = 0;
    let mut outcome = Ok(());
    for entry in entries.iter_mut().take(list.entries()) {
        let mut state = services.core_after_effects();
        let Some(page) = state.deposits.last() else { break };
        outcome = give_back(&mut state, machine, page);
        if outcome.is_err() {
            break;
        }
        *entry = page.address() | u64::from(page.size() == PageSize::Large);
        count += 1;
    }
    announce(&services.core_after_effects(), machine, caller);
    list.replace(services, machine, entries.get(..count).unwrap_or_default())?;
    outcome
}

fn give_back(state: &mut CoreState, machine: &mut dyn Machine, page: Page) -> Result<(), Refusal> {
    machine.zero_page(page).map_err(|_| Refusal::InvalidAddress)?;
    grant(machine, page)?;
    state.deposits.forget_last();
    Ok(())
}

/// Calling area +1: whether there is memory to withdraw.
fn announce(state: &CoreState, machine: &mut dyn Machine, caller: Caller) {
    let available = u8::from(state.deposits.count() != 0);
    let area = state.vcpus.current(caller.apic_id).and_then(|vcpu| vcpu.calling_area);
    let Some(place) = area.and_then(|area| area.checked_add(1)) else { return };
    if machine.write_guest(place, &[available]).is_err() {
        machine.log(format_args!("guest: vCPU {} lost its calling area", caller.apic_id));
    }
}
