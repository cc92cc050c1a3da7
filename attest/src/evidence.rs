// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the agent in the guest sends: a JSON object. Nothing in it is believed for being there.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    hash::Hash,
    quote::PcrValues,
    verdict::{Reason, Refused},
};

/// Bytes of the longest file that is read.
const FILE_BYTES_MAX: usize = 8 << 20;
/// The format's name and version.
const FORMAT: (&str, u32) = ("macadamia-evidence", 1);

/// The file as it stands: byte strings are hexadecimal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    version: u32,
    report: String,
    certificates: String,
    manifest: String,
    manifest_version: u32,
    ek_public: String,
    ak_public: String,
    quote: String,
    signature: String,
    event_log: String,
    #[serde(default)]
    ek_certificate: String,
    #[serde(default)]
    pcrs: BTreeMap<String, BTreeMap<u32, String>>,
}

/// What the agent sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The attestation report.
    pub report: Vec<u8>,
    /// The table of certificates of an extended guest request; empty when the host gave none.
    pub certificates: Vec<u8>,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// The manifest's version as it was asked for.
    pub manifest_version: u32,
    /// The endorsement key that the agent used, to find it in the manifest.
    pub ek_public: Vec<u8>,
    /// The attestation key's TPMT_PUBLIC or TPM2B_PUBLIC.
    pub ak_public: Vec<u8>,
    /// TPMS_ATTEST.
    pub quote: Vec<u8>,
    /// TPMT_SIGNATURE.
    pub signature: Vec<u8>,
    /// The event log.
    pub event_log: Vec<u8>,
    /// The endorsement key's certificate in DER; empty when the TPM has none.
    pub ek_certificate: Vec<u8>,
    /// PCR values, to see which one differs; may be empty.
    pub pcrs: PcrValues,
}

impl Evidence {
    /// Reads the file.
    ///
    /// # Errors
    /// [`Reason::EvidenceMalformed`].
    pub fn parse(json: &[u8]) -> Result<Self, Refused> {
        if json.len() > FILE_BYTES_MAX {
            return Err(malformed("too long"));
        }
        let file: File =
            serde_json::from_slice(json).map_err(|error| malformed(&error.to_string()))?;
        if (file.format.as_str(), file.version) != FORMAT {
            return Err(malformed("another format or version"));
        }
        let bytes = |name: &str, text: &str| {
            hex::decode(text).map_err(|error| malformed(&format!("{name}: {error}")))
        };
        Ok(Self {
            report: bytes("report", &file.report)?,
            certificates: bytes("certificates", &file.certificates)?,
            manifest: bytes("manifest", &file.manifest)?,
            manifest_version: file.manifest_version,
            ek_public: bytes("ek_public", &file.ek_public)?,
            ak_public: bytes("ak_public", &file.ak_public)?,
            quote: bytes("quote", &file.quote)?,
            signature: bytes("signature", &file.signature)?,
            event_log: bytes("event_log", &file.event_log)?,
            ek_certificate: bytes("ek_certificate", &file.ek_certificate)?,
            pcrs: pcr_values(&file.pcrs)?,
        })
    }
}

fn pcr_values(banks: &BTreeMap<String, BTreeMap<u32, String>>) -> Result<PcrValues, Refused> {
    let mut values = PcrValues::new();
    for (name, registers) in banks {
        let bank = Hash::ALL.into_iter().find(|hash| hash.name() == name);
        let bank = bank.ok_or_else(|| malformed("an unknown bank"))?;
        for (number, value) in registers {
            let value = hex::decode(value).map_err(|error| malformed(&error.to_string()))?;
            values.entry(bank).or_default().insert(*number, value);
        }
    }
    Ok(values)
}

fn malformed(what: &str) -> Refused {
    Refused::new(Reason::EvidenceMalformed, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"format": "macadamia-evidence", "version": 1, "report": "00",
        "certificates": "", "manifest": "01", "manifest_version": 0, "ek_public": "",
        "ak_public": "02", "quote": "03", "signature": "04", "event_log": "05",
        "pcrs": {"sha256": {"4": "aa"}}}"#;

    #[test]
    fn files_of_another_form_are_refused() {
        for (from, to) in [
            ("macadamia-evidence", "evidence"),
            ("\"version\": 1", "\"version\": 2"),
            ("\"report\": \"00\"", "\"report\": \"0\""),
            ("\"report\": \"00\"", "\"report\": 0"),
            ("\"report\": \"00\",", ""),
            ("\"sha256\"", "\"md5\""),
            ("\"aa\"", "\"a\""),
            ("\"pcrs\"", "\"registers\""),
            ("}}}", "}}"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{from}");
            let refused = Evidence::parse(text.as_bytes()).err();
            assert_eq!(refused.map(|refused| refused.reason), Some(Reason::EvidenceMalformed));
        }
    }

    #[test]
    fn a_good_file_is_read() {
        let evidence = Evidence::parse(GOOD.as_bytes()).expect("a good file");
        assert_eq!(evidence.signature, [4]);
        assert_eq!(evidence.pcrs[&Hash::Sha256][&4], [0xaa]);
    }
}
