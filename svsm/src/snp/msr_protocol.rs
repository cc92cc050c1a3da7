// SPDX-License-Identifier: MIT OR Apache-2.0
//! The GHCB MSR protocol (AMD 56421, 2.3.1): requests without a page, for bring-up and for the end.

use super::instruction::vmgexit;
use crate::cpu::registers::{read_msr, write_msr};
use snp_abi::ghcb::{
    HypervisorFeatures, MSR_GHCB, MSR_SEV_STATUS, PROTOCOL_VERSION, PageOperation,
};
use snp_abi::msr_protocol::{
    Malformed, Request, SevInformation, decode_features_answer, decode_page_state_answer,
    decode_register_ghcb_answer,
};

/// What the hypervisor did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MsrProtocolError {
    /// The answer is not one to the request.
    Malformed(u64),
    /// It refused, with this code.
    Refused(u64),
    /// Its versions of the GHCB protocol do not include ours.
    Version,
}

impl From<Malformed> for MsrProtocolError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.0)
    }
}

/// One request by its value; the value that came back.
pub(crate) fn exchange(value: u64) -> u64 {
    // SAFETY: the GHCB MSR exists on every SNP guest and is never a #VC; a request of the MSR
    // protocol names no memory, so the hypervisor writes none of ours.
    unsafe {
        write_msr(MSR_GHCB, value);
        vmgexit();
        read_msr(MSR_GHCB)
    }
}

/// Checks that the hypervisor speaks our version, and that its C-bit is the measured one.
pub(crate) fn check_version(c_bit_mask: u64) -> Result<(), MsrProtocolError> {
    let information = SevInformation::decode(exchange(Request::SevInformation.encode()))?;
    let versions = information.version_min..=information.version_max;
    let c_bit = 1u64.checked_shl(information.c_bit_position.into());
    if !versions.contains(&PROTOCOL_VERSION) || c_bit != Some(c_bit_mask) {
        return Err(MsrProtocolError::Version);
    }
    Ok(())
}

/// The hypervisor's features.
pub(crate) fn features() -> Result<HypervisorFeatures, MsrProtocolError> {
    let features = decode_features_answer(exchange(Request::HypervisorFeatures.encode()))?;
    Ok(HypervisorFeatures::from_bits_truncate(features))
}

/// Makes the shared page at `gpa` this CPU's GHCB.
pub(crate) fn register_ghcb(gpa: u64) -> Result<(), MsrProtocolError> {
    let answer = exchange(Request::RegisterGhcb(gpa).encode());
    if decode_register_ghcb_answer(gpa, answer)? {
        Ok(())
    } else {
        Err(MsrProtocolError::Refused(answer))
    }
}

/// Asks for the state of one page to be changed.
pub(crate) fn change_page_state(
    gpa: u64,
    operation: PageOperation,
) -> Result<(), MsrProtocolError> {
    let request = Request::PageState { gpa, operation };
    match decode_page_state_answer(exchange(request.encode()))? {
        0 => Ok(()),
        code => Err(MsrProtocolError::Refused(code.into())),
    }
}

/// `SEV_STATUS`.
pub(crate) fn sev_status() -> u64 {
    // SAFETY: the MSR exists on every SEV guest and is never a #VC.
    unsafe { read_msr(MSR_SEV_STATUS) }
}
