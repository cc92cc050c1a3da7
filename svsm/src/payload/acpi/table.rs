// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tables themselves (ACPI 6.5): root pointer (5.2.5), header (5.2.6), root table (5.2.7,
//! 5.2.8), the pointers of the FADT (5.2.9).

use super::AcpiError;
use crate::payload::event_log::TABLE_SIGNATURE;
use alloc::vec::Vec;

const HEADER_BYTES: usize = 36;
const CHECKSUM: usize = 9;
/// Most tables below the root.
const TABLES_MAX: usize = 64;
const OEM_ID: [u8; 6] = *b"MACSVM";

/// Sum of all bytes.
pub(super) fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, &byte| sum.wrapping_add(byte))
}

/// Cuts `memory` to the table at its start; its length and checksum are checked.
pub(super) fn check(memory: &[u8]) -> Result<&[u8], AcpiError> {
    let signature = *memory.first_chunk::<4>().ok_or(AcpiError::Table([0; 4]))?;
    let damaged = AcpiError::Table(signature);
    let length = usize::try_from(read_u32(memory, 4).ok_or(damaged)?).map_err(|_| damaged)?;
    let table = memory.get(..length).ok_or(damaged)?;
    if length < HEADER_BYTES || sum(table) != 0 {
        return Err(damaged);
    }
    Ok(table)
}

/// The address of the root table, and the size of its entries in bytes.
pub(super) fn parse_root_pointer(bytes: &[u8]) -> Result<(u64, usize), AcpiError> {
    let first = bytes.get(..20).ok_or(AcpiError::Root)?;
    if !first.starts_with(b"RSD PTR ") || sum(first) != 0 {
        return Err(AcpiError::Root);
    }
    let revision = bytes.get(15).copied().unwrap_or(0);
    if revision >= 2 {
        let extended = bytes.get(..36).ok_or(AcpiError::Root)?;
        let address = read_u64(extended, 24).ok_or(AcpiError::Root)?;
        if sum(extended) != 0 {
            return Err(AcpiError::Root);
        }
        if address != 0 {
            return Ok((address, 8));
        }
    }
    let address = read_u32(bytes, 16).ok_or(AcpiError::Root)?;
    Ok((u64::from(address), 4))
}

/// The addresses in a root table.
pub(super) fn entries(root: &[u8], entry_bytes: usize) -> Result<Vec<u64>, AcpiError> {
    let body = root.get(HEADER_BYTES..).ok_or(AcpiError::Root)?;
    let signature: &[u8] = if entry_bytes == 8 { b"XSDT" } else { b"RSDT" };
    if !root.starts_with(signature)
        || body.len() % entry_bytes != 0
        || body.len() / entry_bytes > TABLES_MAX
    {
        return Err(AcpiError::Root);
    }
    let address = |entry: &[u8]| read_u64(entry, 0).or(read_u32(entry, 0).map(u64::from));
    body.chunks_exact(entry_bytes).map(|entry| address(entry).ok_or(AcpiError::Root)).collect()
}

/// The tables that the FADT names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FixedPointers {
    pub(super) dsdt: u64,
    pub(super) facs: u64,
}

/// The pointers of `table` if it is the FADT; the 64-bit fields count where they exist and aren't
/// zero.
pub(super) fn fixed_pointers(table: &[u8]) -> Option<FixedPointers> {
    if !table.starts_with(b"FACP") {
        return None;
    }
    let pointer = |long: usize, short: usize| {
        let long = read_u64(table, long).filter(|&address| address != 0);
        long.unwrap_or_else(|| read_u32(table, short).map_or(0, u64::from))
    };
    Some(FixedPointers { dsdt: pointer(140, 40), facs: pointer(132, 36) })
}

/// Interrupt controller structures of the MADT (5.2.12): type, offsets of APIC id and flags.
const MADT_HEADER_BYTES: usize = 44;
const LOCAL_APIC: u8 = 0;
const LOCAL_X2APIC: u8 = 9;
/// Flags: enabled, online capable.
const USABLE: u8 = 0b11;

/// In a MADT, marks the processors that `serves` denies as neither enabled nor able to become so,
/// and makes the sum good again. Other tables stay as they are.
pub(super) fn hide_processors(
    table: &mut [u8],
    serves: &dyn Fn(u32) -> bool,
) -> Result<(), AcpiError> {
    if !table.starts_with(b"APIC") {
        return Ok(());
    }
    let damaged = AcpiError::Table(*b"APIC");
    let mut rest = table.get_mut(MADT_HEADER_BYTES..).ok_or(damaged)?;
    // Each structure takes two bytes at least, so this ends.
    while let [_, length, ..] = *rest {
        let length = usize::from(length);
        if length < 2 {
            return Err(damaged);
        }
        let (structure, behind) = rest.split_at_mut_checked(length).ok_or(damaged)?;
        hide_processor(structure, serves);
        rest = behind;
    }
    let sum = sum(table);
    if let Some(byte) = table.get_mut(CHECKSUM) {
        *byte = byte.wrapping_sub(sum);
    }
    Ok(())
}

fn hide_processor(structure: &mut [u8], serves: &dyn Fn(u32) -> bool) {
    let (apic_id, flags) = match *structure {
        [LOCAL_APIC, 8, _, id, ref mut flags, ..] => (u32::from(id), flags),
        [LOCAL_X2APIC, 16, _, _, a, b, c, d, ref mut flags, ..] => {
            (u32::from_le_bytes([a, b, c, d]), flags)
        }
        _ => return,
    };
    if !serves(apic_id) {
        *flags &= !USABLE;
    }
}

/// A table that holds the event log.
pub(super) fn event_log(log: &[u8]) -> Result<Vec<u8>, AcpiError> {
    build(TABLE_SIGNATURE, *b"EVENTLOG", log)
}

/// A root table with 64-bit entries.
pub(super) fn root_table(addresses: &[u64]) -> Result<Vec<u8>, AcpiError> {
    let body: Vec<u8> = addresses.iter().flat_map(|address| address.to_le_bytes()).collect();
    build(*b"XSDT", *b"SVSMXSDT", &body)
}

/// A root pointer, revision 2, without the old root table.
pub(super) fn root_pointer(root: u64) -> Vec<u8> {
    let mut pointer = Vec::from(*b"RSD PTR \0");
    pointer.extend(OEM_ID);
    pointer.extend([2, 0, 0, 0, 0, 36, 0, 0, 0]);
    pointer.extend(root.to_le_bytes());
    pointer.extend([0; 4]);
    let first = sum(pointer.get(..20).unwrap_or_default());
    if let Some(byte) = pointer.get_mut(8) {
        *byte = first.wrapping_neg();
    }
    let all = sum(&pointer);
    if let Some(byte) = pointer.get_mut(32) {
        *byte = all.wrapping_neg();
    }
    pointer
}

fn build(signature: [u8; 4], name: [u8; 8], body: &[u8]) -> Result<Vec<u8>, AcpiError> {
    let length = body.len().saturating_add(HEADER_BYTES);
    let length = u32::try_from(length).map_err(|_| AcpiError::TooMuch)?;
    let mut table = Vec::from(signature);
    table.extend(length.to_le_bytes());
    table.extend([1, 0]);
    table.extend(OEM_ID);
    table.extend(name);
    table.extend(1_u32.to_le_bytes());
    table.extend(b"MSVM");
    table.extend(1_u32.to_le_bytes());
    table.extend(body);
    let sum = sum(&table);
    if let Some(byte) = table.get_mut(CHECKSUM) {
        *byte = sum.wrapping_neg();
    }
    Ok(table)
}

fn read_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

fn read_u64(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}
