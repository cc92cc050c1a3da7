// SPDX-License-Identifier: MIT OR Apache-2.0
//! The channel to the platform's firmware under VMPCK0, which only the SVSM has.

use crate::boot::launch::Secrets;
use crate::snp::firmware_mailbox::FirmwareMailbox;
use crate::snp::guest_request::{ChannelError, FirmwareChannel};
use crate::snp::termination::Reason;
use snp_abi::Vmpl;
use snp_abi::report::AttestationReport;
use spin::Mutex;
use zerocopy::FromBytes;

/// How often a throttled message is sent while nobody waits for the guest yet.
const PATIENCE_AT_BOOT: u32 = 40;

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

fn report(data: &[u8; 64]) -> Result<Option<AttestationReport>, ChannelError> {
    let mut firmware = FIRMWARE.lock();
    let channel = firmware.as_mut().ok_or(ChannelError::Closed)?;
    let bytes = channel.report(data, Vmpl::Vmpl0, PATIENCE_AT_BOOT)?;
    let report = AttestationReport::read_from_bytes(bytes.as_slice()).ok();
    Ok(report.filter(|report| report.report_data == *data))
}

struct Hex<'a>(&'a [u8]);

impl core::fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}
