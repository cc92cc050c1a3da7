// SPDX-License-Identifier: MIT OR Apache-2.0
//! No vCPU waits for a key: keys are created faster than they can be made, and the guest goes on.
//! docs/key-pool.md says what is measured and how it is bounded.

use launcher::{Machine, Options, initrd_with_selftests};
use std::time::Duration;

/// Keys that are created in a row: more than the pool holds.
const KEYS: u32 = 12;
/// Attempts that Linux makes before it gives up.
const ATTEMPTS: usize = 8;
/// What the guest's kernel says when something held it up for too long.
const COMPLAINTS: [&str; 4] =
    ["soft lockup", "rcu_preempt detected", "rcu_sched", "blocked for more than"];

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
    let has_service_cpu = options.service_cpu;
    let initrd = initrd_with_selftests().expect("the guest kit makes it");
    let command_timeout = Duration::from_secs(600);
    let mut machine = Machine::boot(&Options { initrd: Some(initrd), command_timeout, ..options })
        .expect("the guest comes up");
    let idle = worst_gap(&mut machine, "sleep 5");
    let script = format!("COUNT={KEYS}\n{}", include_str!("keys/loop.sh"));
    let busy = worst_gap(&mut machine, &format!("( {script}\n) >/tmp/made || exit 1"));
    println!("worst gap of a timer: {idle} us while idle, {busy} us while creating keys");
    assert_eq!(machine.check("cat /tmp/made").expect("it runs").trim(), format!("{KEYS} keys"));
    let messages = machine.check("dmesg").expect("it runs");
    for complaint in COMPLAINTS {
        let found = messages.lines().find(|line| line.contains(complaint));
        assert!(found.is_none(), "{found:?}");
    }
    let log = machine.power_off().expect("the guest powers off");
    let reports = log.find("residency kind=Vtpm").expect("the log");
    let residency = reports.last().expect("the SVSM reports when the guest shuts down");
    let reports = log.find("keys attempts=").expect("the log");
    let keys = reports.last().expect("the SVSM reports its keys");
    println!("{residency}\n{keys}");
    check_attempts(keys, has_service_cpu);
}

/// Nobody had to come more often than Linux does. Without a service vCPU the pool ran dry; with one
/// it may be filled faster than the guest can ask.
fn check_attempts(keys: &str, has_service_cpu: bool) {
    let list = keys.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    let (list, _) = list.expect("a list of counts");
    let counts = list.split(", ").map(|count| count.parse::<u32>().expect("a count"));
    let counts: Vec<u32> = counts.collect();
    assert!(has_service_cpu || counts[0] > 0, "the pool never ran dry: {keys}");
    assert_eq!(counts[ATTEMPTS..].iter().sum::<u32>(), 0, "Linux would have given up: {keys}");
}

#[test]
fn one_cpu_creates_keys_and_goes_on() {
    create_keys(Options::default());
}

#[test]
fn two_cpus_create_keys_with_a_service_cpu() {
    create_keys(Options { cpus: 2, service_cpu: true, ..Options::default() });
}
