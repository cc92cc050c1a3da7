// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attestation of the whole machine: our agent, the kernel's configfs, tpm2-tools.

use attest::{
    Reason,
    manifest::Manifest,
    verify::{Question, verify},
};
use attestation::{Request, converse, random, reference, tools};
use launcher::{Machine, Options};
use std::time::Duration;

/// RSA keys take their time on an emulated processor.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(600);

fn boot(cpus: u8) -> Machine {
    let options = Options { cpus, command_timeout: COMMAND_TIMEOUT, ..Options::default() };
    Machine::boot(&options).expect("the guest comes up")
}

#[test]
fn one_cpu_attests_to_two_clients() {
    let mut machine = boot(1);
    let reference = reference(&machine).expect("the image");

    // Manifests that there isn't are the SVSM's to refuse, before anything is signed.
    let nonce = random().expect("a nonce");
    let unknown = tools::report(&mut machine, &nonce, Some(7)).expect("it runs");
    assert!(unknown.is_err(), "a manifest of version 7");

    // The kernel's own path, with all services and with the one.
    for version in [None, Some(0), Some(1)] {
        let parts = tools::report(&mut machine, &nonce, version).expect("it runs");
        let [signed, _, manifest] = parts.expect("a report");
        assert_eq!(signed.len(), 1184);
        let manifest = Manifest::parse(&manifest, version.unwrap_or(0)).expect("a manifest");
        let keys = if version == Some(1) { 3 } else { 1 };
        assert_eq!(manifest.endorsement_keys.len(), keys, "{version:?}");
    }

    let request = Request { manifest: "1", ek: "p256" };
    let conversation = converse(&mut machine, &reference, request).expect("a conversation");
    assert!(conversation.verdict.is_accepted(), "{}", conversation.verdict);

    // The same evidence is no answer to another nonce, and no credential makes up for it.
    let mut nonce = conversation.nonce;
    nonce[0] ^= 1;
    let activation = Some(&conversation.activation);
    let question = Question { nonce: &nonce, chain: None, activation };
    let (verdict, _) = verify(&conversation.evidence, &question, &reference);
    assert_eq!(verdict.reasons(), [Reason::ReportData], "{verdict}");

    let verdict = tools::converse(&mut machine, &reference).expect("tpm2-tools");
    assert!(verdict.is_accepted(), "{verdict}");
    machine.power_off().expect("the guest powers off");
}

#[test]
fn two_cpus_attest() {
    let mut machine = boot(2);
    let reference = reference(&machine).expect("the image");
    let request = Request { manifest: "1", ek: "p256" };
    let conversation = converse(&mut machine, &reference, request).expect("a conversation");
    assert!(conversation.verdict.is_accepted(), "{}", conversation.verdict);
    machine.power_off().expect("the guest powers off");
}
