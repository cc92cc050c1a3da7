// SPDX-License-Identifier: MIT OR Apache-2.0
//! Has the `sev` crate, which VirTEE's tools are made of, check a guest's report.
//!
//! ```text
//! cross-check-sev FOLDER            what `make attest` left there: structure and signature
//! cross-check-sev --samples FOLDER  a real chip's report, from the crate's own copy of AMD's root
//! ```
//!
//! The crate's chains are RSA's alone, so that the emulated machine's chain is for evidence.py.
#![forbid(unsafe_code)]

use sev::{
    certs::snp::{Certificate, Chain, Verifiable, builtin::milan, ca},
    firmware::guest::AttestationReport,
    parser::ByteParser,
};
use std::{error::Error, fs, path::Path, process::ExitCode};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// 63da758d-e664-4564-adc5-f4b93be8accd: the VCEK's entry in the table of certificates.
const VCEK_GUID: [u8; 16] = [
    0x8d, 0x75, 0xda, 0x63, 0x64, 0xe6, 0x64, 0x45, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd,
];
/// Bytes of a report that are signed, and where the signature's scalars begin.
const SIGNED_BYTES: usize = 0x2a0;
const SCALARS: [usize; 2] = [SIGNED_BYTES, SIGNED_BYTES + 72];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--samples", folder] => samples(Path::new(folder)),
        [folder] => machine(Path::new(folder)),
        _ => Err("usage: cross-check-sev [--samples] FOLDER".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cross-check-sev: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The report of the emulated machine, by the key in the VCEK that came with it.
fn machine(folder: &Path) -> Outcome<()> {
    let bytes = fs::read(folder.join("report.bin"))?;
    let table = fs::read(folder.join("certificates.bin"))?;
    let vcek = entry(&table, &VCEK_GUID).ok_or("no VCEK in the table")?;
    let vcek = Certificate::from_der(vcek)?;
    let report = check(&bytes, &|report| (&vcek, report).verify())?;
    if report.vmpl != 0 || report.policy.debug_allowed() || report.key_info.signing_key() != 0 {
        return Err(format!("another kind of report: {report}").into());
    }
    Ok(())
}

/// A Milan's report, by the whole chain.
fn samples(folder: &Path) -> Outcome<()> {
    let read = |name: &str| -> Outcome<Vec<u8>> {
        let text: String = fs::read_to_string(folder.join(name))?.split_whitespace().collect();
        Ok(hex::decode(text)?)
    };
    let chain = Chain {
        ca: ca::Chain { ark: milan::ark()?, ask: milan::ask()? },
        vek: Certificate::from_der(&read("milan-vcek.txt")?)?,
    };
    check(&read("milan-report.txt")?, &|report| (&chain, report).verify()).map(drop)
}

/// Whether the report is believed, and every copy with a changed byte is not.
fn check(
    bytes: &[u8],
    verify: &dyn Fn(&AttestationReport) -> std::io::Result<()>,
) -> Outcome<AttestationReport> {
    let report = AttestationReport::from_bytes(bytes)?;
    verify(&report)?;
    if report.to_bytes()?.as_slice() != bytes {
        return Err("the crate reads the report as another one".into());
    }
    let mut refused = 0;
    for place in (0..SIGNED_BYTES).step_by(8).chain(SCALARS) {
        let mut changed = bytes.to_vec();
        if let Some(byte) = changed.get_mut(place) {
            *byte ^= 1;
        }
        if AttestationReport::from_bytes(&changed).is_ok_and(|report| verify(&report).is_ok()) {
            return Err(format!("believed with another byte at {place:#x}").into());
        }
        refused += 1;
    }
    let digest = hex::encode(report.measurement);
    println!("sev: version {}, VMPL{}, digest {digest}", report.version, report.vmpl);
    println!("sev: and {refused} changed copies are refused");
    Ok(report)
}

/// A certificate of the table of an extended guest request (AMD 56421, 4.1.8.1).
fn entry<'table>(table: &'table [u8], guid: &[u8; 16]) -> Option<&'table [u8]> {
    let number = |bytes: &[u8]| Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize);
    let found = table.chunks_exact(24).take_while(|entry| entry.iter().any(|byte| *byte != 0));
    let entry = found.into_iter().find(|entry| entry.starts_with(guid))?;
    let (offset, length) = (number(entry.get(16..20)?)?, number(entry.get(20..24)?)?);
    table.get(offset..)?.get(..length)
}
