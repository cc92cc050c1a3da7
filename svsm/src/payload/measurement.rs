// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measuring into the vTPM before the guest runs, by the TPM's own commands: TPM2_Startup, then
//! TPM2_PCR_Event (TPM 2.0 part 3), which hashes the event data into every bank and returns the
//! digests for the log.
//!
//! PCRs as in the TCG PC Client Platform Firmware Profile, 3.3.4: 0 the SVSM itself, 1 its
//! configuration and the host's tables, 4 the kernel, 9 command line and initial RAM disk (where
//! Linux' own EFI start-up code puts them), separators in 0 to 7 before the kernel.

use super::PayloadError;
use super::event_log::{BankDigest, EventLog, EventType};
use super::files::FileRecord;
use crate::protocol::vtpm::Engine;
use alloc::vec::Vec;
use sha2::{Digest as _, Sha384};
use snp_abi::config::LaunchConfig;
pub(super) use snp_abi::measurement::Subject;
use zerocopy::IntoBytes;

/// What is measured into PCR 0: the name and version of this program.
const VERSION: &str = concat!("Macadamia-SVSM ", env!("CARGO_PKG_VERSION"));

/// What a TPM in failure mode answers (TPM 2.0 part 2, 6.6.3).
const TPM_RC_FAILURE: u32 = 0x101;

/// The TPM refused, or its answer wasn't one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeasurementError {
    /// A response code other than success.
    Refused(u32),
    /// The response's structure is wrong.
    Malformed,
    /// The log is full.
    LogFull,
}

impl From<MeasurementError> for PayloadError {
    fn from(error: MeasurementError) -> Self {
        Self::Measurement(error)
    }
}

/// The vTPM before the guest, and the log of what it took.
pub(super) struct Measurements<'a> {
    tpm: &'a mut (dyn Engine + Send),
    log: EventLog,
    /// The TPM is in failure mode: nothing is measured.
    has_failed: bool,
}

impl<'a> Measurements<'a> {
    /// Starts the TPM, as a platform's firmware does. One in failure mode is no reason not to start
    /// the guest: it quotes nothing, so nobody takes the guest for a measured one.
    pub(super) fn start(tpm: &'a mut (dyn Engine + Send)) -> Result<Self, PayloadError> {
        /// TPM2_Startup(TPM_SU_CLEAR).
        const STARTUP: [u8; 12] = [0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0];
        let mut response = [0; 64];
        let has_failed = match check(execute(tpm, &STARTUP, &mut response)) {
            Ok(()) => false,
            Err(MeasurementError::Refused(TPM_RC_FAILURE)) => {
                crate::error!("payload: not measured, since the TPM is in failure mode");
                true
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self { tpm, log: EventLog::new(), has_failed })
    }

    /// The log so far.
    pub(super) fn log(&self) -> &EventLog {
        &self.log
    }

    /// Ends it: from here on the log is whole, and the TPM answers for it.
    pub(super) fn finish(self) {
        self.tpm.set_launch_log(Sha384::digest(self.log.bytes()).into());
    }

    /// Measures the SVSM's version and its launch configuration.
    pub(super) fn measure_svsm(&mut self, config: &LaunchConfig) -> Result<(), PayloadError> {
        let mut version: Vec<u8> = VERSION.encode_utf16().flat_map(u16::to_le_bytes).collect();
        version.extend([0, 0]);
        self.event(0, EventType::CrtmVersion, &version)?;
        let page = config.to_page();
        let record = FileRecord {
            length: page.as_bytes().len() as u64,
            digest: Sha384::digest(page.as_bytes()).into(),
        };
        self.measure_file(Subject::LaunchConfig, &record)
    }

    /// Ends what the platform measures about itself: a separator in each of PCR 0 to 7.
    pub(super) fn separate(&mut self) -> Result<(), PayloadError> {
        (0..8).try_for_each(|pcr| self.event(pcr, EventType::Separator, &[0; 4]))
    }

    /// Measures a file: its length and SHA-384.
    pub(super) fn measure_file(
        &mut self,
        subject: Subject,
        file: &FileRecord,
    ) -> Result<(), PayloadError> {
        // TCG_PCClientTaggedEvent: ID, size, data.
        let mut data = Vec::from((subject as u32).to_le_bytes());
        data.extend(56_u32.to_le_bytes());
        data.extend(file.length.to_le_bytes());
        data.extend(file.digest);
        self.event(subject.pcr(), EventType::Tag, &data)
    }

    fn event(&mut self, pcr: u32, kind: EventType, data: &[u8]) -> Result<(), PayloadError> {
        if self.has_failed {
            return Ok(());
        }
        let mut response = [0; 512];
        let response = execute(self.tpm, &pcr_event_command(pcr, data), &mut response);
        check(response)?;
        let digests = parse_digests(response).ok_or(MeasurementError::Malformed)?;
        self.log.append(pcr, kind, &digests, data).map_err(|_| MeasurementError::LogFull.into())
    }
}

fn execute<'r>(tpm: &mut (dyn Engine + Send), command: &[u8], response: &'r mut [u8]) -> &'r [u8] {
    let length = tpm.execute(0, command, response);
    response.get(..length).unwrap_or_default()
}

/// TPM2_PCR_Event with an empty password for the PCR.
fn pcr_event_command(pcr: u32, data: &[u8]) -> Vec<u8> {
    /// Size of the authorisation area; TPM_RS_PW, no nonce, no attributes, no password.
    const AUTHORISATION: [u8; 13] = [0, 0, 0, 9, 0x40, 0, 0, 0x09, 0, 0, 0, 0, 0];
    let mut command = Vec::from([0x80, 0x02, 0, 0, 0, 0, 0, 0, 0x01, 0x3c]);
    command.extend(pcr.to_be_bytes());
    command.extend(AUTHORISATION);
    command.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
    command.extend(data);
    let size = u32::try_from(command.len()).unwrap_or(u32::MAX);
    if let Some(place) = command.get_mut(2..6) {
        place.copy_from_slice(&size.to_be_bytes());
    }
    command
}

/// Checks a response's header.
fn check(response: &[u8]) -> Result<(), MeasurementError> {
    let [_, _, s0, s1, s2, s3, c0, c1, c2, c3, ..] = *response else {
        return Err(MeasurementError::Malformed);
    };
    if usize::try_from(u32::from_be_bytes([s0, s1, s2, s3])) != Ok(response.len()) {
        return Err(MeasurementError::Malformed);
    }
    match u32::from_be_bytes([c0, c1, c2, c3]) {
        0 => Ok(()),
        code => Err(MeasurementError::Refused(code)),
    }
}

/// The digests of a response to TPM2_PCR_Event: header, parameterSize, TPML_DIGEST_VALUES,
/// authorisation.
fn parse_digests(response: &[u8]) -> Option<Vec<BankDigest<'_>>> {
    /// More banks than any TPM has.
    const BANKS_MAX: u32 = 16;
    let (_, rest) = response.split_at_checked(14)?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let count = u32::from_be_bytes(*count);
    if count == 0 || count > BANKS_MAX {
        return None;
    }
    let mut digests = Vec::new();
    for _ in 0..count {
        let (algorithm, behind) = rest.split_first_chunk::<2>()?;
        let algorithm = u16::from_be_bytes(*algorithm);
        let (digest, behind) = behind.split_at_checked(digest_bytes(algorithm)?)?;
        digests.push(BankDigest { algorithm, digest });
        rest = behind;
    }
    Some(digests)
}

/// Digest size of a TPM_ALG_ID (TCG Algorithm Registry).
const fn digest_bytes(algorithm: u16) -> Option<usize> {
    match algorithm {
        0x0004 => Some(20),
        0x000b | 0x0012 | 0x0027 => Some(32),
        0x000c | 0x0028 => Some(48),
        0x000d | 0x0029 => Some(64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_responses_are_not_success() {
        let error = [0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1];
        assert_eq!(check(&error), Err(MeasurementError::Refused(0x101)));
        assert_eq!(check(&error[..9]), Err(MeasurementError::Malformed));
        assert_eq!(check(&[]), Err(MeasurementError::Malformed));
        let long = [0x80, 1, 0, 0, 0, 11, 0, 0, 0, 0];
        assert_eq!(check(&long), Err(MeasurementError::Malformed));
    }

    #[test]
    fn digests_that_are_cut_off_or_unknown_are_refused() {
        let mut response = vec![0; 14];
        response.extend([0, 0, 0, 1, 0, 0x0b]);
        response.extend([7; 32]);
        assert_eq!(parse_digests(&response).map(|digests| digests.len()), Some(1));
        assert_eq!(parse_digests(&response[..51]), None);
        response[19] = 0x0a;
        assert_eq!(parse_digests(&response), None);
        response[17] = 0;
        assert_eq!(parse_digests(&response), None);
        response[17] = 17;
        assert_eq!(parse_digests(&response), None);
    }

    #[test]
    fn the_command_is_the_tpms() {
        let expected = [
            0x80, 2, 0, 0, 0, 31, 0, 0, 1, 0x3c, 0, 0, 0, 9, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0,
            0, 0, 2, 0xaa, 0xbb,
        ];
        assert_eq!(pcr_event_command(9, &[0xaa, 0xbb]), expected);
    }
}
