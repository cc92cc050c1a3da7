// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of malformed calls, made by a guest at VMPL2 against the real SVSM on the emulator.

mod guest;

use calls::{cases::CASES, verdict};
use guest::START_LIMIT;
use launcher::{Ending, Machine};

/// The emulator's exit code for a termination that the guest asked for
/// (tests/emulator/src/exit_code.rs).
const GUEST_TERMINATED: u8 = 6;

/// Boots the guest and says how it ended.
fn run(cpus: u8) {
    let mut machine = Machine::start(&guest::options(cpus)).expect("the machine starts");
    let ending = machine.wait(Some(START_LIMIT)).expect("the guest ends it");
    let report = machine.log().find("machine-termination:").expect("the log").concat();
    assert_eq!(ending, Ending::Stopped(GUEST_TERMINATED), "{report}");
    let code = field(&report, "code=");
    assert_eq!(field(&report, "set="), verdict::REASON_SET, "{report}");
    assert_ne!(code, verdict::WRONG_KEYS, "the guest's secrets page");
    assert_ne!(code, verdict::EXCHANGED, "a page exchanged without the SVSM");
    if code != verdict::PASSED {
        let case = usize::try_from(code).ok().and_then(|number| CASES.get(number.wrapping_sub(1)));
        panic!("case {:?} of {}: {report}", case.map(|case| case.name), CASES.len());
    }
    assert!(report.contains("vmpl=2"), "{report}");
}

fn field(report: &str, name: &str) -> u64 {
    let value = report.split_whitespace().find_map(|word| word.strip_prefix(name)).expect(name);
    u64::from_str_radix(value.trim_start_matches("0x"), 16).expect("a number")
}

#[test]
fn every_malformed_call_gets_its_result_code() {
    run(1);
}

#[test]
fn also_with_two_processors() {
    run(2);
}

#[test]
fn the_image_is_a_kernel_to_the_svsm() {
    assert!(CASES.len() >= 60 && CASES.len() < 0xf0);
    let image = guest::kernel_image(&guest::build());
    let parsed = snp_abi::linux::KernelImage::parse(&image, image.len() as u64).expect("a kernel");
    assert_eq!(parsed.header.relocatable_kernel, 0);
    assert!(parsed.init_size >= 0x40_0000);
}
