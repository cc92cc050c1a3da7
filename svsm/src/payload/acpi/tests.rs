// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hostile scripts and tables.

use super::sample::{
    FADT, MADT, allocate, checksum, command, find_table, pointer, root_pointer, script, tables,
};
use super::{AcpiError, Tables};
use crate::machine::FileFault;
use crate::machine::fake::FakeMachine;
use crate::payload::PayloadError;
use crate::payload::measurement::Measurements;
use crate::payload::placement::Placement;
use crate::payload::tests::TinyTpm;
use snp_abi::fw_cfg::{FILE_ACPI_RSDP, FILE_ACPI_TABLES, FILE_TABLE_LOADER};
use std::string::ToString;
use std::vec::Vec;

const TABLES: &str = FILE_ACPI_TABLES;
const ROOT: &str = FILE_ACPI_RSDP;

/// Runs a script over the sample files and installs the result.
fn run_with(script: Vec<u8>, tables: Vec<u8>, root: Vec<u8>) -> Result<FakeMachine, PayloadError> {
    run_to_root(script, tables, root).map(|(machine, _)| machine)
}

/// The machine afterwards, and the root pointer's address.
fn run_to_root(
    script: Vec<u8>,
    tables: Vec<u8>,
    root: Vec<u8>,
) -> Result<(FakeMachine, u64), PayloadError> {
    let mut machine = FakeMachine::new();
    machine.files.insert(TABLES.to_string(), tables);
    machine.files.insert(ROOT.to_string(), root);
    machine.files.insert(FILE_TABLE_LOADER.to_string(), script);
    let mut tpm = TinyTpm::new();
    let mut placement = Placement::new(&machine);
    let mut measurements = Measurements::start(&mut tpm)?;
    let mut linked = Tables::fetch(&mut machine, &mut placement, &mut measurements)?.unwrap();
    let pointer = linked.install(&mut machine, &mut placement, measurements.log())?;
    Ok((machine, pointer))
}

fn refusal(script: Vec<u8>) -> AcpiError {
    match run_with(script, tables(), root_pointer()).err().unwrap() {
        PayloadError::Acpi(error) => error,
        other => panic!("{other:?}"),
    }
}

/// The sample script with more commands behind it.
fn and_then(more: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = script();
    bytes.extend(more.concat());
    bytes
}

#[test]
fn the_sample_is_accepted() {
    run_with(script(), tables(), root_pointer()).unwrap();
}

#[test]
fn scripts_that_are_not_whole_commands_are_refused() {
    assert_eq!(refusal(vec![1; 127]), AcpiError::Script);
    assert_eq!(refusal(vec![0; 4097 * 128]), AcpiError::TooMuch);
    assert_eq!(refusal(Vec::new()), AcpiError::TooMuch);
}

#[test]
fn commands_with_illegal_fields_are_refused() {
    let illegal = [
        allocate("x", 0, 1),
        allocate("x", 3, 1),
        allocate("x", 1 << 21, 1),
        allocate("x", 16, 0),
        allocate("x", 16, 3),
        allocate("", 16, 1),
        allocate(&"x".repeat(56), 16, 1),
        allocate("\u{e9}", 16, 1),
        pointer(TABLES, TABLES, 0, 0),
        pointer(TABLES, TABLES, 0, 3),
        pointer(TABLES, TABLES, 0, 255),
    ];
    for bytes in illegal {
        assert_eq!(refusal(and_then(&[bytes])), AcpiError::Command);
    }
}

#[test]
fn files_that_are_not_there_are_named() {
    assert_eq!(refusal(allocate("nowhere", 16, 1)), AcpiError::File(FileFault::Missing));
    assert_eq!(refusal(checksum(TABLES, 0, 0, 1)), AcpiError::UnknownFile);
    assert_eq!(refusal(and_then(&[pointer(TABLES, "x", 0, 4)])), AcpiError::UnknownFile);
    assert_eq!(refusal(and_then(&[pointer("x", TABLES, 0, 4)])), AcpiError::UnknownFile);
    assert_eq!(refusal(and_then(&[allocate(TABLES, 16, 1)])), AcpiError::Twice);
}

#[test]
fn commands_that_reach_outside_are_refused() {
    let outside = [
        checksum(TABLES, 0x2000, 0, 1),
        checksum(TABLES, 0, 0x1fff, 2),
        checksum(TABLES, 0, u32::MAX, u32::MAX),
        checksum(TABLES, u32::MAX, 0, 1),
        pointer(TABLES, TABLES, 0x1ffd, 4),
        pointer(TABLES, ROOT, u32::MAX, 8),
    ];
    for bytes in outside {
        assert_eq!(refusal(and_then(&[bytes])), AcpiError::OutOfFile);
    }
}

#[test]
fn pointers_that_leave_their_target_or_do_not_fit_are_refused() {
    // The word at 36 of the linked FADT is an address now: far outside of the file.
    assert_eq!(refusal(and_then(&[pointer(TABLES, TABLES, FADT + 36, 4)])), AcpiError::Pointer);
    assert_eq!(refusal(and_then(&[pointer(TABLES, TABLES, 0x1000, 1)])), AcpiError::Pointer);
    assert_eq!(refusal(and_then(&[pointer(TABLES, TABLES, 0x1000, 2)])), AcpiError::Pointer);
}

#[test]
fn too_much_of_anything_is_refused() {
    let mut big = tables();
    big.resize((1 << 20) + 1, 0);
    let error = run_with(script(), big, root_pointer()).err();
    assert_eq!(error, Some(PayloadError::Acpi(AcpiError::TooMuch)));
    let mut machine_files = Vec::new();
    for index in 0..17 {
        machine_files.push(allocate(&format!("file{index}"), 16, 1));
    }
    // The first of them is missing already: the count can't be reached without files.
    assert_eq!(refusal(machine_files.concat()), AcpiError::File(FileFault::Missing));
}

#[test]
fn a_damaged_root_is_refused() {
    assert_eq!(refusal(allocate(TABLES, 64, 1)), AcpiError::Root);
    let unsummed = [allocate(TABLES, 64, 1), allocate(ROOT, 16, 2)].concat();
    assert_eq!(refusal(unsummed), AcpiError::Root);
    let short = run_with(script(), tables(), root_pointer()[..19].to_vec()).err();
    assert_eq!(short, Some(PayloadError::Acpi(AcpiError::OutOfFile)));
}

#[test]
fn damaged_or_unreachable_tables_are_refused() {
    // One byte of the MADT's body after its sum was made.
    let late = [checksum(TABLES, MADT + 40, 0, 1)];
    assert_eq!(refusal(and_then(&late)), AcpiError::Table(*b"APIC"));
    // The root's second entry is never relocated: it points to low memory.
    let bytes = script();
    let unlinked = [&bytes[..8 * 128], &bytes[9 * 128..]].concat();
    assert_eq!(refusal(unlinked), AcpiError::Table([0; 4]));
    // A table that says it is longer than the file.
    let mut long = tables();
    long[MADT as usize + 6] = 1;
    let error = run_with(script(), long, root_pointer()).err();
    assert_eq!(error, Some(PayloadError::Acpi(AcpiError::Table(*b"APIC"))));
    // The DSDT's pointer is left unlinked.
    let mut far = script();
    far.drain(4 * 128..5 * 128);
    assert_eq!(refusal(far), AcpiError::Table([0; 4]));
}

#[test]
fn processors_that_are_not_served_are_absent() {
    let (mut machine, pointer) = run_to_root(script(), tables(), root_pointer()).unwrap();
    let madt = find_table(&mut machine, pointer, *b"APIC").unwrap();
    // The fake machine has the APIC ids 0 to 3.
    assert_eq!([madt[48], madt[56], madt[68]], [1, 0, 0]);
    assert_eq!(madt[60..68], [9, 16, 0, 0, 2, 0, 1, 0]);
}

#[test]
fn a_madt_whose_structures_do_not_add_up_is_refused() {
    for (offset, length) in [(45, 0), (45, 1), (53, 200), (61, 17)] {
        let mut broken = tables();
        broken[MADT as usize + offset] = length;
        let error = run_with(script(), broken, root_pointer()).err();
        assert_eq!(error, Some(PayloadError::Acpi(AcpiError::Table(*b"APIC"))));
    }
}

#[test]
fn a_pointer_for_the_host_is_not_written_and_unknown_commands_are_skipped() {
    let host = command(4, &[(4, b"etc/vmgenid_addr"), (60, TABLES.as_bytes()), (124, &[8])]);
    let machine = run_with(and_then(&[host, command(9, &[])]), tables(), root_pointer()).unwrap();
    assert_eq!(machine.log.len(), 2);
    assert!(machine.log[0].contains("etc/vmgenid_addr"));
}

#[test]
fn random_scripts_do_not_panic() {
    let mut state = 0x1234_5678_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()
    };
    for _ in 0..3000 {
        let mut bytes = script();
        for _ in 0..3 {
            let [a, b, value, bit, ..] = next();
            let position = usize::from(u16::from_be_bytes([a, b])) % bytes.len();
            bytes[position] = if bit & 1 == 0 { value } else { bytes[position] ^ 1 << (value & 7) };
        }
        run_with(bytes, tables(), root_pointer()).ok();
    }
}
