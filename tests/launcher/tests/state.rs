// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TPM with a disk remembers, over the guest's power-off, what a guest's user did with it; and
//! one whose disk is no store is in failure mode, without holding the guest up.

use launcher::{Log, Machine, Options};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// How long three writes may take on a busy machine.
const COUNT_LIMIT: Duration = Duration::from_secs(180);

/// A disk image that isn't there yet.
fn image(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _absent = std::fs::remove_file(&path);
    path
}

fn options(state: PathBuf) -> Options {
    Options { state: Some(state), ..Options::default() }
}

/// The endorsement key's public area as the tools make it, and the number of TPM Resets.
fn identity(machine: &mut Machine) -> (String, u32) {
    let key = machine
        .check(
            "tpm2_createek -G ecc -c /tmp/ek.ctx -u /tmp/ek.pub && sha256sum < /tmp/ek.pub \
             && tpm2_flushcontext -t",
        )
        .expect("an endorsement key");
    let clock = machine.check("tpm2_readclock").expect("it runs");
    let line = clock.lines().find(|line| line.contains("reset_count")).expect("a reset count");
    let count = line.rsplit(' ').next().and_then(|number| number.parse().ok());
    (key, count.unwrap_or_else(|| panic!("no number: {clock}")))
}

#[test]
fn what_the_guest_did_is_there_after_it_was_off() {
    let options = options(image("state.img"));
    let mut machine = Machine::boot(&options).expect("the guest comes up");
    let said = machine.log().find("state: a new store").expect("the log");
    assert_eq!(said.len(), 1, "it says that the TPM is new");
    // The guest sees nothing of the disk, wherever it looks.
    machine
        .check(
            "cd /sys/bus/pci/devices && test -e 0000:00:00.0 && test ! -e 0000:00:1e.0 \
             && ! grep -q 0x1042 */device",
        )
        .expect("the SVSM's disk is hidden");
    let (key, count) = identity(&mut machine);
    machine
        .check(
            "tpm2_createprimary -Q -C o -G ecc -c /tmp/p.ctx \
             && tpm2_evictcontrol -Q -C o -c /tmp/p.ctx 0x81000001 \
             && tpm2_readpublic -c 0x81000001 -n /tmp/name -Q && cp /tmp/name /tmp/name.before \
             && tpm2_nvdefine -Q 0x1500020 -C o -s 32 -a 'ownerread|ownerwrite' \
             && printf 'what was written to the NV index' > /tmp/data \
             && tpm2_nvwrite 0x1500020 -C o -i /tmp/data \
             && tpm2_changeauth -c o secret",
        )
        .expect("a key, an index, an authorisation value");
    let name = machine.check("xxd -p -c 64 /tmp/name").expect("it runs");
    machine.power_off().expect("the guest powers off");

    let mut machine = Machine::boot(&options).expect("the guest comes up again");
    assert_eq!(identity(&mut machine), (key.clone(), count + 1), "the same TPM, once more");
    let again = machine
        .check("tpm2_readpublic -c 0x81000001 -n /tmp/name -Q && xxd -p -c 64 /tmp/name")
        .expect("the key is there");
    assert_eq!(again, name);
    let data = machine.check("tpm2_nvread 0x1500020 -C o -P secret").expect("the index is there");
    assert_eq!(data, "what was written to the NV index");
    let refused = machine.run("tpm2_nvread 0x1500020 -C o").expect("it runs");
    assert_ne!(refused.code, 0, "the owner has a password");
    assert!(was_orderly(&mut machine), "Linux had shut the TPM down");
    let acknowledged = write_until_the_power_is_cut(machine);

    let mut machine = Machine::boot(&options).expect("the guest comes up after a loss of power");
    assert_eq!(identity(&mut machine), (key, count + 2), "the same TPM, once more");
    let data = machine.check("tpm2_nvread 0x1500021 -C o -P secret").expect("the index is there");
    let found: u32 = data.parse().unwrap_or_else(|_| panic!("no number: {data}"));
    assert!(found >= acknowledged, "{found} after {acknowledged} was acknowledged");
    let data = machine.check("tpm2_nvread 0x1500020 -C o -P secret").expect("the index is there");
    assert_eq!(data, "what was written to the NV index");
    assert!(!was_orderly(&mut machine), "nobody had shut the TPM down");
    machine.power_off().expect("the guest powers off");
}

/// Whether the TPM had been shut down before it started.
fn was_orderly(machine: &mut Machine) -> bool {
    let properties = machine.check("tpm2_getcap properties-variable").expect("it runs");
    let orderly = properties.lines().find(|line| line.contains("orderly")).expect("a property");
    orderly.ends_with('1')
}

/// Has the guest count in an NV index and pulls the plug meanwhile: the last count that the guest
/// says was written.
fn write_until_the_power_is_cut(mut machine: Machine) -> u32 {
    machine
        .check(
            "tpm2_nvdefine -Q 0x1500021 -C o -P secret -s 8 -a 'ownerread|ownerwrite' \
             && (setsid sh -c 'n=10000000; while n=$((n + 1)); do printf $n > /tmp/count; \
                 tpm2_nvwrite 0x1500021 -C o -P secret -i /tmp/count || break; \
                 echo counted $n. > /dev/console; done' < /dev/null > /dev/null 2>&1 &)",
        )
        .expect("an index");
    let log = machine.log().clone();
    let start = Instant::now();
    while counts(&log).len() < 3 {
        assert!(start.elapsed() < COUNT_LIMIT, "nothing is counted");
        thread::sleep(Duration::from_millis(20));
    }
    // Dropping it kills QEMU; the log is complete then.
    drop(machine);
    *counts(&log).last().expect("there were some")
}

/// What was counted, line by line; a line that was cut off doesn't count.
fn counts(log: &Log) -> Vec<u32> {
    let lines = log.find("counted ").expect("the log");
    let number = |line: &String| {
        let (_, rest) = line.split_once("counted ")?;
        rest.split_once('.')?.0.parse().ok()
    };
    lines.iter().filter_map(number).collect()
}

#[test]
fn a_disk_with_something_else_is_left_alone() {
    let image = image("foreign.img");
    let content: Vec<u8> = (0..4_u32 << 20).map(|n| (n % 251) as u8).collect();
    std::fs::write(&image, &content).expect("a file");
    let mut machine = Machine::boot(&options(image.clone())).expect("the guest comes up");
    let said = machine.log().find("state: refused: the disk holds something").expect("the log");
    assert_eq!(said.len(), 1);
    // Linux makes no device of a TPM in failure mode.
    let messages = machine.check("dmesg").expect("it runs");
    assert!(messages.contains("TPM error (257)"), "{messages}");
    machine.check("test ! -e /dev/tpm0").expect("no TPM");
    machine.power_off().expect("the guest powers off");
    assert_eq!(std::fs::read(&image).expect("the image"), content, "nothing was written");
}
