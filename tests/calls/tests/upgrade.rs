// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who opens the TPM's store: images of the same signer with the same or a higher security version,
//! and nobody else. Who doesn't open it leaves it alone, and its TPM says why.

mod guest;

use calls::console::last_number;
use calls::run::WRITER;
use calls::writer::{ACKNOWLEDGED, BECAUSE, FOUND};
use launcher::{IdBlock, Images, Log, Machine, Options};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// How long a start may take on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(180);
/// A policy that allows debugging as well (AMD 56860, 4.3).
const OTHER_POLICY: u64 = 0xb_0000;

/// What a start of the guest ends in.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// It read this count, and went on to count.
    Found(u64),
    /// Its TPM is in failure mode, for this reason of the platform's.
    Failure(u64),
}

fn number(log: &Log, text: &str) -> Option<u64> {
    last_number(&log.find(text).expect("the log"))
}

/// Boots until the guest has said enough, then cuts the power: the outcome, and the last count that
/// was acknowledged.
fn outcome(options: &Options) -> (Outcome, Option<u64>) {
    let machine = Machine::start(options).expect("the machine starts");
    let start = Instant::now();
    let log = machine.log().clone();
    let outcome = loop {
        if let (Some(found), Some(_)) = (number(&log, FOUND), number(&log, ACKNOWLEDGED)) {
            break Outcome::Found(found);
        }
        if let Some(reason) = number(&log, BECAUSE) {
            break Outcome::Failure(reason >> 16);
        }
        let state = log.find("svsm:").expect("the log");
        assert!(start.elapsed() < START_LIMIT, "no start: {state:?}");
        thread::sleep(Duration::from_millis(20));
    };
    drop(machine);
    (outcome, number(&log, ACKNOWLEDGED))
}

/// A signer of our own.
fn other_signer(folder: &Path) -> PathBuf {
    let path = folder.join("other-signer.pem");
    let _absent = std::fs::remove_file(&path);
    let images = Images::build(&[]).expect("the images");
    let made = Command::new(images.igvmbuilder).arg("keygen").arg("--output").arg(&path).status();
    assert!(made.expect("igvmbuilder starts").success());
    path
}

#[test]
fn only_the_signer_and_no_older_image_opens_the_store() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let image = folder.join("upgrade.img");
    let _absent = std::fs::remove_file(&image);
    let signed = |guest_svn| Some(IdBlock { guest_svn, ..IdBlock::default() });
    let first = Options {
        memory_mib: 512,
        state: Some(image),
        command_line: String::from_utf8(WRITER.to_vec()).expect("ASCII"),
        id_block: signed(2),
        ..guest::options(1)
    };
    let (outcome_of_first, count) = outcome(&first);
    assert_eq!(outcome_of_first, Outcome::Found(0));
    let mut count = count.expect("it counted");

    // Nobody else: a lower version, another signer, another policy, no ID block.
    let other = IdBlock { id_key: Some(other_signer(&folder)), guest_svn: 2 };
    let strangers = [
        (Options { id_block: signed(1), ..first.clone() }, 33),
        (Options { id_block: Some(other), ..first.clone() }, 5),
        (Options { policy: Some(OTHER_POLICY), ..first.clone() }, 5),
        (Options { id_block: None, ..first.clone() }, 33),
    ];
    for (options, reason) in strangers {
        assert_eq!(outcome(&options), (Outcome::Failure(reason), None), "{:?}", options.id_block);
    }

    // A higher version; afterwards the lower one doesn't any more.
    let mut goes_on = |options: &Options| {
        let (outcome, acknowledged) = outcome(options);
        assert!(
            outcome == Outcome::Found(count) || outcome == Outcome::Found(count + 1),
            "{outcome:?} after {count}"
        );
        count = acknowledged.expect("it counted");
    };
    let upgraded = Options { id_block: signed(3), ..first.clone() };
    goes_on(&upgraded);
    assert_eq!(outcome(&first), (Outcome::Failure(33), None));
    goes_on(&upgraded);
}
