// SPDX-License-Identifier: MIT OR Apache-2.0
//! Collects everything, and writes it as one JSON object with hexadecimal byte strings
//! (docs/attestation.md, "Evidence").

use std::{fmt, io};

use crate::{
    certificate,
    command::{Tpm, TpmError},
    endorsement::EkKind,
    kernel::{Report, Reports, Service},
    keys::{self, AttestationKey, EndorsementKey, Selection},
};

/// TPM_ALG_SHA256 and its name: the quoted bank.
const BANK: (u16, &str) = (0x000b, "sha256");
/// PCRs 0 to 9: what the SVSM measures into, and what nothing may be in.
const REGISTERS: u32 = 0x3ff;

/// What to collect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// From the relying party.
    pub nonce: [u8; 64],
    /// Which manifest.
    pub service: Service,
    /// Which endorsement key.
    pub ek: EkKind,
}

/// What was collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// The evidence.
    pub json: String,
    /// The key that quoted.
    pub key: AttestationKey,
}

/// Why there is no evidence.
#[derive(Debug)]
pub enum CollectError {
    /// No report.
    Report(io::Error),
    /// The TPM.
    Tpm(TpmError),
}

impl fmt::Display for CollectError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Report(error) => write!(formatter, "no report from the SVSM: {error}"),
            Self::Tpm(error) => write!(formatter, "{error}"),
        }
    }
}

impl std::error::Error for CollectError {}

impl From<TpmError> for CollectError {
    fn from(error: TpmError) -> Self {
        Self::Tpm(error)
    }
}

/// Collects the evidence for a request.
///
/// # Errors
/// See [`CollectError`].
pub fn collect(
    tpm: &mut dyn Tpm,
    reports: &mut dyn Reports,
    event_log: &[u8],
    request: &Request,
) -> Result<Collected, CollectError> {
    let report = reports.report(&request.nonce, request.service).map_err(CollectError::Report)?;
    let ek = EndorsementKey::create(tpm, request.ek)?;
    let key = AttestationKey::create(tpm, &ek)?;
    let selection = Selection { bank: BANK.0, registers: REGISTERS };
    let quote = key.quote(tpm, &ek, &request.nonce, selection)?;
    let registers = keys::read_registers(tpm, selection)?;
    let ek_certificate = certificate::read(tpm, request.ek)?;

    let Report { report, certificates, manifest } = report;
    let mut json = String::from("{\"format\":\"macadamia-evidence\",\"version\":1");
    let version = match request.service {
        Service::All => 0,
        Service::Vtpm(version) => version,
    };
    json.push_str(&format!(",\"manifest_version\":{version}"));
    for (name, bytes) in [
        ("report", &report),
        ("certificates", &certificates),
        ("manifest", &manifest),
        ("ek_public", &ek.public),
        ("ak_public", &key.public),
        ("quote", &quote.attest),
        ("signature", &quote.signature),
        ("event_log", &event_log.to_vec()),
        ("ek_certificate", &ek_certificate),
    ] {
        json.push_str(&format!(",\"{name}\":\"{}\"", hex::encode(bytes)));
    }
    let registers: Vec<String> = registers
        .iter()
        .map(|(number, value)| format!("\"{number}\":\"{}\"", hex::encode(value)))
        .collect();
    json.push_str(&format!(",\"pcrs\":{{\"{}\":{{{}}}}}}}\n", BANK.1, registers.join(",")));
    ek.flush(tpm)?;
    Ok(Collected { json, key })
}

/// Opens a credential for a key that was collected with.
///
/// # Errors
/// See [`TpmError`].
pub fn activate(
    tpm: &mut dyn Tpm,
    key: &AttestationKey,
    credential: &[u8],
) -> Result<Vec<u8>, TpmError> {
    let ek = EndorsementKey::create(tpm, key.parent)?;
    let secret = key.activate(tpm, &ek, credential);
    ek.flush(tpm)?;
    secret
}
