// SPDX-License-Identifier: MIT OR Apache-2.0
//! A state whose key its owner gives: asked for by the SVSM, given after its report was believed,
//! carried by the host, which can't put its own there.

mod guest;
#[expect(dead_code, reason = "another test compares what was measured")]
mod start;

use attest::chain::{Chain, Roots};
use attest::state_key::{Keys, Owner, find_request, verify};
use attest::{Reason, Reference};
use emulator::SoftwarePsp;
use getrandom::{SysRng, rand_core::UnwrapErr};
use guest::START_LIMIT;
use launcher::{Images, Machine, Options};
use snp_abi::launch::GuestPolicy;
use snp_abi::state_key::{StateKeyPackage, StateKeyRequest};
use start::{Outcome, outcome};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};
use zerocopy::IntoBytes;

const FOREIGN_KEY: u64 = 39;

/// A key that igvmbuilder makes, and its file.
fn owner(folder: &Path, name: &str) -> (Owner, PathBuf) {
    let path = folder.join(name);
    let _absent = std::fs::remove_file(&path);
    let images = Images::build(&[]).expect("the images");
    let made = Command::new(images.igvmbuilder).arg("keygen").arg("--output").arg(&path).status();
    assert!(made.expect("igvmbuilder starts").success());
    let owner = Owner::from_pem(&std::fs::read(&path).expect("a file")).expect("a key");
    (owner, path)
}

/// Boots until the SVSM has asked for the key: the request, and what is expected of the image.
fn asked(options: &Options) -> (StateKeyRequest, Reference) {
    let machine = Machine::start(options).expect("the machine starts");
    let mut reference = Reference {
        roots: Roots { test_root: true },
        time_s: UNIX_EPOCH.elapsed().expect("a clock").as_secs(),
        ..Reference::default()
    };
    let igvm = std::fs::read(machine.igvm().expect("an IGVM file")).expect("the file");
    reference.expect_image(&igvm).expect("an image");
    let start = Instant::now();
    loop {
        let log = std::fs::read_to_string(machine.log().path()).expect("the log");
        if let Ok(request) = find_request(&log) {
            return (request, reference);
        }
        assert!(start.elapsed() < START_LIMIT, "no request: {log}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_owner_and_nobody_else_gives_the_key() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (me, key) = owner(&folder, "owner.pem");
    let (other, _) = owner(&folder, "other-owner.pem");
    let machine = Options { state_owner: Some(key), ..guest::options(1) };
    let options = start::options(folder.join("owner.img"), machine);

    let (request, reference) = asked(&options);
    // The machine's chip is the one that the software processor plays.
    let psp = SoftwarePsp::launch(GuestPolicy::DEFAULT, [0; 48], None).expect("a launch");
    let chain = Chain::from_table(&psp.certificates().expect("a table")).expect("a chain");
    let verdict = verify(&request, &me, chain.clone(), &reference);
    assert!(verdict.is_accepted(), "{verdict}");
    let refused = verify(&request, &other, chain, &reference);
    assert_eq!(refused.reasons(), [Reason::ReportData], "it asks another owner");

    let keys = Keys::new(&[0x5c; 32], None).expect("a key");
    let package = |owner: &Owner| -> StateKeyPackage {
        owner.pack(&request, &keys, &mut UnwrapErr(SysRng)).expect("a package")
    };
    let file = folder.join("owner.state-key");
    let with = |package: StateKeyPackage| {
        std::fs::write(&file, package.as_bytes()).expect("a file");
        Options { state_key: Some(file.clone()), ..options.clone() }
    };
    let forged = with(package(&other));
    assert_eq!(outcome(&forged), (Outcome::Failure(FOREIGN_KEY), None));
    let given = with(package(&me));
    let (found, count) = outcome(&given);
    assert_eq!(found, Outcome::Found(0));
    let count = count.expect("it counted");
    let (found, _) = outcome(&given);
    assert!(found == Outcome::Found(count) || found == Outcome::Found(count + 1), "{found:?}");
}
