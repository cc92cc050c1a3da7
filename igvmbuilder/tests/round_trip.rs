// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole file: built, read back, and measured by two programs.
#![forbid(unsafe_code)]

mod sample;

use igvm::{IgvmDirectiveHeader, IgvmFile, measurement::generate_snp_measurement};
use igvmbuilder::{
    SNP_COMPATIBILITY,
    build::{BuildError, Input, build},
    digest, file,
    inspect::Description,
};
use snp_abi::{
    config::{Console, LaunchFlags},
    launch::VMSA_GPA,
};

use sample::{elf, input};

fn built(change: impl Fn(&mut Input)) -> Vec<u8> {
    let mut input = input();
    change(&mut input);
    build(&input).expect("a good input")
}

fn measured(bytes: &[u8]) -> [u8; 48] {
    let igvm = file::read(bytes).expect("a file of ours");
    digest::measure(igvm.directives()).expect("directives of ours")
}

#[test]
fn bad_inputs_are_refused() {
    let refused = |change: &dyn Fn(&mut Input)| {
        let mut input = input();
        change(&mut input);
        build(&input).expect_err("a bad input")
    };
    assert!(matches!(refused(&|input| input.policy = 0), BuildError::Policy(0)));
    assert!(matches!(refused(&|input| input.image.clear()), BuildError::Image(_)));
    assert!(matches!(refused(&|input| input.arguments = "a".repeat(512)), BuildError::Arguments));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert!(built(|_| ()) == built(|_| ()));
}

#[test]
fn every_input_is_measured() {
    let plain = measured(&built(|_| ()));
    let changes: [&dyn Fn(&mut Input); 7] = [
        &|input| input.image = elf(b"\xf4\xeb\xfe"),
        &|input| input.kernel = None,
        &|input| input.initrd = Some(Vec::new()),
        &|input| input.cmdline = Some(b"console=ttyS1".to_vec()),
        &|input| input.arguments = "case=2".into(),
        &|input| input.console = Console::None,
        &|input| input.flags = LaunchFlags::VERBOSE,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_ne!(measured(&built(change)), plain, "change {number}");
    }
}

#[test]
fn two_programs_measure_the_same() {
    let bytes = built(|_| ());
    let igvm = IgvmFile::new_from_binary(&bytes, None).expect("a valid file");
    let theirs =
        generate_snp_measurement(igvm.initializations(), igvm.directives(), SNP_COMPATIBILITY)
            .expect("a measurable file");
    assert_eq!(measured(&bytes), theirs);
}

#[test]
fn a_damaged_file_is_refused() {
    let good = built(|_| ());
    let mut bytes = good.clone();
    bytes[30] ^= 1;
    assert!(file::read(&bytes).is_err());
    assert!(file::read(&good[..good.len() - 1]).is_err());
}

#[test]
fn the_vmsa_comes_last_and_bss_shares_its_data() {
    let bytes = built(|_| ());
    let igvm = file::read(&bytes).expect("a file of ours");
    let last = igvm.directives().last();
    assert!(matches!(last, Some(IgvmDirectiveHeader::SnpVpContext { gpa: VMSA_GPA, .. })));
    let pages = igvm
        .directives()
        .iter()
        .filter(|directive| matches!(directive, IgvmDirectiveHeader::PageData { .. }))
        .count();
    assert_eq!(pages, 1 + 2 + 3, "configuration, CPUID and secrets, image");
    // Configuration, code, zeros and VMSA; the second page of zeros takes no room.
    assert!(bytes.len() < 5 * 4096, "{} bytes", bytes.len());
}

#[test]
fn the_table_names_what_matters() {
    let igvm = file::read(&built(|_| ())).expect("a file of ours");
    let text = Description(&igvm).to_string();
    for expected in [
        "policy    0x30000",
        "normal (zeros)",
        "secrets",
        "CPUID",
        "memory map",
        "vCPU count",
        "MADT",
        "entry 0x4010000, VMPL0",
        "kernel     6 bytes",
        "\"case=1\"",
        &hex::encode(digest::measure(igvm.directives()).expect("directives of ours")),
    ] {
        assert!(text.contains(expected), "{expected} not in\n{text}");
    }
}
