// SPDX-License-Identifier: MIT OR Apache-2.0
//! No vCPU waits for a key: keys are created faster than they can be made, and the guest goes on.
//! docs/key-pool.md says what is measured and how it is bounded.

use launcher::{Machine, Options, initrd_with_selftests};
use std::time::Duration;

/// Keys that are created one after the other, unless KEYS says otherwise: more than the pool holds.
const KEYS: &str = "12";
/// Attempts that Linux makes before it gives up.
const ATTEMPTS: usize = 8;
/// The multiplications that a vTPM call may spend on an RSA-2048 key, and a background slice. They
/// are counted where they are done, and a search can stop only some later.
const LONGEST_ATTEMPT: u64 = 220_000 + OVERSHOOT;
const LONGEST_BACKGROUND: u64 = 2_000 + OVERSHOOT;
const OVERSHOOT: u64 = 69;
/// Lets the guest's kernel complain after 10 s without its watchdog's turn (else 20), and after 5 s
/// without a quiescent state (else 21): a search on the spot takes up to 10 s on a busy host.
const IMPATIENCE: &str = "echo 5 >/proc/sys/kernel/watchdog_thresh; \
    echo 5 >/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout";
/// What the guest's kernel says when something held it up for too long.
const COMPLAINTS: [&str; 5] =
    ["soft lockup", "LOCKUP", "detected stall", "kthread starved", "blocked for more than"];

/// The worst gap of a timer in microseconds while `command` runs.
fn worst_gap(machine: &mut Machine, command: &str) -> u64 {
    let script = include_str!("keys/gaps.py").replace('\'', "\"");
    let output = machine.check(&format!(
        "rm -f /tmp/stop /tmp/reading; python3 -c '{script}' >/tmp/gap & reader=$!; \
         while [ ! -e /tmp/reading ]; do sleep 0.1; done; {command}; \
         touch /tmp/stop; wait $reader; cat /tmp/gap"
    ));
    let output = output.expect("keys are created and the timer is read");
    output.trim().parse().expect("a number of microseconds")
}

fn create_keys(options: Options) {
    let keys = std::env::var("KEYS").unwrap_or_else(|_| KEYS.to_owned());
    let initrd = initrd_with_selftests().expect("the guest kit makes it");
    let command_timeout = Duration::from_secs(1200);
    let mut machine = Machine::boot(&Options { initrd: Some(initrd), command_timeout, ..options })
        .expect("the guest comes up");
    machine.check(IMPATIENCE).expect("the kernel has these watchdogs");
    let idle = worst_gap(&mut machine, "sleep 5");
    let script = format!("COUNT={keys}\n{}", include_str!("keys/loop.sh"));
    let burst = format!("python3 -c '{}'", include_str!("keys/burst.py").replace('\'', "\""));
    let busy = format!("( {script}\n) >/tmp/made && {burst} >/tmp/burst || exit 1");
    let busy = worst_gap(&mut machine, &busy);
    println!("worst gap of a timer: {idle} us while idle, {busy} us while creating keys");
    assert_eq!(machine.check("cat /tmp/made").expect("it runs").trim(), format!("{keys} keys"));
    let messages = machine.check("dmesg").expect("it runs");
    for complaint in COMPLAINTS {
        let found = messages.lines().find(|line| line.contains(complaint));
        assert!(found.is_none(), "{found:?}");
    }
    let log = machine.power_off().expect("the guest powers off");
    let last = |text| {
        let reports = log.find(text).expect("the log");
        reports.last().expect("the SVSM reports when the guest shuts down").clone()
    };
    println!("{}\n{}", last("residency kind=Vtpm"), last("keys bits=2048"));
    let report = last("keys attempts=");
    println!("{report}\n{}", last("keys multiplications="));
    check_attempts(&report);
    check_slices(&report);
}

/// The pool ran dry, and nobody had to come more often than Linux does.
fn check_attempts(report: &str) {
    let counts = numbers(report, "attempts=[");
    assert!(counts[0] > 0, "the pool never ran dry: {report}");
    assert_eq!(counts[ATTEMPTS..].iter().sum::<u64>(), 0, "Linux would have given up: {report}");
}

/// No call took more than it may, in counted work (docs/key-pool.md).
fn check_slices(report: &str) {
    let (attempts, sizes) = (numbers(report, "attempts=["), numbers(report, "sizes=["));
    assert_eq!(attempts.iter().sum::<u64>(), sizes.iter().sum::<u64>(), "all are counted");
    let longest = numbers(report, "longest-attempt=")[0];
    assert!(longest <= LONGEST_ATTEMPT, "a vTPM call over its bound: {report}");
    let longest = numbers(report, "longest-background=")[0];
    assert!((1..=LONGEST_BACKGROUND).contains(&longest), "a slice over its bound: {report}");
}

/// The numbers that follow `name` in a report.
fn numbers(report: &str, name: &str) -> Vec<u64> {
    let (_, rest) = report.split_once(name).expect("a report has this field");
    let end = if name.ends_with('[') { ']' } else { ' ' };
    let text = rest.split(end).next().expect("there is always a first part");
    text.split(", ").map(|number| number.parse().expect("a number")).collect()
}

#[test]
fn one_cpu_creates_keys_and_goes_on() {
    create_keys(Options::default());
}

#[test]
fn two_cpus_create_keys_and_go_on() {
    create_keys(Options { cpus: 2, ..Options::default() });
}

#[test]
fn two_cpus_create_keys_with_a_service_cpu() {
    create_keys(Options { cpus: 2, service_cpu: true, ..Options::default() });
}
