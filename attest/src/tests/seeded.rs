// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fuzz targets' harnesses on changed copies of good inputs.

use super::fixture::{Case, TIME_S};
use crate::{
    Evidence,
    chain::{Chain, ParsedChain, Roots},
    event_log::EventLog,
    fuzz,
    manifest::Manifest,
    quote::Quote,
    report,
};

const ROUNDS: usize = 2000;
/// Certificates that are believed cost signatures.
const CERTIFICATE_ROUNDS: usize = 100;

/// xorshift64: the same numbers every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).expect("a size")).expect("below")
    }
}

/// Changes some bytes, and cuts or lengthens now and then.
fn changed(good: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..=numbers.below(3) {
        let place = numbers.below(bytes.len());
        if let Some(byte) = bytes.get_mut(place) {
            *byte = [0, 0xff, *byte ^ 1, *byte ^ 0x80][numbers.below(4)];
        }
    }
    match numbers.below(8) {
        0 => bytes.truncate(numbers.below(good.len())),
        1 => bytes.extend_from_slice(&good[..numbers.below(good.len())]),
        _ => {}
    }
    bytes
}

/// A sample, the harness that reads it, and how often it gets changed ones.
type Harness<'a> = (&'a [u8], fn(&[u8]), usize);

#[test]
fn no_bytes_break_a_parser() {
    let evidence = Case::good().evidence;
    let mut numbers = Numbers(0x6d61_6361_6461_6d69);
    let file = include_bytes!("../../../fuzz/corpus/attest_evidence/p256");
    let parsers: [Harness; 7] = [
        (&evidence.report, fuzz::report, ROUNDS),
        (&evidence.manifest, fuzz::manifest, ROUNDS),
        (&evidence.ek_public, fuzz::manifest, ROUNDS),
        (&evidence.event_log, fuzz::event_log, ROUNDS),
        (&evidence.quote, fuzz::quote, ROUNDS),
        (&evidence.certificates, fuzz::certificates, CERTIFICATE_ROUNDS),
        (file, fuzz::evidence, ROUNDS),
    ];
    for (good, parser, rounds) in parsers {
        parser(good);
        for _ in 0..rounds {
            parser(&changed(good, &mut numbers));
        }
    }
}

/// What a fuzzer starts from is good: else it would spend its time before the first check.
#[test]
fn seeds_of_the_fuzzers_are_read() {
    for report in [
        &include_bytes!("../../../fuzz/corpus/attest_report/emulated")[..],
        include_bytes!("../../../fuzz/corpus/attest_report/milan"),
    ] {
        report::parse(report).expect("a report");
    }
    let emulated = include_bytes!("../../../fuzz/corpus/attest_certificates/emulated");
    let milan = include_bytes!("../../../fuzz/corpus/attest_certificates/milan");
    for (table, roots) in
        [(&emulated[..], Roots { test_root: true }), (milan, Roots { test_root: false })]
    {
        let chain = Chain::from_table(table).expect("a chain");
        let parsed = ParsedChain::parse(&chain).expect("certificates");
        parsed.check_root(&roots).expect("a root");
        parsed.check_links(TIME_S).expect("signatures");
    }
    let manifest = include_bytes!("../../../fuzz/corpus/attest_manifest/version-1");
    assert_eq!(Manifest::parse(manifest, 1).expect("a manifest").endorsement_keys.len(), 3);
    let log = EventLog::parse(include_bytes!("../../../fuzz/corpus/attest_event_log/launch"));
    assert!(log.is_some_and(|log| log.first_mismatch().is_none()));
    Quote::parse(include_bytes!("../../../fuzz/corpus/attest_quote/pcrs-0-9")).expect("a quote");
    Evidence::parse(include_bytes!("../../../fuzz/corpus/attest_evidence/p256")).expect("JSON");
}
