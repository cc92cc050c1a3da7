// SPDX-License-Identifier: MIT OR Apache-2.0
//! QUERY_PROTOCOL and CONFIGURE_VTOM: what the SVSM offers (AMD 58019, core calls 6 and 7).

use crate::protocol::outcome::Refusal;
use crate::protocol::{Registers, Services};

/// RCX in: protocol in the upper half, version wanted in the lower. RCX out: greatest version in
/// the upper half, least in the lower; 0 when protocol or version isn't offered.
pub(super) fn query_protocol(services: &Services, registers: &mut Registers) {
    let [protocol, version] = super::super::halves(registers.rcx);
    registers.rcx = match services.versions(protocol) {
        Some((least, greatest)) if (least..=greatest).contains(&version) => {
            u64::from(greatest) << 32 | u64::from(least)
        }
        _ => 0,
    };
}

/// RCX bit 0 set asks whether a virtual top of memory can be configured (RCX out: 0, it can't);
/// clear, it asks for the configuration itself.
pub(super) fn configure_vtom(registers: &mut Registers) -> Result<(), Refusal> {
    if registers.rcx & 1 == 0 {
        return Err(Refusal::InvalidRequest);
    }
    registers.rcx = 0;
    Ok(())
}
