// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds for any bytes at all, for the fuzz targets in `fuzz/` and the tests here.
#![expect(clippy::missing_panics_doc, reason = "a harness panics to tell what it found")]

use snp_abi::manifest as layout;

use crate::{
    Evidence,
    certificate::signed_part,
    chain::{Chain, ParsedChain, Roots},
    event_log::EventLog,
    manifest::Manifest,
    public_area::PublicArea,
    quote::Quote,
    report,
};

/// A report: what is read is what was there, where the specification has it.
pub fn report(bytes: &[u8]) {
    let Ok(report) = report::parse(bytes) else { return };
    assert_eq!(bytes.get(..report.signed_part().len()), Some(report.signed_part()));
    assert!(report.vmpl < 4);
    let fields: [(usize, &[u8]); 7] = [
        (0x04, &report.guest_svn.to_le_bytes()),
        (0x08, &report.policy.to_le_bytes()),
        (0x30, &report.vmpl.to_le_bytes()),
        (0x50, &report.report_data),
        (0x90, &report.measurement),
        (0x1a0, &report.chip_id),
        (0x2a0, &report.signature.r),
    ];
    for (place, field) in fields {
        assert_eq!(bytes.get(place..place + field.len()), Some(field), "at {place:#x}");
    }
}

/// A time at which the chains of test machines are valid.
const TIME_S: u64 = 1_790_000_000;

/// A table of certificates: who is believed is no longer so when anything that was signed changes.
pub fn certificates(bytes: &[u8]) {
    let Ok(chain) = Chain::from_table(bytes) else { return };
    if !is_believed(&chain) {
        return;
    }
    // Any place will do; this one is another for each table.
    let sum = bytes.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31) + usize::from(*byte));
    for changes_chip in [false, true] {
        let mut other = chain.clone();
        let certificate = if changes_chip { &mut other.vcek } else { &mut other.ask };
        let signed = signed_part(certificate).expect("a believed certificate is signed").to_vec();
        let start = certificate.windows(signed.len()).position(|part| part == signed);
        let place = start.expect("it is a part of it") + sum % signed.len();
        certificate[place] ^= 1 << (sum % 8);
        assert!(!is_believed(&other), "chip: {changes_chip}, byte {place}");
    }
}

/// Whether a root that is known vouches for the chip, the emulated machine's among them.
fn is_believed(chain: &Chain) -> bool {
    ParsedChain::parse(chain).is_ok_and(|parsed| {
        parsed.check_root(&Roots { test_root: true }).is_ok() && parsed.check_links(TIME_S).is_ok()
    })
}

/// A manifest in every version, and the public areas in it.
pub fn manifest(bytes: &[u8]) {
    for version in 0..3 {
        if let Ok(manifest) = Manifest::parse(bytes, version) {
            assert!(!manifest.endorsement_keys.is_empty() && version < 2);
        }
    }
    // What is read and written again is the same, but for records that nobody knows.
    if let Ok(manifest) = layout::Manifest::parse(bytes) {
        let mut written = [0; layout::MANIFEST_BYTES_MAX];
        let length = manifest.write(&mut written).unwrap_or_default();
        assert_eq!(layout::Manifest::parse(&written[..length]), Ok(manifest));
    }
    if let Some(area) = PublicArea::parse(bytes) {
        assert_eq!(area.as_bytes(), bytes);
        assert_eq!(area.name().len(), 2 + area.name_algorithm.size());
    }
}

/// An event log: it can be replayed in every bank that it lists, and its events written again are
/// its end.
pub fn event_log(bytes: &[u8]) {
    let Some(log) = EventLog::parse(bytes) else { return };
    let values = log.replay_all().expect("a log that was read has all digests");
    assert_eq!(values.len(), log.banks.len());
    assert!(log.first_mismatch().is_none_or(|event| event.pcr < 16));
    drop(log.version());
    let mut written = Vec::new();
    for event in &log.events {
        written.extend(event.pcr.to_le_bytes());
        written.extend(event.kind.to_le_bytes());
        written.extend(word(event.digests.len()).to_le_bytes());
        for (hash, digest) in &event.digests {
            written.extend(hash.number().to_le_bytes());
            written.extend(digest);
        }
        written.extend(word(event.data.len()).to_le_bytes());
        written.extend(&event.data);
    }
    assert!(bytes.ends_with(&written));
    // In front of them is the first event: 32 bytes, and as many as the last four of these say.
    let first = bytes.len() - written.len();
    assert_eq!(bytes[28..32], word(first - 32).to_le_bytes());
}

fn word(size: usize) -> u32 {
    u32::try_from(size).expect("inputs are short")
}

/// A quote: written again it is the same, but for who signed and whether the clock is safe.
pub fn quote(bytes: &[u8]) {
    let Ok(quote) = Quote::parse(bytes) else { return };
    let signer = 2 + usize::from(u16::from_be_bytes([bytes[6], bytes[7]]));
    let mut written = bytes[..6 + signer].to_vec();
    let sized = |written: &mut Vec<u8>, value: &[u8]| {
        let size = u16::try_from(value.len()).expect("it had such a size");
        written.extend(size.to_be_bytes());
        written.extend(value);
    };
    sized(&mut written, &quote.extra_data);
    written.extend(quote.clock_ms.to_be_bytes());
    written.extend(quote.reset_count.to_be_bytes());
    written.extend(quote.restart_count.to_be_bytes());
    written.push(bytes[written.len()]);
    written.extend(quote.firmware_version.to_be_bytes());
    written.extend(word(quote.selections.len()).to_be_bytes());
    for (bank, numbers) in &quote.selections {
        written.extend(bank.number().to_be_bytes());
        // How many bytes a bank has is not kept.
        let count = bytes[written.len()];
        written.push(count);
        let mut map = vec![0; usize::from(count)];
        for number in numbers {
            map[usize::try_from(*number / 8).expect("few bytes")] |= 1 << (number % 8);
        }
        written.extend(map);
    }
    sized(&mut written, &quote.pcr_digest);
    assert_eq!(written, bytes);
}

/// The agent's file: written again it says the same.
pub fn evidence(bytes: &[u8]) {
    let Ok(evidence) = Evidence::parse(bytes) else { return };
    let pcrs = evidence.pcrs.iter().map(|(bank, registers)| {
        let registers = registers.iter().map(|(number, value)| {
            (number.to_string(), serde_json::Value::from(hex::encode(value)))
        });
        (bank.name().to_owned(), registers.collect::<serde_json::Map<_, _>>().into())
    });
    let file = serde_json::json!({
        "format": "macadamia-evidence",
        "version": 1,
        "report": hex::encode(&evidence.report),
        "certificates": hex::encode(&evidence.certificates),
        "manifest": hex::encode(&evidence.manifest),
        "manifest_version": evidence.manifest_version,
        "ek_public": hex::encode(&evidence.ek_public),
        "ak_public": hex::encode(&evidence.ak_public),
        "quote": hex::encode(&evidence.quote),
        "signature": hex::encode(&evidence.signature),
        "event_log": hex::encode(&evidence.event_log),
        "pcrs": pcrs.collect::<serde_json::Map<String, serde_json::Value>>(),
    });
    assert_eq!(Evidence::parse(file.to_string().as_bytes()), Ok(evidence));
}
