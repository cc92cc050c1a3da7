// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the SVSM says of its vTPM: the manifest of the vTPM service, versions 0 and 1, and the one
//! of all services (AMD 58019, chapter 7). Layout of version 1: [`snp_abi::manifest`].

use snp_abi::{
    launch::Digest,
    manifest::{self as layout, ManifestError},
    svsm::{ManifestEntry, ManifestHeader, SERVICES_MANIFEST_GUID, VTPM_SERVICE_GUID},
};
use zerocopy::FromBytes;

use crate::{
    public_area::{PublicArea, attribute},
    verdict::{Reason, Refused},
};

pub use layout::{Firmware, Freshness as FreshnessRoot, State, StateBinding, VtpmOptions};

/// Most services of a manifest.
const SERVICES_MAX: u32 = 32;

/// What a manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The vTPM's endorsement keys.
    pub endorsement_keys: Vec<PublicArea>,
    /// What only version 1 says.
    pub details: Option<Details>,
}

/// What version 1 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Details {
    /// Which program the vTPM is.
    pub firmware: Firmware,
    /// What becomes of its state.
    pub state: State,
    /// SHA-384 of the launch event log.
    pub event_log: Digest,
}

impl Manifest {
    /// Reads a manifest that was asked for in this version: of the vTPM alone, or, in version 0, of
    /// all services.
    ///
    /// # Errors
    /// [`Reason::ManifestMalformed`], [`Reason::ManifestVersion`], [`Reason::ManifestService`],
    /// [`Reason::EkMalformed`].
    pub fn parse(bytes: &[u8], version: u32) -> Result<Self, Refused> {
        match version {
            0 if bytes.starts_with(&SERVICES_MANIFEST_GUID) => {
                Self::parse_bare(vtpm_service(bytes)?)
            }
            0 => Self::parse_bare(bytes),
            1 => Self::parse_version_1(bytes),
            other => {
                let detail = format!("version {other}; 0 and 1 are known");
                Err(Refused::new(Reason::ManifestVersion, detail))
            }
        }
    }

    /// Version 0: the bare TPMT_PUBLIC.
    fn parse_bare(bytes: &[u8]) -> Result<Self, Refused> {
        Ok(Self { endorsement_keys: vec![parse_key(bytes)?], details: None })
    }

    fn parse_version_1(bytes: &[u8]) -> Result<Self, Refused> {
        let manifest = layout::Manifest::parse(bytes).map_err(|error| match error {
            ManifestError::Version(_) => {
                Refused::new(Reason::ManifestVersion, format!("{error:?}"))
            }
            other => Refused::new(Reason::ManifestMalformed, format!("{other:?}")),
        })?;
        let keys: Result<Vec<PublicArea>, Refused> =
            manifest.endorsement_keys().iter().map(|key| parse_key(key)).collect();
        Ok(Self {
            endorsement_keys: keys?,
            details: Some(Details {
                firmware: manifest.firmware,
                state: manifest.state,
                event_log: manifest.event_log,
            }),
        })
    }

    /// The endorsement key that the agent says it used; what can be believed of it is that it is
    /// one of the vTPM's, and fit for the purpose.
    ///
    /// # Errors
    /// [`Reason::ManifestKey`], [`Reason::EkAttributes`].
    pub fn endorsement_key(&self, public: &[u8]) -> Result<&PublicArea, Refused> {
        let kinds: Vec<String> = self.endorsement_keys.iter().map(PublicArea::kind).collect();
        let key = PublicArea::parse_either(public)
            .and_then(|wanted| self.endorsement_keys.iter().find(|key| **key == wanted));
        let key = key.ok_or_else(|| {
            let detail = format!("not among the manifest's keys: {}", kinds.join(", "));
            Refused::new(Reason::ManifestKey, detail)
        })?;
        check_attributes(key)?;
        Ok(key)
    }

    /// For people.
    #[must_use]
    pub fn summary(&self) -> String {
        let kinds: Vec<String> = self.endorsement_keys.iter().map(PublicArea::kind).collect();
        let kinds = kinds.join(", ");
        match self.details {
            None => format!("version 0: endorsement key {kinds}"),
            Some(Details { firmware, .. }) => {
                let name = String::from_utf8_lossy(&firmware.vendor_string);
                let name = name.trim_end_matches('\0').escape_debug().to_string();
                let (major, minor) = (firmware.version >> 48, firmware.version >> 32 & 0xffff);
                let options = options_text(firmware.options);
                format!("version 1: {name} {major}.{minor}{options}, endorsement keys {kinds}")
            }
        }
    }
}

/// What of a vTPM's options isn't about its state, each part behind a comma.
fn options_text(options: VtpmOptions) -> String {
    let mut text = String::new();
    if options.contains(VtpmOptions::SERVICE_VCPU) {
        text.push_str(", a vCPU of its own");
    }
    let unknown = options.difference(VtpmOptions::all()).bits();
    if unknown != 0 {
        text.push_str(&format!(", unknown options {unknown:#x}"));
    }
    text
}

fn parse_key(bytes: &[u8]) -> Result<PublicArea, Refused> {
    PublicArea::parse(bytes).ok_or_else(|| {
        Refused::new(Reason::EkMalformed, "the endorsement key is no TPMT_PUBLIC of a known kind")
    })
}

/// A key that unwraps credentials for its own TPM and does nothing else (TCG EK Credential Profile,
/// B.3).
fn check_attributes(key: &PublicArea) -> Result<(), Refused> {
    const SET: u32 = attribute::FIXED_TPM
        | attribute::FIXED_PARENT
        | attribute::SENSITIVE_DATA_ORIGIN
        | attribute::RESTRICTED
        | attribute::DECRYPT;
    if key.has(SET, attribute::SIGN) && key.symmetric_bits.is_some() {
        return Ok(());
    }
    let detail = format!("attributes {:#010x}", key.attributes);
    Err(Refused::new(Reason::EkAttributes, detail))
}

/// The vTPM's part of the manifest of all services.
fn vtpm_service(bytes: &[u8]) -> Result<&[u8], Refused> {
    let malformed = || Refused::new(Reason::ManifestMalformed, "the table of services");
    let (header, mut rest) = ManifestHeader::read_from_prefix(bytes).map_err(|_| malformed())?;
    if usize::try_from(header.total_length) != Ok(bytes.len()) || header.count > SERVICES_MAX {
        return Err(malformed());
    }
    let mut found = None;
    for _ in 0..header.count {
        let (entry, behind) = ManifestEntry::read_from_prefix(rest).map_err(|_| malformed())?;
        let data = service_data(bytes, &entry).ok_or_else(malformed)?;
        if entry.guid == VTPM_SERVICE_GUID && found.replace(data).is_some() {
            return Err(malformed());
        }
        rest = behind;
    }
    found.ok_or_else(|| Refused::new(Reason::ManifestService, "no vTPM among the services"))
}

fn service_data<'bytes>(bytes: &'bytes [u8], entry: &ManifestEntry) -> Option<&'bytes [u8]> {
    let start = usize::try_from(entry.offset).ok()?;
    bytes.get(start..)?.get(..usize::try_from(entry.length).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::public_area::tests::ecc_area;

    fn reason<T: std::fmt::Debug>(result: Result<T, Refused>) -> Option<Reason> {
        result.err().map(|refused| refused.reason)
    }

    /// An endorsement key with these attributes.
    fn key(attributes: u32) -> Vec<u8> {
        ecc_area(0x10, &[0, 6, 0, 128, 0, 0x43], attributes)
    }

    fn services(guid: [u8; 16], data: &[u8]) -> Vec<u8> {
        let mut bytes = SERVICES_MANIFEST_GUID.to_vec();
        let length = u32::try_from(48 + data.len()).expect("short");
        bytes.extend(length.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(guid);
        bytes.extend(48_u32.to_le_bytes());
        bytes.extend((length - 48).to_le_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn unknown_versions_are_named() {
        assert_eq!(reason(Manifest::parse(&key(0), 2)), Some(Reason::ManifestVersion));
        assert_eq!(reason(Manifest::parse(&key(0), 1)), Some(Reason::ManifestMalformed));
        assert_eq!(reason(Manifest::parse(b"", 0)), Some(Reason::EkMalformed));
    }

    #[test]
    fn tables_of_services_that_lie_are_refused() {
        let good = services(VTPM_SERVICE_GUID, &key(0));
        assert!(Manifest::parse(&good, 0).is_ok());
        for (place, value) in [(16, 0), (20, 2), (20, 255), (40, 200), (44, 0xff)] {
            let mut bad = good.clone();
            bad[place] = value;
            let found = reason(Manifest::parse(&bad, 0));
            assert_eq!(found, Some(Reason::ManifestMalformed), "{place}");
        }
        let other = services([1; 16], &key(0));
        assert_eq!(reason(Manifest::parse(&other, 0)), Some(Reason::ManifestService));
        let cut = reason(Manifest::parse(&good[..20], 0));
        assert_eq!(cut, Some(Reason::ManifestMalformed));
    }

    #[test]
    fn a_key_that_could_do_more_is_refused() {
        let endorsement = 0x0003_00b2;
        let found = |attributes| {
            let manifest = Manifest::parse(&key(attributes), 0).expect("a good key");
            reason(manifest.endorsement_key(&key(attributes)).cloned())
        };
        assert_eq!(found(endorsement), None);
        for bit in [
            attribute::FIXED_TPM,
            attribute::FIXED_PARENT,
            attribute::SENSITIVE_DATA_ORIGIN,
            attribute::RESTRICTED,
            attribute::DECRYPT,
            attribute::SIGN,
        ] {
            assert_eq!(found(endorsement ^ bit), Some(Reason::EkAttributes), "{bit:#x}");
        }
        let manifest = Manifest::parse(&key(endorsement), 0).expect("a good key");
        let other = manifest.endorsement_key(&key(endorsement | 1));
        assert_eq!(reason(other.cloned()), Some(Reason::ManifestKey));
    }
}
