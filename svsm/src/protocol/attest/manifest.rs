// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the SVSM says of its services: the vTPM is the only one that says anything.

use super::super::Services;
use super::super::outcome::Refusal;
use super::operation::Subject;
use snp_abi::manifest::MANIFEST_BYTES_MAX;
use snp_abi::svsm::{ManifestEntry, ManifestHeader, SERVICES_MANIFEST_GUID, VTPM_SERVICE_GUID};
use zerocopy::IntoBytes;

/// Bytes before the services' own manifests.
const TABLE_BYTES: usize = size_of::<ManifestHeader>() + size_of::<ManifestEntry>();
/// Bytes of the longest manifest.
pub(super) const MANIFEST_MAX: usize = TABLE_BYTES + MANIFEST_BYTES_MAX;
/// The version in the table of all services.
const TABLE_VERSION: u32 = 0;

/// Why a service has no manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestFault {
    /// The service doesn't have this version.
    Version,
    /// Its keys are not there yet: ask again.
    NotReady,
    /// The service has failed.
    Failed,
}

impl From<ManifestFault> for Refusal {
    fn from(fault: ManifestFault) -> Self {
        match fault {
            ManifestFault::Version => Self::InvalidParameter,
            ManifestFault::NotReady => Self::Busy,
            ManifestFault::Failed => Self::InvalidRequest,
        }
    }
}

/// Writes the manifest; its length.
pub(super) fn write(
    services: &Services,
    subject: Subject,
    buffer: &mut [u8; MANIFEST_MAX],
) -> Result<usize, Refusal> {
    match subject {
        Subject::Service(VTPM_SERVICE_GUID, version) => vtpm(services, version, buffer),
        Subject::Service(..) => Err(Refusal::InvalidParameter),
        Subject::Services => {
            let (table, data) = buffer.split_at_mut(TABLE_BYTES);
            let length = vtpm(services, TABLE_VERSION, data)?;
            write_table(table, length).ok_or(Refusal::InvalidRequest)
        }
    }
}

fn vtpm(services: &Services, version: u32, buffer: &mut [u8]) -> Result<usize, Refusal> {
    let mut port = services.vtpm()?;
    let port = port.as_mut().ok_or(Refusal::UnsupportedProtocol)?;
    Ok(port.manifest(version, buffer)?)
}

/// The table in front of `length` bytes; the length of both.
fn write_table(table: &mut [u8], length: usize) -> Option<usize> {
    let total = TABLE_BYTES.checked_add(length)?;
    let header = ManifestHeader {
        guid: SERVICES_MANIFEST_GUID,
        total_length: u32::try_from(total).ok()?,
        count: 1,
    };
    let entry = ManifestEntry {
        guid: VTPM_SERVICE_GUID,
        offset: u32::try_from(TABLE_BYTES).ok()?,
        length: u32::try_from(length).ok()?,
    };
    let (front, back) = table.split_at_mut_checked(size_of::<ManifestHeader>())?;
    front.copy_from_slice(header.as_bytes());
    back.copy_from_slice(entry.as_bytes());
    Some(total)
}
