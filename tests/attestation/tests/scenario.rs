// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attestation of the whole machine, to our agent and to tpm2-tools.

use attest::{
    Reason, Reference,
    endorsement::to_pem,
    public_area::PublicArea,
    verify::{Question, verify},
};
use attestation::{Conversation, Request, converse, cross_check, issuer::Issuer, reference, tools};
use launcher::{Machine, Options};
use std::{path::Path, time::Duration};

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

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("evidence");
    conversation.keep(&folder, &machine).expect("a folder");
    print!("{}", cross_check(&folder).expect("others believe it too"));

    // The same evidence is no answer to another nonce, and no credential makes up for it.
    let mut nonce = conversation.nonce;
    nonce[0] ^= 1;
    let activation = Some(&conversation.activation);
    let question = Question { nonce: &nonce, chain: None, activation };
    let (verdict, _) = verify(&conversation.evidence, &question, &reference);
    assert_eq!(verdict.reasons(), [Reason::ReportData], "{verdict}");

    certificates_tell_the_vtpm(&mut machine, &conversation);

    let verdict = tools::converse(&mut machine, &reference).expect("tpm2-tools");
    assert!(verdict.is_accepted(), "{verdict}");
    machine.power_off().expect("the guest powers off");
}

/// Once accepted, the endorsement key gets a certificate, and is known by it from then on.
fn certificates_tell_the_vtpm(machine: &mut Machine, accepted: &Conversation) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("issuer");
    let issuer = Issuer::new(folder).expect("an issuer");
    let certificate = issuer.certificate().expect("its certificate");
    let certified_by = |certificate, machine: &Machine| Reference {
        ek_issuer: Some(certificate),
        ..reference(machine).expect("the image")
    };
    let expected = certified_by(certificate.clone(), machine);
    let activation = Some(&accepted.activation);
    let question = Question { nonce: &accepted.nonce, chain: None, activation };
    let (verdict, _) = verify(&accepted.evidence, &question, &expected);
    assert_eq!(verdict.reasons(), [Reason::EkCertificateMissing], "{verdict}");

    let key = PublicArea::parse_either(&accepted.evidence.ek_public).expect("a key");
    issuer.provision(machine, &to_pem(&key).expect("PEM")).expect("a certificate");
    // Anew, since the certificate is younger than the first reference.
    let expected = certified_by(certificate, machine);
    let request = Request { manifest: "1", ek: "p256" };
    let certified = converse(machine, &expected, request).expect("a conversation");
    assert!(certified.verdict.is_accepted(), "{}", certified.verdict);
}

/// Every manifest, with every key that is in it.
#[test]
fn two_cpus_attest() {
    let mut machine = boot(2);
    let reference = reference(&machine).expect("the image");
    for (manifest, ek) in
        [("1", "p256"), ("1", "p384"), ("1", "rsa2048"), ("0", "rsa2048"), ("all", "rsa2048")]
    {
        let request = Request { manifest, ek };
        let conversation = converse(&mut machine, &reference, request).expect("a conversation");
        assert!(conversation.verdict.is_accepted(), "{request:?}\n{}", conversation.verdict);
    }
    for (manifest, ek, reason) in [("0", "p256", "ManifestKey"), ("2", "p256", "no report")] {
        let refused = converse(&mut machine, &reference, Request { manifest, ek });
        let failure = refused.expect_err("no such key or manifest").to_string();
        assert!(failure.contains(reason), "{failure}");
    }
    machine.power_off().expect("the guest powers off");
}
