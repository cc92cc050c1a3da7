// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real hardware: AMD's chains, and the report of a chip. attest/samples/README.md says where they
//! are from.

use snp_abi::certificates::{ARK_GUID, ASK_GUID, TableEntry, VCEK_GUID};
use zerocopy::IntoBytes;

use crate::{
    Reason, Reference, Refused,
    chain::{Chain, Chip, ParsedChain, Roots},
    report,
    verdict::Reason::{
        AskSignature, CertificateMalformed, ReportSignature, RootSignature, VcekChip,
        VcekSignature, VcekTcb,
    },
};

const MILAN: &[u8] = include_bytes!("../../samples/milan-chain.txt");
const TURIN: &[u8] = include_bytes!("../../samples/turin-chain.txt");
const GENOA: &[u8] = include_bytes!("../../samples/genoa-chain.txt");
const MILAN_VCEK: &str = include_str!("../../samples/milan-vcek.txt");
const TURIN_VCEK: &str = include_str!("../../samples/turin-vcek.txt");
const MILAN_REPORT: &str = include_str!("../../samples/milan-report.txt");
/// Some day in 2026.
const TIME_S: u64 = 1_790_000_000;

fn bytes(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    hex::decode(digits).expect("hexadecimal")
}

fn milan() -> Chain {
    Chain::from_files(&bytes(MILAN_VCEK), MILAN).expect("two certificates")
}

fn turin() -> Chain {
    Chain::from_files(&bytes(TURIN_VCEK), TURIN).expect("two certificates")
}

fn check(chain: &Chain) -> Result<(String, Chip), Refused> {
    let parsed = ParsedChain::parse(chain)?;
    let root = parsed.check_root(&Roots::default())?;
    parsed.check_links(TIME_S)?;
    Ok((root, parsed.chip()?))
}

fn reason<T>(result: Result<T, Refused>) -> Option<Reason> {
    result.err().map(|refused| refused.reason)
}

#[test]
fn changed_chains_are_refused() {
    let changed = |change: fn(&mut Chain)| {
        let mut chain = milan();
        change(&mut chain);
        reason(check(&chain))
    };
    assert_eq!(changed(|chain| *chain.ark.last_mut().expect("bytes") ^= 1), Some(RootSignature));
    assert_eq!(changed(|chain| *chain.ask.last_mut().expect("bytes") ^= 1), Some(AskSignature));
    assert_eq!(changed(|chain| *chain.vcek.last_mut().expect("bytes") ^= 1), Some(VcekSignature));
    assert_eq!(changed(|chain| chain.ask = turin().ask), Some(AskSignature));
    assert_eq!(changed(|chain| chain.vcek = turin().vcek), Some(VcekSignature));
}

#[test]
fn the_chains_of_real_chips_are_believed() {
    let (root, chip) = check(&milan()).expect("AMD's chain");
    assert!(root.starts_with("AMD ARK-Milan"), "{root}");
    assert_eq!((chip.tcb.to_string().as_str(), chip.hardware_id.len()), ("3.0.8.115", 64));
    let (root, chip) = check(&turin()).expect("AMD's chain");
    assert!(root.starts_with("AMD ARK-Turin"), "{root}");
    assert!(chip.tcb.fmc.is_some());
    assert_eq!(chip.hardware_id.len(), 8);
}

/// Operators keep certificates in either form, and hosts hand them out so.
#[test]
fn certificates_may_be_pem() {
    use x509_cert::{
        Certificate,
        der::{Decode, EncodePem, pem::LineEnding},
    };
    let pem = |der: &[u8]| {
        let certificate = Certificate::from_der(der).expect("a certificate");
        certificate.to_pem(LineEnding::LF).expect("PEM").into_bytes()
    };
    let chain = milan();
    assert_eq!(Chain::from_files(&pem(&chain.vcek), MILAN), Ok(chain.clone()));
    let table = |vcek: &[u8]| {
        let parts = [(ARK_GUID, chain.ark.as_slice()), (ASK_GUID, &chain.ask), (VCEK_GUID, vcek)];
        let mut offset = 4 * size_of::<TableEntry>();
        let (mut head, mut data) = (Vec::new(), Vec::new());
        for (guid, bytes) in parts {
            let [start, length] =
                [offset, bytes.len()].map(|size| u32::try_from(size).expect("short"));
            head.extend(TableEntry { guid, offset: start, length }.as_bytes());
            data.extend(bytes);
            offset += bytes.len();
        }
        head.extend([0; size_of::<TableEntry>()]);
        Chain::from_table(&[head, data].concat())
    };
    assert_eq!(table(&chain.vcek), Ok(chain.clone()));
    assert_eq!(table(&pem(&chain.vcek)), Ok(chain.clone()));
    let other = b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    assert_eq!(reason(table(other)), Some(CertificateMalformed));
}

#[test]
fn genoas_root_is_known() {
    let chain = Chain::from_files(&bytes(MILAN_VCEK), GENOA).expect("two certificates");
    let parsed = ParsedChain::parse(&chain).expect("certificates");
    let root = parsed.check_root(&Roots::default()).expect("AMD's root");
    assert!(root.starts_with("AMD ARK-Genoa"), "{root}");
    assert_eq!(reason(parsed.check_links(TIME_S)), Some(VcekSignature));
}

#[test]
fn the_report_of_a_real_chip_is_believed() {
    let (_, chip) = check(&milan()).expect("AMD's chain");
    let report = report::parse(&bytes(MILAN_REPORT)).expect("a report");
    report::check_signature(&report, &chip).expect("signed by the chip");
    report::check_level(&report).expect("VMPL0");
    report::check_policy(&report, &Reference::default()).expect("no debugging");

    let mut other = bytes(MILAN_REPORT);
    other[0x90] ^= 1;
    let other = report::parse(&other).expect("a report");
    assert_eq!(reason(report::check_signature(&other, &chip)), Some(ReportSignature));
    let mut newer = chip.clone();
    newer.tcb.microcode += 1;
    assert_eq!(reason(report::check_signature(&report, &newer)), Some(VcekTcb));
    let mut elsewhere = chip;
    elsewhere.hardware_id[0] ^= 1;
    assert_eq!(reason(report::check_signature(&report, &elsewhere)), Some(VcekChip));
}
