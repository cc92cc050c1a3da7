// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest's user does with the TPM, by tpm2-tools and by Linux's own tests, over the SVSM.

use launcher::{Machine, Options, initrd_with_selftests};
use std::time::Duration;

/// Creating RSA keys takes its time on an emulated processor.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(600);

fn boot(options: Options) -> Machine {
    let options = Options { command_timeout: COMMAND_TIMEOUT, ..options };
    let mut machine = Machine::boot(&options).expect("the guest comes up");
    machine.check("mkdir -p /tmp/keys").expect("a folder");
    machine
}

/// Runs the lines one after the other in /tmp/keys; the first that fails ends the test.
fn each(machine: &mut Machine, lines: &[&str]) {
    for line in lines {
        machine.check(&format!("cd /tmp/keys && {line}")).expect("tpm2-tools succeed");
    }
}

#[test]
fn tools_work_over_the_svsm() {
    let mut machine = boot(Options { cpus: 2, ..Options::default() });
    keys_sign_and_verify(&mut machine);
    quotes_are_checked(&mut machine);
    seals_open_under_their_policy_only(&mut machine);
    nv_indices_keep_what_is_written(&mut machine);
    objects_persist(&mut machine);
    machine.power_off().expect("the guest powers off");
}

fn keys_sign_and_verify(machine: &mut Machine) {
    each(
        machine,
        &[
            "tpm2_createprimary -Q -C o -G ecc -c primary.ctx",
            "tpm2_create -Q -C primary.ctx -G rsa2048 -u rsa.pub -r rsa.priv",
            "tpm2_load -Q -C primary.ctx -u rsa.pub -r rsa.priv -c rsa.ctx",
            "tpm2_create -Q -C primary.ctx -G ecc -u ecc.pub -r ecc.priv",
            "tpm2_load -Q -C primary.ctx -u ecc.pub -r ecc.priv -c ecc.ctx",
            "echo message > message",
            "tpm2_sign -Q -c rsa.ctx -g sha256 -s rsassa -o rsa.sig message",
            "tpm2_verifysignature -Q -c rsa.ctx -g sha256 -s rsa.sig -m message",
            "tpm2_sign -Q -c ecc.ctx -g sha256 -s ecdsa -o ecc.sig message",
            "tpm2_verifysignature -Q -c ecc.ctx -g sha256 -s ecc.sig -m message",
            "echo Message > other",
            "! tpm2_verifysignature -Q -c rsa.ctx -g sha256 -s rsa.sig -m other 2>/dev/null",
            "! tpm2_verifysignature -Q -c ecc.ctx -g sha256 -s ecc.sig -m other 2>/dev/null",
        ],
    );
}

fn quotes_are_checked(machine: &mut Machine) {
    each(
        machine,
        &[
            "tpm2_createek -Q -c ek.ctx -G rsa -u ek.pem -f pem",
            "tpm2_createak -Q -C ek.ctx -c ak.ctx -G ecc -g sha256 -s ecdsa -u ak.pem -f pem -n ak.name",
            "tpm2_quote -Q -c ak.ctx -l sha256:0,8,16 -q 0badcafe -m quote -s quote.sig -o quote.pcrs",
            "tpm2_checkquote -Q -u ak.pem -m quote -s quote.sig -f quote.pcrs -g sha256 -q 0badcafe",
            "! tpm2_checkquote -Q -u ak.pem -m quote -s quote.sig -f quote.pcrs -g sha256 -q 0badcaff 2>/dev/null",
            "echo secret > secret",
            "tpm2_makecredential -Q -u ek.pem -s secret -n $(xxd -p -c 100 ak.name) -o credential -G rsa",
            "tpm2_startauthsession --policy-session -S session.ctx",
            "tpm2_policysecret -Q -S session.ctx -c e",
            "tpm2_activatecredential -Q -c ak.ctx -C ek.ctx -P session:session.ctx -i credential -o opened",
            "tpm2_flushcontext session.ctx",
            "cmp secret opened",
        ],
    );
}

fn seals_open_under_their_policy_only(machine: &mut Machine) {
    each(
        machine,
        &[
            "tpm2_pcrreset 16",
            "tpm2_createpolicy -Q --policy-pcr -l sha256:16 -L pcr.policy",
            "printf 'the key of a disk' | tpm2_create -Q -C primary.ctx -L pcr.policy -i - -u seal.pub -r seal.priv",
            "tpm2_load -Q -C primary.ctx -u seal.pub -r seal.priv -c seal.ctx",
            "test \"$(tpm2_unseal -c seal.ctx -p pcr:sha256:16)\" = 'the key of a disk'",
            "! tpm2_unseal -c seal.ctx 2>/dev/null",
            "tpm2_pcrextend 16:sha256=1111111111111111111111111111111111111111111111111111111111111111",
            "! tpm2_unseal -c seal.ctx -p pcr:sha256:16 2>/dev/null",
        ],
    );
}

fn nv_indices_keep_what_is_written(machine: &mut Machine) {
    each(
        machine,
        &[
            "tpm2_nvdefine -Q 0x1500001 -C o -s 64 -a 'ownerread|ownerwrite|authread|authwrite' -p word",
            "printf '%064d' 7 > data",
            "tpm2_nvwrite -Q 0x1500001 -C 0x1500001 -P word -i data",
            "tpm2_nvread 0x1500001 -C 0x1500001 -P word -s 64 > read",
            "cmp data read",
            "! tpm2_nvread 0x1500001 -C 0x1500001 -P wrong -s 64 2>/dev/null",
            "tpm2_nvundefine -Q 0x1500001 -C o",
            "! tpm2_nvread 0x1500001 -C o -s 64 2>/dev/null",
            "tpm2_dictionarylockout --clear-lockout",
        ],
    );
}

fn objects_persist(machine: &mut Machine) {
    each(
        machine,
        &[
            "tpm2_evictcontrol -Q -C o -c ecc.ctx 0x81010001",
            "tpm2_getcap handles-persistent | grep -q 0x81010001",
            "tpm2_sign -Q -c 0x81010001 -g sha256 -s ecdsa -o persistent.sig message",
            "tpm2_verifysignature -Q -c ecc.ctx -g sha256 -s persistent.sig -m message",
            "tpm2_evictcontrol -Q -C o -c 0x81010001",
            "! tpm2_getcap handles-persistent | grep -q 0x81010001",
        ],
    );
}

/// The tests are of the guest kernel's own source (tools/testing/selftests/tpm2). Python's unittest
/// writes how many it ran, and `OK` when all passed.
#[test]
fn linux_s_own_tests_pass() {
    let initrd = initrd_with_selftests().expect("the guest kit makes it");
    let mut machine = boot(Options { initrd: Some(initrd), ..Options::default() });
    for (class, count) in [("SmokeTest", 9), ("AsyncTest", 1), ("SpaceTest", 4)] {
        let command =
            format!("cd /usr/lib/selftests/tpm2 && python3 -m unittest -v tpm2_tests.{class} 2>&1");
        let output = machine.run(&command).expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.code, 0, "{text}");
        assert!(text.trim_end().ends_with("\nOK"), "none may be skipped: {text}");
        let ran = text.lines().find_map(|line| line.strip_prefix("Ran ")?.split(' ').next());
        let ran: u32 = ran.and_then(|ran| ran.parse().ok()).expect("unittest says how many");
        assert!(ran >= count, "{class}: {text}");
    }
    machine.power_off().expect("the guest powers off");
}
