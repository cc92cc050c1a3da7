// SPDX-License-Identifier: MIT OR Apache-2.0
//! One start of the guest that counts, and what comes of it.

use crate::guest::START_LIMIT;
use calls::console::last_number;
use calls::run::WRITER;
use calls::writer::{ACKNOWLEDGED, BECAUSE, FOUND};
use launcher::{Log, Machine, Options};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// What a start of the guest ends in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It read this count, and went on to count.
    Found(u64),
    /// Its TPM is in failure mode, for this reason of the platform's.
    Failure(u64),
}

/// One start.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) outcome: Outcome,
    /// The last count that was acknowledged.
    pub(crate) acknowledged: Option<u64>,
    /// What was measured of the image.
    pub(crate) launch_digest: String,
}

fn number(log: &Log, text: &str) -> Option<u64> {
    last_number(&log.find(text).expect("the log"))
}

/// Boots until the guest has said enough, then cuts the power: the outcome, and the last count that
/// was acknowledged.
pub(crate) fn outcome(options: &Options) -> (Outcome, Option<u64>) {
    let Run { outcome, acknowledged, .. } = run(options);
    (outcome, acknowledged)
}

/// The same, with all that is known of it.
pub(crate) fn run(options: &Options) -> Run {
    let machine = Machine::start(options).expect("the machine starts");
    let start = Instant::now();
    let log = machine.log().clone();
    let launch_digest = machine.launch_digest().expect("an IGVM file was measured").to_owned();
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
    Run { outcome, acknowledged: number(&log, ACKNOWLEDGED), launch_digest }
}

/// Options for the guest that counts, with an empty disk at this place.
pub(crate) fn options(image: PathBuf, machine: Options) -> Options {
    let _absent = std::fs::remove_file(&image);
    Options {
        memory_mib: 512,
        state: Some(image),
        command_line: String::from_utf8(WRITER.to_vec()).expect("ASCII"),
        ..machine
    }
}
