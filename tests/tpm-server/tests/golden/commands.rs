// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands that make and ask a golden TPM.

use crate::client::{Fields, Octets, PASSWORD, Tpm};

pub(crate) const OWNER: u32 = 0x4000_0001;
pub(crate) const NULL: u32 = 0x4000_0007;
pub(crate) const LOCKOUT: u32 = 0x4000_000a;
pub(crate) const ENDORSEMENT: u32 = 0x4000_000b;
pub(crate) const PLATFORM: u32 = 0x4000_000c;

pub(crate) const EVICT_CONTROL: u32 = 0x120;
pub(crate) const UNDEFINE_SPACE: u32 = 0x122;
pub(crate) const CLEAR_CONTROL: u32 = 0x127;
pub(crate) const CHANGE_AUTH: u32 = 0x129;
const DEFINE_SPACE: u32 = 0x12a;
pub(crate) const PCR_ALLOCATE: u32 = 0x12b;
pub(crate) const PCR_SET_AUTH_POLICY: u32 = 0x12c;
pub(crate) const SET_PRIMARY_POLICY: u32 = 0x12e;
const CREATE_PRIMARY: u32 = 0x131;
pub(crate) const NV_INCREMENT: u32 = 0x134;
pub(crate) const NV_SET_BITS: u32 = 0x135;
pub(crate) const NV_EXTEND: u32 = 0x136;
pub(crate) const NV_WRITE: u32 = 0x137;
pub(crate) const DICTIONARY_ATTACK_PARAMETERS: u32 = 0x13a;
pub(crate) const SET_ALGORITHM_SET: u32 = 0x13f;
pub(crate) const SET_COMMAND_CODE_AUDIT_STATUS: u32 = 0x140;
pub(crate) const SHUTDOWN: u32 = 0x145;
const NV_READ: u32 = 0x14e;
pub(crate) const UNSEAL: u32 = 0x15e;
pub(crate) const CONTEXT_LOAD: u32 = 0x161;
pub(crate) const CONTEXT_SAVE: u32 = 0x162;
const FLUSH_CONTEXT: u32 = 0x165;
const READ_PUBLIC: u32 = 0x173;
pub(crate) const START_AUTH_SESSION: u32 = 0x176;
const GET_CAPABILITY: u32 = 0x17a;
const PCR_READ: u32 = 0x17e;
const READ_CLOCK: u32 = 0x181;
pub(crate) const PCR_EXTEND: u32 = 0x182;
pub(crate) const PCR_SET_AUTH_VALUE: u32 = 0x183;

/// What a start tells of the one before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) resets: u32,
    pub(crate) restarts: u32,
    pub(crate) is_clock_safe: bool,
    pub(crate) was_orderly: bool,
}

pub(crate) fn start_of(tpm: &mut Tpm) -> Start {
    let told = tpm.command(READ_CLOCK, &[]).expect("the clock");
    // Time and Clock come first.
    let mut fields = Fields(&told[16..]);
    Start {
        resets: fields.u32(),
        restarts: fields.u32(),
        is_clock_safe: fields.0 == [1],
        was_orderly: property(tpm, 0x201) >> 31 == 1,
    }
}

/// A property of the TPM.
pub(crate) fn property(tpm: &mut Tpm, number: u32) -> u32 {
    let body = Octets::default().u32(6).u32(number).u32(1).0;
    let told = tpm.command(GET_CAPABILITY, &body).expect("a property");
    u32::from_be_bytes(*told.last_chunk().expect("four octets"))
}

/// The key of a template with this sensitive data.
pub(crate) fn primary(
    tpm: &mut Tpm,
    (hierarchy, password): (u32, &[u8]),
    template: &[u8],
    (auth, data): (&[u8], &[u8]),
) -> u32 {
    let sensitive = Octets::default().sized(auth).sized(data).0;
    let body = Octets::default().sized(&sensitive).sized(template).sized(b"").u32(0).0;
    let made = tpm.with_password(CREATE_PRIMARY, &[hierarchy], password, &body);
    Fields(&made.expect("a primary object")).u32()
}

/// The Name of an object.
pub(crate) fn name(tpm: &mut Tpm, handle: u32) -> Vec<u8> {
    let told = tpm.command(READ_PUBLIC, &handle.to_be_bytes()).expect("a public area");
    let mut fields = Fields(&told);
    let _public = fields.sized();
    fields.sized().to_vec()
}

pub(crate) fn flush(tpm: &mut Tpm, handle: u32) {
    tpm.command(FLUSH_CONTEXT, &handle.to_be_bytes()).expect("it is flushed");
}

/// Defines an index, whose data have 8 octets or are a digest.
pub(crate) fn define(tpm: &mut Tpm, index: u32, auth: &[u8], attributes: u32) {
    let size = if attributes & 0x40 == 0 { 8 } else { 32 };
    let public = Octets::default().u32(index).u16(0x0b).u32(attributes).sized(b"").u16(size).0;
    let body = Octets::default().sized(auth).sized(&public).0;
    tpm.authorised(DEFINE_SPACE, &[OWNER], 1, &body).expect("a new index");
}

/// Reads an index with its own password.
pub(crate) fn read_index(
    tpm: &mut Tpm,
    (index, size): (u32, u16),
    password: &[u8],
) -> Result<Vec<u8>, u32> {
    let body = Octets::default().u16(size).u16(0).0;
    let told = tpm.with_passwords(NV_READ, &[index, index], &[(PASSWORD, password)], &body)?;
    Ok(Fields(&told).sized().to_vec())
}

/// The value of a PCR of the SHA-256 bank.
pub(crate) fn pcr(tpm: &mut Tpm, number: u8) -> Vec<u8> {
    let mut bits = [0; 3];
    bits[usize::from(number / 8)] = 1 << (number % 8);
    let body = Octets::default().u32(1).u16(0x0b).u8(3).bytes(&bits).0;
    let told = tpm.command(PCR_READ, &body).expect("a PCR");
    // pcrUpdateCounter, the selection, and one digest.
    Fields(&told[4 + 4 + 6 + 4..]).sized().to_vec()
}
