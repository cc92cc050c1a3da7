// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small set of host tables for tests, in the shape that QEMU gives them.

use super::script::COMMAND_BYTES;
use crate::machine::fake::FakeMachine;
use snp_abi::fw_cfg::{FILE_ACPI_RSDP, FILE_ACPI_TABLES, FILE_TABLE_LOADER};
use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;

/// A script command by its fields: offset and bytes.
pub(super) fn command(code: u32, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; COMMAND_BYTES];
    bytes[..4].copy_from_slice(&code.to_le_bytes());
    for (offset, field) in fields {
        bytes[*offset..offset + field.len()].copy_from_slice(field);
    }
    bytes
}

pub(super) fn allocate(name: &str, alignment: u32, zone: u8) -> Vec<u8> {
    let fields: [(usize, &[u8]); 3] =
        [(4, name.as_bytes()), (60, &alignment.to_le_bytes()), (64, &[zone])];
    command(1, &fields)
}

pub(super) fn pointer(into: &str, target: &str, offset: u32, size: u8) -> Vec<u8> {
    let fields: [(usize, &[u8]); 4] = [
        (4, into.as_bytes()),
        (60, target.as_bytes()),
        (116, &offset.to_le_bytes()),
        (120, &[size]),
    ];
    command(2, &fields)
}

pub(super) fn checksum(file: &str, place: u32, start: u32, length: u32) -> Vec<u8> {
    let fields: [(usize, &[u8]); 4] = [
        (4, file.as_bytes()),
        (60, &place.to_le_bytes()),
        (64, &start.to_le_bytes()),
        (68, &length.to_le_bytes()),
    ];
    command(3, &fields)
}

fn header(signature: &[u8; 4], length: u32) -> Vec<u8> {
    let mut table = vec![0; length as usize];
    table[..4].copy_from_slice(signature);
    table[4..8].copy_from_slice(&length.to_le_bytes());
    table
}

/// Offsets in the tables file.
const FACS: u32 = 0;
const DSDT: u32 = 64;
pub(super) const FADT: u32 = DSDT + 50;
pub(super) const MADT: u32 = FADT + 244;
const RSDT: u32 = MADT + 76;
const END: u32 = RSDT + 44;

/// The tables file, unlinked: FACS, DSDT, FADT, MADT, RSDT, then padding.
pub(super) fn tables() -> Vec<u8> {
    let mut facs = header(b"FACS", 64);
    facs.extend(header(b"DSDT", DSDT + 50 - DSDT));
    let mut fadt = header(b"FACP", 244);
    fadt[36..40].copy_from_slice(&FACS.to_le_bytes());
    fadt[40..44].copy_from_slice(&DSDT.to_le_bytes());
    fadt[140..148].copy_from_slice(&u64::from(DSDT).to_le_bytes());
    facs.extend(fadt);
    let mut madt = header(b"APIC", 76);
    // Local APICs 1 and 9, x2APIC 0x10002.
    madt[44..52].copy_from_slice(&[0, 8, 0, 1, 1, 0, 0, 0]);
    madt[52..60].copy_from_slice(&[0, 8, 1, 9, 3, 0, 0, 0]);
    madt[60..76].copy_from_slice(&[9, 16, 0, 0, 2, 0, 1, 0, 1, 0, 0, 0, 7, 0, 0, 0]);
    facs.extend(madt);
    let mut rsdt = header(b"RSDT", 44);
    rsdt[36..40].copy_from_slice(&FADT.to_le_bytes());
    rsdt[40..44].copy_from_slice(&MADT.to_le_bytes());
    facs.extend(rsdt);
    assert_eq!(facs.len(), END as usize);
    facs.resize(0x2000, 0);
    facs
}

/// The root pointer, unlinked, revision 0.
pub(super) fn root_pointer() -> Vec<u8> {
    let mut bytes = Vec::from(*b"RSD PTR \0BOCHS \0");
    bytes.extend(RSDT.to_le_bytes());
    bytes
}

/// The script that links them.
pub(super) fn script() -> Vec<u8> {
    let (tables, root) = (FILE_ACPI_TABLES, FILE_ACPI_RSDP);
    let commands = [
        allocate(tables, 64, 1),
        checksum(tables, DSDT + 9, DSDT, 50),
        pointer(tables, tables, FADT + 36, 4),
        pointer(tables, tables, FADT + 40, 4),
        pointer(tables, tables, FADT + 140, 8),
        checksum(tables, FADT + 9, FADT, 244),
        checksum(tables, MADT + 9, MADT, 76),
        pointer(tables, tables, RSDT + 36, 4),
        pointer(tables, tables, RSDT + 40, 4),
        checksum(tables, RSDT + 9, RSDT, 44),
        allocate(root, 16, 2),
        pointer(root, tables, 16, 4),
        checksum(root, 8, 0, 20),
        command(0, &[]),
    ];
    commands.concat()
}

/// Adds all three files.
pub(crate) fn add_to(files: &mut BTreeMap<String, Vec<u8>>) {
    files.insert(FILE_ACPI_TABLES.to_string(), tables());
    files.insert(FILE_ACPI_RSDP.to_string(), root_pointer());
    files.insert(FILE_TABLE_LOADER.to_string(), script());
}

/// Follows a revision 2 root pointer in guest memory to a table, checking sums on the way.
pub(crate) fn find_table(
    machine: &mut FakeMachine,
    rsdp: u64,
    signature: [u8; 4],
) -> Option<Vec<u8>> {
    let pointer = machine.peek(rsdp, 36);
    assert_eq!(pointer[..8], *b"RSD PTR ");
    assert_eq!((super::table::sum(&pointer[..20]), super::table::sum(&pointer)), (0, 0));
    assert_eq!((pointer[15], &pointer[20..24]), (2, &[36, 0, 0, 0][..]));
    let root = read(machine, u64::from_le_bytes(pointer[24..32].try_into().unwrap()));
    assert_eq!(root[..4], *b"XSDT");
    let mut found = None;
    for entry in root[36..].chunks_exact(8) {
        let table = read(machine, u64::from_le_bytes(entry.try_into().unwrap()));
        if table[..4] == signature {
            found = Some(table);
        }
    }
    found
}

fn read(machine: &mut FakeMachine, address: u64) -> Vec<u8> {
    let length = machine.peek(address + 4, 4);
    let length = u32::from_le_bytes(length.try_into().unwrap());
    let table = machine.peek(address, length as usize);
    assert_eq!(super::table::sum(&table), 0);
    table
}
