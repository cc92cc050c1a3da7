// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attestation of the whole machine, to our agent and to tpm2-tools, through three starts of one
//! vTPM: it is new, goes on, and is rolled back by its host.

use attest::{
    Reason, Reference,
    endorsement::to_pem,
    manifest::{FreshnessRoot, StateBinding},
    public_area::PublicArea,
    verify::{Question, verify},
};
use attestation::{Conversation, Request, converse, cross_check, issuer::Issuer, reference, tools};
use launcher::{Machine, Options};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// RSA keys take their time on an emulated processor.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(600);
const REQUEST: Request = Request { manifest: "1", ek: "p256" };

/// Changes the state a dozen times.
const WRITE: &str = r"
set -e
tpm2_nvdefine -Q 0x1500030 -C o -s 8 -a 'ownerread|ownerwrite|nt=counter'
for number in 1 2 3 4 5 6 7 8 9 10 11; do
    tpm2_nvincrement -Q 0x1500030 -C o
done
";

#[test]
fn a_vtpm_attests_at_every_start() {
    let [disk, old] = ["state.img", "old-state.img"].map(folder);
    let _absent = fs::remove_file(&disk);
    let (seen, issuer) = a_new_vtpm_attests_to_two_clients(start(1, &disk));
    fs::copy(&disk, &old).expect("a copy");
    let seen = the_same_vtpm_goes_on(start(2, &disk), seen, &issuer);
    fs::copy(&old, &disk).expect("the host puts the copy back");
    a_rollback_is_seen(start_with(Options { service_cpu: true, ..options(1, &disk) }), seen);
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn options(cpus: u8, disk: &Path) -> Options {
    let state = Some(disk.to_owned());
    Options { cpus, state, command_timeout: COMMAND_TIMEOUT, ..Options::default() }
}

fn start(cpus: u8, disk: &Path) -> Machine {
    start_with(options(cpus, disk))
}

fn start_with(options: Options) -> Machine {
    Machine::boot(&options).expect("the guest comes up")
}

/// What is expected of a vTPM that keeps its state and was seen before.
fn not_older_than(seen: FreshnessRoot, machine: &Machine) -> Reference {
    Reference { last_seen: Some(seen), ..reference(machine).expect("the image") }
}

/// What the evidence is worth to someone else.
fn reasons(conversation: &Conversation, reference: &Reference) -> Vec<Reason> {
    let activation = conversation.activation.as_ref();
    let question = Question { nonce: &conversation.nonce, chain: None, activation };
    verify(&conversation.evidence, &question, reference).0.reasons()
}

/// How fresh its state was, and who certified it.
fn a_new_vtpm_attests_to_two_clients(mut machine: Machine) -> (FreshnessRoot, Issuer) {
    let reference = reference(&machine).expect("the image");
    let binding = |binding| Reference { state_binding: Some(binding), ..reference.clone() };
    let persistent = binding(StateBinding::Signer);
    let conversation = converse(&mut machine, &persistent, REQUEST).expect("a conversation");
    assert!(conversation.verdict.is_accepted(), "{}", conversation.verdict);
    let root = conversation.freshness.expect("a place in history");
    assert_eq!(root.epoch, 1, "{root:?}");

    let kept = folder("evidence");
    conversation.keep(&kept, &machine).expect("a folder");
    print!("{}", cross_check(&kept).expect("others believe it too"));

    // The same evidence is no answer to another nonce, and no credential makes up for it.
    let mut other = conversation.clone();
    other.nonce[0] ^= 1;
    assert_eq!(reasons(&other, &reference), [Reason::ReportData]);

    // Images of the signer's to come will open the state: not this very one alone.
    assert_eq!(reasons(&conversation, &binding(StateBinding::Image)), [Reason::StateBinding]);

    let issuer = certificates_tell_the_vtpm(&mut machine, &conversation);

    let verdict = tools::converse(&mut machine, &reference).expect("tpm2-tools");
    assert!(verdict.is_accepted(), "{verdict}");
    machine.power_off().expect("the guest powers off");
    (root, issuer)
}

/// Once accepted, the endorsement key gets a certificate, and is known by it from then on.
fn certificates_tell_the_vtpm(machine: &mut Machine, accepted: &Conversation) -> Issuer {
    let issuer = Issuer::new(folder("issuer")).expect("an issuer");
    let expected = certified_by(&issuer, machine);
    assert_eq!(reasons(accepted, &expected), [Reason::EkCertificateMissing]);

    let key = PublicArea::parse_either(&accepted.evidence.ek_public).expect("a key");
    issuer.provision(machine, &to_pem(&key).expect("PEM")).expect("a certificate");
    // Anew, since the certificate is younger than the first reference.
    let expected = certified_by(&issuer, machine);
    let certified = converse(machine, &expected, REQUEST).expect("a conversation");
    assert!(certified.verdict.is_accepted(), "{}", certified.verdict);
    issuer
}

fn certified_by(issuer: &Issuer, machine: &Machine) -> Reference {
    let certificate = issuer.certificate().expect("its certificate");
    Reference { ek_issuer: Some(certificate), ..reference(machine).expect("the image") }
}

/// With more processors; every manifest, with every key that is in it. How fresh its state was.
fn the_same_vtpm_goes_on(
    mut machine: Machine,
    seen: FreshnessRoot,
    issuer: &Issuer,
) -> FreshnessRoot {
    machine.check(WRITE).expect("a counter");
    // The certificate is in the state, and of this vTPM's key.
    let expected = certified_by(issuer, &machine);
    let expected = Reference { last_seen: Some(seen), ..expected };
    let conversation = converse(&mut machine, &expected, REQUEST).expect("a conversation");
    assert!(conversation.verdict.is_accepted(), "{}", conversation.verdict);
    let root = conversation.freshness.expect("a place in history");
    assert!(root.epoch == 2 && root.sequence > seen.sequence + 12, "{seen:?}, then {root:?}");

    let expected = reference(&machine).expect("the image");
    for (manifest, ek) in [("1", "p384"), ("1", "rsa2048"), ("0", "rsa2048"), ("all", "rsa2048")] {
        let request = Request { manifest, ek };
        let conversation = converse(&mut machine, &expected, request).expect("a conversation");
        assert!(conversation.verdict.is_accepted(), "{request:?}\n{}", conversation.verdict);
        // Version 0 says nothing of the state.
        let of_state = reasons(&conversation, &not_older_than(seen, &machine));
        let lacking = (manifest != "1").then_some(Reason::StateEphemeral);
        assert_eq!(of_state, Vec::from_iter(lacking), "{request:?}");
    }
    let other = Request { manifest: "0", ek: "p256" };
    let refused = converse(&mut machine, &expected, other).expect("a conversation");
    assert_eq!(refused.verdict.reasons(), [Reason::ManifestKey]);
    let unknown = Request { manifest: "2", ek: "p256" };
    let failure = converse(&mut machine, &expected, unknown).expect_err("no such manifest");
    assert!(failure.to_string().contains("no report"), "{failure}");
    machine.power_off().expect("the guest powers off");
    root
}

/// Who doesn't remember accepts it: all but the state is as it was. This machine has a service
/// vCPU, of which the manifest tells.
fn a_rollback_is_seen(mut machine: Machine, seen: FreshnessRoot) {
    let forgetful = Reference { persistent_state: true, ..reference(&machine).expect("the image") };
    let conversation = converse(&mut machine, &forgetful, REQUEST).expect("a conversation");
    assert!(conversation.verdict.is_accepted(), "{}", conversation.verdict);
    let told = conversation.verdict.to_string();
    assert!(told.contains("a vCPU of its own"), "{told}");
    let expected = not_older_than(seen, &machine);
    assert_eq!(reasons(&conversation, &expected), [Reason::StateRolledBack]);
    // Nor does it get another credential.
    let refused = converse(&mut machine, &expected, REQUEST).expect("a conversation");
    assert_eq!(refused.verdict.reasons(), [Reason::StateRolledBack]);
    assert!(refused.activation.is_none() && refused.freshness.is_none());
    machine.power_off().expect("the guest powers off");
}
