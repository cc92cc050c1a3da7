// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest kit and the launcher by themselves: Linux under plain QEMU, without emulator and SVSM.
//! When these fail, the scenarios above them needn't be looked at.

use launcher::{Ending, Layers, Machine, Options};
use std::time::Duration;

fn linux_alone() -> Options {
    Options { layers: Layers::LinuxAlone, ..Options::default() }
}

#[test]
fn a_command_that_takes_too_long_is_given_up() {
    let options = Options { command_timeout: Duration::from_secs(2), ..linux_alone() };
    let mut machine = Machine::boot(&options).expect("the guest comes up");
    let failure = machine.run("sleep 600").expect_err("it can't have ended");
    assert!(failure.to_string().contains("`sleep 600` ran for 2 s"), "{failure}");
}

#[test]
fn a_machine_that_ends_early_is_told_from_one_that_hangs() {
    // Too little memory for the kernel's first allocations: it panics, and panic=-1 restarts it.
    let mut options = linux_alone();
    options.command_line.push_str(" rdinit=/nothing-there");
    let failure = Machine::boot(&options).expect_err("there is no init");
    let text = failure.to_string();
    assert!(text.contains("never came up") && text.contains("the machine ended"), "{text}");
    assert!(text.contains("Kernel panic"), "the log's end is shown: {text}");
}

#[test]
fn qemu_s_own_complaint_is_shown() {
    let options = Options { qemu_arguments: vec!["-no-such-option".to_owned()], ..linux_alone() };
    let failure = Machine::start(&options).expect_err("QEMU knows no such option");
    assert!(failure.to_string().contains("no-such-option: invalid option"), "{failure}");
}

#[test]
fn commands_have_outputs_exit_codes_and_input() {
    let mut machine = Machine::boot(&linux_alone()).expect("the guest comes up");

    let output = machine.run("echo out; echo err >&2; exit 7").expect("it runs");
    assert_eq!(output.code, 7);
    assert_eq!(output.stdout, b"out\n");
    assert_eq!(output.stderr, b"err\n");

    assert_eq!(machine.run("kill -9 $$").expect("it runs").code, 128 + 9);
    assert_eq!(machine.run("no-such-program").expect("the shell says so").code, 127);
    assert!(machine.check("false").is_err());
    assert!(machine.run(&"x".repeat(5000)).is_err(), "too long for one message");

    // Every byte value both ways, more than any buffer on the way holds.
    let input: Vec<u8> = (0..=u8::MAX).cycle().take(20_000).collect();
    let echoed = machine.run_with_input("cat", &input).expect("it runs");
    assert_eq!(echoed.code, 0);
    assert!(echoed.stdout == input, "{} bytes came back changed", echoed.stdout.len());
    // A command that doesn't read its input is no failure.
    assert_eq!(machine.run_with_input("true", &input).expect("it runs").code, 0);

    // The kit's tools are there; without an SVSM there is no TPM.
    machine.check("tpm2_getcap --version").expect("tpm2-tools are installed");
    machine.check("test ! -e /dev/tpm0").expect("no TPM");

    let log = machine.power_off().expect("the guest powers off");
    assert!(!log.find("Linux version").expect("the log").is_empty());
    std::fs::remove_file(log.path()).expect("the log was there");
}

#[test]
fn a_guest_may_power_itself_off() {
    let mut machine = Machine::boot(&linux_alone()).expect("the guest comes up");
    machine.run("poweroff -f").expect_err("the machine is gone before an answer");
    let ending = machine.wait(Some(Duration::from_secs(60))).expect("it ends");
    assert_eq!(ending, Ending::PoweredOff);
}
