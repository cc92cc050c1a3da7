// SPDX-License-Identifier: MIT OR Apache-2.0
//! The whole machine: IGVM file, emulator, SVSM at VMPL0, unmodified Linux at VMPL2, tpm2-tools.

use launcher::{Ending, Machine, Options};
use std::time::Duration;

/// The code that the emulator ends with when a rule of the architecture was broken
/// (tests/emulator/src/exit_code.rs).
const VIOLATION: u8 = 5;

/// The code that the emulator ends with when the guest asked for its own termination.
const GUEST_TERMINATED: u8 = 6;

/// Boots with a fault that is built into the SVSM; how the machine ended, and the lines of its log
/// that contain `report`.
fn end_with(feature: &str, report: &str) -> (Ending, Vec<String>) {
    let options = Options { svsm_features: vec![feature.to_owned()], ..Options::default() };
    let mut machine = Machine::start(&options).expect("the machine starts");
    assert!(machine.wait_ready().is_err(), "{feature}: Linux came up, nobody caught it");
    let ending = machine.wait(Some(Duration::from_secs(60))).expect("the machine ends");
    (ending, machine.log().find(report).expect("the log"))
}

/// The emulator's report of the rule that a fault breaks.
fn violation_of(feature: &str) -> String {
    let (ending, reports) = end_with(feature, "machine-violation:");
    assert_eq!(ending, Ending::Stopped(VIOLATION), "{feature}: {reports:?}");
    assert_eq!(reports.len(), 1, "{feature}: one report: {reports:?}");
    reports.concat()
}

/// The emulator raises #VC 0x404, as a processor does. The SVSM names the place and gives up.
#[test]
fn a_page_that_was_not_validated_is_caught() {
    let (ending, lines) = end_with("fault-skip-pvalidate", "svsm: ");
    let what = "fatal: access to a page that is not validated (#VC 0x404)";
    let reports: Vec<_> = lines.iter().filter(|line| line.contains(what)).collect();
    assert_eq!(ending, Ending::Stopped(GUEST_TERMINATED), "{reports:?}");
    let [report] = reports[..] else { panic!("one report: {reports:?}") };
    assert!(report.contains("rip 0x") && report.contains("address 0x"), "{report}");
    // The host may cause this at any instruction, and reads it: registers may hold parts of keys.
    for register in ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r12"] {
        let told = lines.iter().find(|line| line.contains(&format!(" {register} 0x")));
        assert_eq!(told, None);
    }
}

#[test]
fn a_page_shared_by_mistake_is_caught() {
    let report = violation_of("fault-shared-page");
    assert!(report.contains("rule=private-access-to-unassigned-page"), "{report}");
}

#[test]
fn a_vmpl_permission_too_many_is_caught() {
    let report = violation_of("fault-vmpl-permission");
    assert!(report.contains("rule=vmpl-permission"), "{report}");
}

/// What every boot must show: Linux knows where it is, and the TPM works.
fn boots_with(cpus: u8) {
    let options = Options { cpus, ..Options::default() };
    let mut machine = Machine::boot(&options).expect("the guest comes up");

    // What was measured at launch is what igvmbuilder said would be.
    let digest = machine.launch_digest().expect("an IGVM file was measured").to_owned();
    assert_eq!(digest.len(), 96, "SHA-384: {digest}");
    let launches = machine.log().find("machine-json: {\"kind\":\"launch\"").expect("the log");
    assert_eq!(launches, [format!(r#"machine-json: {{"kind":"launch","digest":"{digest}"}}"#)]);

    // There is no disk, and that is said.
    let states = machine.log().find("svsm: state: ").expect("the log");
    assert_eq!(states.len(), 1, "{states:?}");
    assert!(states.concat().ends_with("state: no disk: this TPM is ephemeral"), "{states:?}");

    let count = machine.check("nproc").expect("it runs");
    assert_eq!(count.trim(), cpus.to_string());
    let messages = machine.check("dmesg").expect("it runs");
    for part in ["SEV-SNP", "running at VMPL2", "2.0 device"] {
        assert!(
            messages.lines().any(|line| line.contains(part)),
            "the kernel doesn't say {part}: {messages}"
        );
    }
    machine.check("test -c /dev/tpm0 && test -c /dev/tpmrm0").expect("the TPM's devices");
    machine.check("tpm2_selftest --fulltest").expect("the TPM tests itself");
    let properties = machine.check("tpm2_getcap properties-fixed").expect("it runs");
    assert!(properties.contains("TPM2_PT_FAMILY_INDICATOR"), "{properties}");

    let first = machine.check("tpm2_getrandom --hex 32").expect("it runs");
    let second = machine.check("tpm2_getrandom --hex 32").expect("it runs");
    assert_eq!(first.trim().len(), 64, "{first}");
    assert_ne!(first, second);
    extend_changes_the_register(&mut machine);

    machine.power_off().expect("the guest powers off");
}

/// PCR 16 is the debug register: zero at the start, and no one else's.
fn extend_changes_the_register(machine: &mut Machine) {
    let zeros = "00".repeat(32);
    let before = machine.check("tpm2_pcrread sha256:16").expect("it runs");
    assert!(before.contains(&zeros), "{before}");
    let event = "11".repeat(32);
    machine.check(&format!("tpm2_pcrextend 16:sha256={event}")).expect("it runs");
    let read = machine.check("tpm2_pcrread sha256:16").expect("it runs");
    // The digest of the old value and the event, by a program that has nothing to do with the TPM.
    let expected = machine
        .check(&format!("printf '{zeros}{event}' | xxd -r -p | sha256sum | cut -d' ' -f1"))
        .expect("it runs");
    assert!(read.to_lowercase().contains(expected.trim()), "{read} is not {expected}");
}

#[test]
fn boots_with_one_cpu() {
    boots_with(1);
}

#[test]
fn boots_with_two_cpus() {
    boots_with(2);
}

/// Linux parks an offline CPU in the hypervisor and creates a new VMSA for it when it comes back.
/// Once only: Linux 7.3 counts the GHCB that it parked with as in use for ever, so that a second
/// time finds neither it nor the backup free and panics, on any hypervisor.
#[test]
fn a_cpu_goes_offline_and_comes_back() {
    let options = Options { cpus: 2, ..Options::default() };
    let mut machine = Machine::boot(&options).expect("the guest comes up");
    machine.check("echo 0 > /sys/devices/system/cpu/cpu1/online").expect("it goes");
    assert_eq!(machine.check("nproc").expect("it runs").trim(), "1");
    machine.check("tpm2_getrandom --hex 8").expect("the other CPU calls the SVSM");
    machine.check("echo 1 > /sys/devices/system/cpu/cpu1/online").expect("it comes back");
    assert_eq!(machine.check("nproc").expect("it runs").trim(), "2");
    machine.check("taskset 2 tpm2_getrandom --hex 8").expect("it calls the SVSM");
    machine.power_off().expect("the guest powers off");
}
