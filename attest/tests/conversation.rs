// SPDX-License-Identifier: MIT OR Apache-2.0
//! `attest` as a relying party runs it, from the nonce to the verdict, on evidence that the fixture
//! of the library's own tests leaves in a folder: exit codes, and what is written where.
#![forbid(unsafe_code)]

// The fixture names these as parts of its crate, which is the library or this test.
use attest::{Evidence, Reference, chain, credential, hash, reference, report, verdict, verify};

#[path = "../src/tests/fixture.rs"]
#[expect(dead_code, reason = "the library's tests use the rest")]
mod fixture;
#[path = "../src/tests/log.rs"]
mod log;
mod program;

use attest::{last_seen, manifest::FreshnessRoot};
use attest_agent::{
    EkKind,
    evidence::{Request, activate, collect},
    kernel::Service,
    keys::AttestationKey,
};
use fixture::{Engine, IMAGE, Svsm, events, launch, log_of, manifest};
use program::{Ran, folder, run};
use serde_json::Value;
use snp_abi::{launch::GuestPolicy, manifest::State};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

const ROOT: FreshnessRoot = FreshnessRoot { epoch: 4, sequence: 40, digest: [0xaa; 32] };

/// A relying party's folder, and the guest on the other side.
struct Scene {
    folder: PathBuf,
    nonce: String,
    engine: Engine,
    key: AttestationKey,
}

impl Scene {
    /// Evidence of a vTPM in this state, in the file `evidence`, for a nonce of the program's.
    fn new(name: &str, state: State) -> Self {
        let folder = folder(name);
        let ran = run(&folder, "nonce");
        assert_eq!(ran.code, Some(0), "{}", ran.complained);
        let nonce = ran.said.trim().to_owned();
        let mut engine = Engine::new(1);
        engine.measure(&events());
        let key = Self::collect(&folder, &nonce, &mut engine, state);
        Self { folder, nonce, engine, key }
    }

    fn collect(folder: &Path, nonce: &str, engine: &mut Engine, state: State) -> AttestationKey {
        let log = log_of(&events());
        let manifest = manifest(&[engine.public_of(EkKind::P256)], state, &log);
        let mut svsm = Svsm { psp: launch(GuestPolicy::DEFAULT, IMAGE), manifest };
        let nonce = hex::decode(nonce).expect("digits").try_into().expect("64 bytes");
        let request = Request { nonce, service: Service::Vtpm(1), ek: EkKind::P256 };
        let collected = collect(engine, &mut svsm, &log, &request).expect("evidence");
        fs::write(folder.join("evidence"), collected.json).expect("a file");
        collected.key
    }

    /// Evidence anew, for the same nonce.
    fn again(&mut self, state: State) {
        self.key = Self::collect(&self.folder, &self.nonce, &mut self.engine, state);
    }

    /// A task with what every one needs, and this.
    fn run(&self, task: &str, more: &str) -> Ran {
        let (nonce, image) = (&self.nonce, hex::encode(IMAGE));
        let line = format!(
            "{task} --evidence evidence --nonce {nonce} --launch-digest {image} \
             --trust-root emulator-test-root {more}"
        );
        run(&self.folder, &line)
    }

    /// Has a credential made, and the guest open it: arguments with what comes back.
    fn returned(&mut self) -> String {
        let ran = self.run("credential", "--secret secret");
        assert_eq!(ran.code, Some(0), "{}{}", ran.said, ran.complained);
        let credential = hex::decode(ran.said.trim()).expect("digits");
        let returned = activate(&mut self.engine, &self.key, &credential).expect("it opens");
        format!("--secret secret --returned {}", hex::encode(returned))
    }

    /// The reasons for which evidence is refused; none when it is accepted.
    fn reasons(&self, more: &str) -> Vec<String> {
        let ran = self.run("verify", &format!("--json {more}"));
        let verdict: Value = serde_json::from_str(&ran.said).expect("JSON");
        let reasons = verdict["reasons"].as_array().expect("a list");
        let code = i32::from(!reasons.is_empty());
        assert_eq!((ran.code, ran.complained.as_str()), (Some(code), ""), "{verdict}");
        assert_eq!(verdict["accepted"].as_bool(), Some(code == 0), "{verdict}");
        reasons.iter().map(|reason| reason.as_str().expect("a name").to_owned()).collect()
    }

    fn file(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(name)).ok()
    }
}

/// Exit code 2, a complaint, and no verdict.
fn fails(ran: &Ran, complaint: &str) {
    assert_eq!(ran.code, Some(2), "{}{}", ran.said, ran.complained);
    assert!(ran.complained.contains(complaint), "{}", ran.complained);
    assert_eq!(ran.said, "");
}

#[test]
fn what_it_is_not_given_it_asks_for() {
    let folder = folder("conversation-arguments");
    let (nonce, image) = ("6e".repeat(64), "77".repeat(48));
    fails(&run(&folder, ""), "no such task");
    fails(&run(&folder, "verify --speed 1"), "--speed");
    fails(&run(&folder, "verify --evidence e"), "--nonce is missing");
    let line = format!("verify --evidence absent --nonce {nonce} --launch-digest {image}");
    fails(&run(&folder, &line), "absent: No such file");
    let help = run(&folder, "--help");
    assert_eq!((help.code, help.complained.as_str()), (Some(0), ""));
    assert!(help.said.contains("Exit code 0: accepted; 1: refused; 2:"), "{}", help.said);
}

#[test]
fn files_that_are_something_else_are_failures_of_the_command() {
    let scene = Scene::new("conversation-files", State::Ephemeral);
    let other = scene.folder.join("other");
    fs::write(&other, "{\"epoch\": 1}").expect("a file");
    for (given, complaint) in [
        ("--last-seen other", "other: not a freshness root"),
        // One that can't be read is no first time; nor is one below what is no folder.
        ("--last-seen .", "Is a directory"),
        ("--last-seen other/seen", "other/seen: Not a directory"),
        ("--igvm other", "not an IGVM file"),
        ("--ek-issuer other", "EkCertificateMalformed"),
        ("--vcek other --chain other", "CertificateMalformed"),
        ("--secret other", "Invalid character"),
    ] {
        fails(&scene.run("verify", given), complaint);
    }
    assert_eq!(fs::read(&other).expect("the file"), b"{\"epoch\": 1}", "it is left alone");
}

#[test]
fn what_is_no_evidence_is_refused() {
    let scene = Scene::new("conversation-malformed", State::Ephemeral);
    fs::write(scene.folder.join("evidence"), "{}").expect("a file");
    for task in ["credential", "verify"] {
        let ran = scene.run(task, "--secret secret");
        assert_eq!((ran.code, ran.complained.as_str()), (Some(1), ""));
        assert!(ran.said.contains("EvidenceMalformed"), "{task}: {}", ran.said);
    }
    assert_eq!(scene.file("secret"), None, "no credential was made");
}

/// From the nonce to the verdict; what isn't accepted leaves no file.
#[test]
fn a_whole_conversation_is_had() {
    let mut scene = Scene::new("conversation", State::Ephemeral);
    let other = run(&scene.folder, "nonce").said;
    assert!(scene.nonce.len() == 128 && other.trim() != scene.nonce, "{other}");

    // Nobody believes the emulated machine unasked; such a guest gets no credential.
    let (nonce, image) = (&scene.nonce, hex::encode(IMAGE));
    let given = format!("--evidence evidence --nonce {nonce} --launch-digest {image}");
    let ran = run(&scene.folder, &format!("credential {given} --secret secret"));
    assert!(ran.code == Some(1) && ran.said.contains("RootIsForTests"), "{}", ran.said);
    assert_eq!(scene.file("secret"), None);

    let returned = scene.returned();
    let secret = fs::metadata(scene.folder.join("secret")).expect("the secret");
    assert_eq!(secret.permissions().mode() & 0o777, 0o600, "nobody else may read it");

    assert_eq!(scene.reasons("--ek-pem ek.pem"), ["ActivationMissing"]);
    assert_eq!(scene.reasons("--ek-pem ek.pem --secret secret"), ["ActivationMissing"]);
    let wrong = format!("--ek-pem ek.pem --secret secret --returned {}", "00".repeat(32));
    assert_eq!(scene.reasons(&wrong), ["ActivationSecret"]);
    let other_chip = format!("{returned} --ek-pem ek.pem --chip-id {}", "11".repeat(64));
    assert_eq!(scene.reasons(&other_chip), ["ReportChip"]);
    let lost = format!("{returned} --ek-pem ek.pem --last-seen seen");
    assert_eq!(scene.reasons(&lost), ["StateEphemeral"]);
    assert_eq!((scene.file("ek.pem"), scene.file("seen")), (None, None));

    let good = format!("{returned} --ek-pem ek.pem");
    assert_eq!(scene.reasons(&good), [""; 0]);
    let pem = scene.file("ek.pem").expect("the key");
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----"), "{pem}");
    let text = scene.run("verify", &good);
    assert!(text.code == Some(0) && text.said.contains("activation"), "{}", text.said);
}

#[test]
fn the_last_state_is_remembered() {
    let at = |sequence| State::Persistent(FreshnessRoot { sequence, ..ROOT });
    let mut scene = Scene::new("conversation-state", at(40));
    let mut verified = |state| {
        scene.again(state);
        let returned = scene.returned();
        let reasons = scene.reasons(&format!("{returned} --last-seen seen"));
        let seen = scene.file("seen").expect("it was remembered");
        (reasons.concat(), last_seen::parse(seen.as_bytes()).expect("a root").sequence)
    };
    // The first time there is nothing older.
    assert_eq!(verified(at(40)), (String::new(), 40));
    assert_eq!(verified(at(41)), (String::new(), 41));
    assert_eq!(verified(at(41)), (String::new(), 41), "no commit in between");
}

#[test]
fn a_rollback_is_no_reason_to_forget() {
    let mut scene = Scene::new("conversation-rollback", State::Persistent(ROOT));
    fs::write(scene.folder.join("seen"), last_seen::to_text(&ROOT)).expect("a file");
    for (root, reason) in [
        (FreshnessRoot { sequence: 39, ..ROOT }, "StateRolledBack"),
        (FreshnessRoot { epoch: 3, sequence: 99, ..ROOT }, "StateRolledBack"),
        (FreshnessRoot { digest: [0xab; 32], ..ROOT }, "StateForked"),
    ] {
        scene.again(State::Persistent(root));
        assert_eq!(scene.reasons("--last-seen seen"), [reason]);
        let refused = scene.run("credential", "--last-seen seen --secret secret");
        assert!(refused.code == Some(1) && refused.said.contains(reason), "{}", refused.said);
        assert_eq!(scene.file("seen"), Some(last_seen::to_text(&ROOT)));
    }
    scene.again(State::Persistent(ROOT));
    let returned = scene.returned();
    // The fixture's vTPM says that the signer's images get its state's key.
    let bound = |who| format!("{returned} --state-binding {who}");
    assert_eq!(scene.reasons(&bound("signer")), [""; 0]);
    assert_eq!(scene.reasons(&bound("image")), ["StateBinding"]);
}
