// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU is killed while a guest writes an NV index: whatever the TPM had acknowledged is there at
//! the next start, and every start succeeds. `POWER_CUTS` says how often; some cuts come before
//! the guest runs at all.

mod guest;

use calls::console::last_number;
use calls::run::WRITER;
use calls::writer::{ACKNOWLEDGED, FOUND, REFUSED};
use guest::START_LIMIT;
use launcher::{Log, Machine, Options};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Cuts when nobody says otherwise.
const CUTS: u32 = 4;
/// One cut in so many comes during the start.
const EARLY: u64 = 5;

/// The last number behind this text in the log.
fn last(log: &Log, text: &str) -> Option<u64> {
    last_number(&log.find(text).expect("the log"))
}

/// Waits until the writer has said what it found; the number.
fn found(machine: &mut Machine) -> u64 {
    let start = Instant::now();
    loop {
        if let Some(number) = last(machine.log(), FOUND) {
            return number;
        }
        let refused = machine.log().find(REFUSED).expect("the log");
        let state = machine.log().find("state:").expect("the log");
        assert!(refused.is_empty(), "{refused:?} {state:?}");
        assert!(start.elapsed() < START_LIMIT, "no start: {state:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A generator for moments; the seed is printed.
struct Moments(u64);

impl Moments {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn what_was_acknowledged_survives_every_cut() {
    let cuts = std::env::var("POWER_CUTS").ok().and_then(|text| text.parse().ok());
    let cuts: u32 = cuts.unwrap_or(CUTS);
    let seed = SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs() << 1 | 1;
    println!("{cuts} cuts, seed {seed}");
    let mut moments = Moments(seed);
    let image = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("power-cut.img");
    let _absent = std::fs::remove_file(&image);
    let options = Options {
        memory_mib: 512,
        state: Some(image),
        command_line: String::from_utf8(WRITER.to_vec()).expect("ASCII"),
        ..guest::options(1)
    };
    let (mut acknowledged, mut writes, mut early) = (0, 0, 0);
    for cut in 1..=cuts + 1 {
        let mut machine = Machine::start(&options).expect("the machine starts");
        if cut <= cuts && moments.below(EARLY) == 0 {
            early += 1;
            thread::sleep(Duration::from_millis(moments.below(4000)));
        } else {
            let number = found(&mut machine);
            assert!(
                number == acknowledged || number == acknowledged + 1,
                "start {cut}: {number} was found, and {acknowledged} was acknowledged"
            );
            acknowledged = number;
            thread::sleep(Duration::from_millis(moments.below(1500)));
        }
        // Dropping it kills QEMU; the log is complete then.
        let log = machine.log().clone();
        drop(machine);
        // What the guest has read counts as well: it was durable before.
        if let Some(number) = last(&log, ACKNOWLEDGED).or(last(&log, FOUND)) {
            assert!(number >= acknowledged, "cut {cut}: {number} after {acknowledged}");
            writes += number - acknowledged;
            acknowledged = number;
        }
    }
    println!("{cuts} cuts, {early} of them during the start, {writes} acknowledged writes");
    assert!(acknowledged > 0, "something was written");
}
