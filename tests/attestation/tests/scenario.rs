// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attestation of the whole machine, to our agent and to tpm2-tools.

use attest::{
    Reason,
    verify::{Question, verify},
};
use attestation::{Request, converse, reference, tools};
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
