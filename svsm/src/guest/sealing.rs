// SPDX-License-Identifier: MIT OR Apache-2.0
//! The platform's firmware as the source of the store's master key.

use super::firmware::{FIRMWARE, PATIENCE_AT_BOOT, report, report_bytes};
use crate::snp::guest_request::ChannelError;
use crate::vtpm::master_key::{KeyFault, KeySource, LaunchIdentity};
use alloc::boxed::Box;
use snp_abi::guest_request::KeyRequest;
use snp_abi::report::REPORT_SIZE;
use zeroize::Zeroizing;

/// The firmware under VMPCK0.
pub(super) struct Firmware;

impl KeySource for Firmware {
    fn identity(&mut self) -> Result<LaunchIdentity, KeyFault> {
        let report = report(&[0; 64]).map_err(fault)?.ok_or(KeyFault::Unavailable)?;
        Ok(LaunchIdentity {
            guest_svn: report.guest_svn,
            committed_tcb: report.committed_tcb,
            has_signer: report.id_key_digest != [0; 48],
        })
    }

    fn derive(&mut self, request: &KeyRequest) -> Result<Zeroizing<[u8; 32]>, KeyFault> {
        let mut firmware = FIRMWARE.lock();
        let channel = firmware.as_mut().ok_or(KeyFault::Unavailable)?;
        channel.derived_key(request, PATIENCE_AT_BOOT).map_err(fault)
    }

    fn report(&mut self, data: &[u8; 64]) -> Result<Box<[u8; REPORT_SIZE]>, KeyFault> {
        report_bytes(data).map_err(fault)
    }
}

fn fault(error: ChannelError) -> KeyFault {
    match error {
        ChannelError::Refused(status) => KeyFault::Refused(status),
        ChannelError::Busy | ChannelError::Closed | ChannelError::OutOfMemory => {
            KeyFault::Unavailable
        }
    }
}
