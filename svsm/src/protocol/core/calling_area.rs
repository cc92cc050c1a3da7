// SPDX-License-Identifier: MIT OR Apache-2.0
//! REMAP_CA: another page becomes the vCPU's calling area (AMD 58019, core call 0).

use crate::machine::{Machine, PAGE_BYTES};
use crate::protocol::core::CoreState;
use crate::protocol::outcome::Refusal;
use crate::protocol::{Caller, Services};
use core::mem::offset_of;
use snp_abi::secrets::SecretsPage;

/// Where a guest's secrets page names the calling area.
const SECRETS_SVSM_CAA: u64 = offset_of!(SecretsPage, svsm_caa) as u64;

/// RCX = page-aligned address of the new calling area.
pub(super) fn remap(
    services: &Services,
    machine: &mut dyn Machine,
    caller: Caller,
    address: u64,
) -> Result<(), Refusal> {
    if !address.is_multiple_of(PAGE_BYTES) {
        return Err(Refusal::InvalidParameter);
    }
    let mut state = services.core()?;
    state.pages().check_range(machine, address, PAGE_BYTES)?;
    // Nothing is pending in the new area. A page that can't be written is refused before it counts.
    let available = u8::from(state.deposits.count() != 0);
    machine.write_guest(address, &[0, available]).map_err(|_| Refusal::InvalidAddress)?;
    if !state.vcpus.move_calling_area(caller.apic_id, address) {
        return Err(Refusal::InvalidRequest);
    }
    announce(&state, machine, caller, address);
    Ok(())
}

/// A kernel started by kexec finds the calling area through the secrets page, where the launch put
/// it.
fn announce(state: &CoreState, machine: &mut dyn Machine, caller: Caller, address: u64) {
    let Some(boot) = state.boot.filter(|boot| boot.apic_id == caller.apic_id) else { return };
    if state.pages().check_range(machine, boot.secrets_page, PAGE_BYTES).is_err() {
        return;
    }
    let place = boot.secrets_page.saturating_add(SECRETS_SVSM_CAA);
    if machine.write_guest(place, &address.to_le_bytes()).is_err() {
        machine
            .log(format_args!("guest: its secrets page is gone; a kexec will not find the SVSM"));
    }
}
