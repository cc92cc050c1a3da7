// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds for any bytes at all, for the fuzz targets in `fuzz/` and the tests here.
#![expect(clippy::missing_panics_doc, reason = "a harness panics to tell what it found")]

use snp_abi::manifest as layout;

use crate::{
    Evidence,
    chain::{Chain, ParsedChain, Roots},
    event_log::EventLog,
    manifest::Manifest,
    public_area::PublicArea,
    quote::Quote,
    report,
};

/// A report: what is read is what was there.
pub fn report(bytes: &[u8]) {
    if let Ok(report) = report::parse(bytes) {
        assert_eq!(bytes.get(..report.signed_part().len()), Some(report.signed_part()));
        assert!(report.vmpl < 4);
    }
}

/// A table of certificates: nobody is believed whom AMD's root doesn't vouch for.
pub fn certificates(bytes: &[u8]) {
    let Ok(parsed) = Chain::from_table(bytes).and_then(|chain| ParsedChain::parse(&chain)) else {
        return;
    };
    let root = parsed.check_root(&Roots::default());
    // Reached only with a chain of AMD's in the corpus.
    if root.is_err() {
        return;
    }
    drop(parsed.check_links(1_790_000_000).and_then(|_| parsed.chip().map(|chip| chip.tcb)));
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

/// An event log: it can be replayed in every bank that it lists.
pub fn event_log(bytes: &[u8]) {
    if let Some(log) = EventLog::parse(bytes) {
        let values = log.replay_all().expect("a log that was read has all digests");
        assert_eq!(values.len(), log.banks.len());
        assert!(log.first_mismatch().is_none_or(|event| event.pcr < 16));
        drop(log.version());
    }
}

/// A quote.
pub fn quote(bytes: &[u8]) {
    if let Ok(quote) = Quote::parse(bytes) {
        assert!(quote.selections.iter().all(|(_, numbers)| numbers.iter().all(|n| *n < 32)));
    }
}

/// The agent's file.
pub fn evidence(bytes: &[u8]) {
    drop(Evidence::parse(bytes));
}
