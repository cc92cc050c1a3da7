// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whole evidence: good, tampered with, and from real hardware.

mod amd;
mod endorsement;
pub(crate) mod fixture;
pub(crate) mod log;
mod reissue;
mod seeded;
mod state;
mod tampering;

use attest_agent::{EkKind, kernel::Service};
use fixture::Case;

fn accepted(case: &Case) {
    let verdict = case.verdict();
    assert!(verdict.is_accepted(), "{verdict}");
}

#[test]
fn good_evidence_is_accepted() {
    accepted(&Case::good());
    accepted(&Case::collect(EkKind::P384, Service::Vtpm(1)));
}

/// One key for both: RSA keys take their time without optimisation.
#[test]
fn manifests_of_version_0_are_accepted() {
    let mut case = Case::collect(EkKind::Rsa2048, Service::Vtpm(0));
    accepted(&case);
    let key = case.evidence.manifest.clone();
    case.vouch_for(fixture::services(&key));
    accepted(&case);
}
