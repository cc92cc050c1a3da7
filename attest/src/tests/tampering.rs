// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that can be done to evidence, and the reason for which each is refused.

mod platform;
mod vtpm;

use std::collections::BTreeSet;

use snp_abi::{Vmpl, launch::GuestPolicy};

use self::{
    platform::{CHAIN, LAUNCH, REPORT},
    vtpm::{KEYS, LOG, MANIFEST, QUOTE, persist},
};
use super::{
    endorsement::TAMPERINGS as CERTIFICATE,
    fixture::{Case, IMAGE, launch},
    state::TAMPERINGS as STATE,
};
use crate::{
    Reason::{self, EvidenceMalformed, QuoteFirmware},
    manifest::FreshnessRoot,
};

pub(super) const ARK: &str = "Macadamia-SVSM test ARK";
const ASK: &str = "Macadamia-SVSM test ASK";
const ROOT: FreshnessRoot = FreshnessRoot { epoch: 4, sequence: 40, digest: [0xaa; 32] };

/// What is done, the reason that must come first, and how it is done.
pub(super) type Tampering = (&'static str, Reason, fn(&mut Case));

#[test]
fn every_tampering_is_refused_with_its_reason() {
    let mut count = 0;
    let tables = [CHAIN, REPORT, LAUNCH, MANIFEST, STATE, CERTIFICATE, KEYS, LOG, QUOTE];
    for (name, expected, tamper) in tables.concat() {
        let mut case = Case::good();
        tamper(&mut case);
        let verdict = case.verdict();
        assert!(!verdict.is_accepted(), "{name}: accepted\n{verdict}");
        assert_eq!(verdict.reasons().first(), Some(&expected), "{name}\n{verdict}");
        count += 1;
    }
    assert!(count >= 40, "{count}");
}

/// No reason is there that nothing leads to. Files that aren't evidence have tests of their own.
#[test]
fn every_reason_is_reached() {
    let tables = [CHAIN, REPORT, LAUNCH, MANIFEST, STATE, CERTIFICATE, KEYS, LOG, QUOTE];
    let mut reached: BTreeSet<Reason> =
        tables.concat().iter().map(|(_, reason, _)| *reason).collect();
    reached.insert(EvidenceMalformed);
    let last = QuoteFirmware as usize;
    assert_eq!(reached.len(), last + 1, "{reached:?}");
}

/// No single byte of a signed report can change.
#[test]
fn every_byte_of_the_report_counts() {
    let good = Case::good();
    for place in (0..good.evidence.report.len()).step_by(7) {
        let mut case = good.clone();
        case.evidence.report[place] ^= 0x80;
        assert!(!case.verdict().is_accepted(), "{place:#x}");
    }
}

pub(super) fn flip(bytes: &mut [u8], place: usize) {
    bytes[place] ^= 1;
}

/// Flips a bit behind the first occurrence of a pattern.
fn flip_in(bytes: &mut [u8], pattern: &[u8]) {
    let place = bytes.windows(pattern.len()).position(|window| window == pattern);
    flip(bytes, place.expect("it is there"));
}

/// Reports of later and earlier firmware are as good, and so is a guest that may be debugged, where
/// that is what is expected.
#[test]
fn other_reports_that_are_as_expected_are_accepted() {
    for version in [2, 3, 4, 5] {
        let mut case = Case::good();
        case.report_with(0, &[version]);
        if version == 5 {
            case.report_with(0x1f8, &[0xff; 16]);
        }
        let verdict = case.verdict();
        assert!(verdict.is_accepted(), "version {version}\n{verdict}");
    }
    let mut case = Case::good();
    let policy = GuestPolicy::DEFAULT | GuestPolicy::DEBUG | GuestPolicy::CXL;
    case.reference.policy = Some(policy.bits());
    case.report_again(&launch(policy, IMAGE), Vmpl::Vmpl0);
    let verdict = case.verdict();
    assert!(verdict.is_accepted(), "{verdict}");
    let text = verdict.to_string();
    assert!(text.contains("debugging allowed, as expected, migration not allowed"), "{text}");
}

/// What was seen before is no reason to refuse what comes later.
#[test]
fn a_state_that_moved_on_is_accepted() {
    for root in [
        ROOT,
        FreshnessRoot { sequence: 41, digest: [1; 32], ..ROOT },
        FreshnessRoot { epoch: 5, sequence: 41, digest: [1; 32] },
    ] {
        let mut case = Case::good();
        persist(&mut case, root);
        let verdict = case.verdict();
        assert!(verdict.is_accepted(), "{verdict}");
    }
}
