// SPDX-License-Identifier: MIT OR Apache-2.0
//! The channel to the platform's firmware under VMPCK0, which only the SVSM has.

use crate::boot::launch::Secrets;
use crate::protocol::attest::{Evidence, Firmware, FirmwareFault};
use crate::snp::firmware_mailbox::FirmwareMailbox;
use crate::snp::guest_request::{CERTIFICATES_MAX, ChannelError, FirmwareChannel};
use crate::snp::termination::Reason;
use alloc::boxed::Box;
use alloc::vec::Vec;
use snp_abi::report::{AttestationReport, REPORT_SIZE};
use snp_abi::{Vmpl, certificates};
use spin::Mutex;
use zerocopy::FromBytes;

/// How often a throttled message is sent while nobody waits for the guest yet.
pub(super) const PATIENCE_AT_BOOT: u32 = 40;

/// The same while a vCPU waits in a call, which it then makes again: two pauses at most.
const PATIENCE_IN_CALL: u32 = 2;

/// The channel; `None` before the guest's launch.
pub(super) static FIRMWARE: Mutex<Option<FirmwareChannel<FirmwareMailbox>>> = Mutex::new(None);

/// Opens the channel.
///
/// # Errors
/// No memory for it, or a malformed secrets page.
pub(super) fn open(secrets: &Secrets) -> Result<(), Reason> {
    let [key, ..] = &secrets.page()?.vmpck;
    let mailbox = FirmwareMailbox::new().map_err(|error| {
        crate::error!("firmware: {error:?}");
        Reason::Validation
    })?;
    *FIRMWARE.lock() = Some(FirmwareChannel::new(mailbox, Vmpl::Vmpl0, key));
    Ok(())
}

/// Asks for a report and logs what the firmware says of this launch. A host without the service
/// is no reason to stop.
pub(super) fn log_report() {
    match report(&[0; 64]) {
        Ok(Some(report)) => {
            crate::debug!("report: version {} vmpl {}", report.version, report.vmpl);
            crate::debug!("report: launch digest {}", Hex(&report.measurement));
        }
        Ok(None) => crate::warning!("report: malformed"),
        Err(error) => crate::warning!("report: {error:?}"),
    }
}

/// A report about the SVSM, as the firmware gave it.
pub(super) fn report_bytes(data: &[u8; 64]) -> Result<Box<[u8; REPORT_SIZE]>, ChannelError> {
    let mut firmware = FIRMWARE.lock();
    let channel = firmware.as_mut().ok_or(ChannelError::Closed)?;
    channel.report(data, Vmpl::Vmpl0, None, PATIENCE_AT_BOOT)
}

/// A report about the SVSM; `None` if it isn't one about this request.
pub(super) fn report(data: &[u8; 64]) -> Result<Option<AttestationReport>, ChannelError> {
    let bytes = report_bytes(data)?;
    let report = AttestationReport::read_from_bytes(bytes.as_slice()).ok();
    Ok(report.filter(|report| report.report_data == *data))
}

/// The firmware, for the attestation protocol.
pub(super) fn port() -> Box<dyn Firmware + Send> {
    Box::new(Reporter)
}

struct Reporter;

impl Firmware for Reporter {
    fn report(
        &mut self,
        report_data: &[u8; 64],
        with_certificates: bool,
    ) -> Result<Evidence, FirmwareFault> {
        let mut room = match with_certificates {
            true => Some(zeroed_room().ok_or(FirmwareFault::Failed)?),
            false => None,
        };
        let mut firmware = FIRMWARE.lock();
        let channel = firmware.as_mut().ok_or(FirmwareFault::Failed)?;
        let report =
            channel.report(report_data, Vmpl::Vmpl0, room.as_deref_mut(), PATIENCE_IN_CALL);
        let report = report.map_err(|error| match error {
            ChannelError::Busy => FirmwareFault::Busy,
            error => {
                crate::warning!("report: {error:?}");
                FirmwareFault::Failed
            }
        })?;
        let mut certificates = room.map(|room| Vec::from(room as Box<[u8]>)).unwrap_or_default();
        certificates.truncate(table_length(&certificates));
        Ok(Evidence { report, certificates })
    }
}

/// Bytes of the host's table; 0 when it has none, or one that isn't well-formed.
fn table_length(bytes: &[u8]) -> usize {
    certificates::length(bytes).unwrap_or_else(|error| {
        crate::warning!("certificates: {error:?}");
        0
    })
}

fn zeroed_room() -> Option<Box<[u8; CERTIFICATES_MAX]>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(CERTIFICATES_MAX).ok()?;
    bytes.resize(CERTIFICATES_MAX, 0);
    bytes.into_boxed_slice().try_into().ok()
}

/// Bytes as hexadecimal digits.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl core::fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}
