// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest's user does with the TPM, by tpm2-tools and by Linux's own tests, over the SVSM.

use launcher::{Machine, Options, initrd_with_selftests};
use std::time::Duration;

/// Creating RSA keys takes its time on an emulated processor.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(600);

/// Shell scripts of what is to succeed, in this order: later ones use the keys of earlier ones.
const SCRIPTS: [(&str, &str); 5] = [
    ("keys", include_str!("tools/keys.sh")),
    ("quote", include_str!("tools/quote.sh")),
    ("seal", include_str!("tools/seal.sh")),
    ("nv", include_str!("tools/nv.sh")),
    ("persistent", include_str!("tools/persistent.sh")),
];

fn boot(options: Options) -> Machine {
    let options = Options { command_timeout: COMMAND_TIMEOUT, ..options };
    Machine::boot(&options).expect("the guest comes up")
}

#[test]
fn tools_work_over_the_svsm() {
    let prelude = include_str!("tools/prelude.sh");
    let mut machine = boot(Options { cpus: 2, ..Options::default() });
    for (name, script) in SCRIPTS {
        let ran = machine.check(&format!("{prelude}\n{script}"));
        ran.unwrap_or_else(|failure| panic!("{name}.sh: {failure}"));
    }
    machine.power_off().expect("the guest powers off");
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
