// SPDX-License-Identifier: MIT OR Apache-2.0
//! Harness for fuzzing: a guest that makes attestation calls with any arguments, on a fake machine
//! that keeps the RMP's rules. It panics when a rule of the protocol is broken.

use super::attest::{Evidence, Firmware, FirmwareFault, ManifestFault};
use super::vtpm::Engine;
use super::{Caller, Registers, Services, dispatch};
use crate::machine::fake::{FakeMachine, MEMORY_END, SVSM_END, SVSM_START};
use crate::machine::{Machine, PAGE_LENGTH};
use sha2::{Digest as _, Sha512};
use snp_abi::launch::Digest;
use snp_abi::report::REPORT_SIZE;
use snp_abi::svsm::{CallNumber, CallResult, VTPM_SERVICE_GUID, protocol};
use std::boxed::Box;
use std::vec::Vec;

/// Bytes of one call in the fuzzer's input: how the platform behaves, where things lie, then the
/// operation structure.
const STEP_BYTES: usize = 8 + OPERATION_BYTES;
const OPERATION_BYTES: usize = 0x58;
const STEPS_MAX: usize = 32;
/// Where the operation lies, unless the input says otherwise.
const OPERATION: u64 = 0x1000_0008;

/// Answers as the input says: bit 0 busy, bit 1 failed; the rest is the length of certificates.
struct FuzzedFirmware(u8);

impl Firmware for FuzzedFirmware {
    fn report(&mut self, data: &[u8; 64], with: bool) -> Result<Evidence, FirmwareFault> {
        match self.0 & 3 {
            1 => Err(FirmwareFault::Busy),
            2 => Err(FirmwareFault::Failed),
            _ => {
                let mut report = Box::new([0xaa; REPORT_SIZE]);
                report[0x50..0x90].copy_from_slice(data);
                let length = if with { usize::from(self.0 >> 2) * 300 } else { 0 };
                Ok(Evidence { report, certificates: vec![0xce; length] })
            }
        }
    }
}

/// A TPM with two versions of a manifest.
struct FuzzedTpm;

impl Engine for FuzzedTpm {
    fn execute(&mut self, _: u8, _: &[u8], _: &mut [u8]) -> usize {
        0
    }

    fn set_launch_log(&mut self, _: Digest) {}

    fn manifest(&mut self, version: u32, buffer: &mut [u8]) -> Result<usize, ManifestFault> {
        let length = if version == 0 { 314 } else { 1000 };
        let place = buffer.get_mut(..length).ok_or(ManifestFault::Failed)?;
        place.fill(0x4d);
        if version > 1 { Err(ManifestFault::Version) } else { Ok(length) }
    }
}

/// Makes a call for each step in the input.
///
/// # Panics
/// When a rule of the protocol is broken.
pub fn attestation(bytes: &[u8]) {
    let services = Services::new();
    let mut machine = FakeMachine::new();
    let attached = services.attach_vtpm(Box::new(FuzzedTpm)).is_ok()
        && services.add_own_vcpu(0, SVSM_START + 0x3_0000, 0x1_6000).is_ok();
    assert!(attached, "nobody else holds the locks");
    for step in bytes.chunks_exact(STEP_BYTES).take(STEPS_MAX) {
        let (how, operation) = step.split_at(STEP_BYTES - OPERATION_BYTES);
        make_call(&services, &mut machine, how, operation);
    }
}

fn make_call(services: &Services, machine: &mut FakeMachine, how: &[u8], operation: &[u8]) {
    let &[platform, call, place, shortcuts, offset_0, offset_1, page, _] = how else { return };
    assert!(services.attach_firmware(Box::new(FuzzedFirmware(platform))).is_ok());
    let address = match place % 4 {
        0 | 1 => OPERATION,
        2 => 0x1000_0000 + u64::from(u16::from_le_bytes([offset_0, offset_1])),
        _ => MEMORY_END - u64::from(offset_0),
    };
    let mut operation = Vec::from(operation);
    take_shortcuts(&mut operation, shortcuts, page);
    for (place, byte) in (address..MEMORY_END).zip(&operation) {
        machine.poke(place, &[*byte]);
    }
    let rax = CallNumber { protocol: protocol::ATTESTATION, call: u32::from(call % 3) }.encode();
    let before = Registers { rax, rcx: address, rdx: 22, r8: 33, r9: 44 };
    let mut after = before;
    let mut nonce = [0; 64];
    let nonce_is_there = machine.read_guest(number(&operation, 0x10), &mut nonce).is_ok();
    let writes_before = machine.writes;
    dispatch(services, machine, Caller { apic_id: 0 }, &mut after);
    check_registers(&before, &after);
    check_own_memory(machine);
    if CallResult::decode(after.rax) == Some(CallResult::Success) {
        assert!(nonce_is_there);
        check_evidence(machine, &operation, &nonce, &after);
    } else {
        assert_eq!(machine.writes, writes_before, "a refused call writes nothing");
    }
}

/// An address in the operation.
fn number(operation: &[u8], offset: usize) -> u64 {
    operation[offset..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The guest has the report, about its nonce and its manifest, and the certificates: where it
/// wanted them, unless it wanted some in one place.
fn check_evidence(
    machine: &mut FakeMachine,
    operation: &[u8],
    nonce: &[u8; 64],
    after: &Registers,
) {
    let parts = [(0, after.r8), (0x20, after.rcx), (0x30, after.rdx)];
    let parts = parts.map(|(offset, length)| (number(operation, offset), length));
    let [report, manifest, certificates] = parts;
    let overlap = |(a, a_length): (u64, u64), (b, b_length)| a < b + b_length && b < a + a_length;
    if overlap(report, manifest) || overlap(report, certificates) || overlap(manifest, certificates)
    {
        return;
    }
    let [report, manifest, certificates] = parts.map(|(address, length)| {
        let length = usize::try_from(length).expect("a short part");
        if length == 0 { Vec::new() } else { machine.peek(address, length) }
    });
    assert_eq!(manifest.last(), Some(&0x4d), "the TPM's is the end of it");
    assert!(certificates.iter().all(|byte| *byte == 0xce));
    let data = Sha512::new().chain_update(nonce).chain_update(&manifest).finalize();
    assert_eq!(report[0x50..0x90], *data);
    let (head, rest) = (&report[..0x50], &report[0x90..]);
    assert!(head.iter().chain(rest).all(|byte| *byte == 0xaa));
}

/// Without these a fuzzer would need long to find a call that does anything.
fn take_shortcuts(operation: &mut [u8], shortcuts: u8, page: u8) {
    let mut set = |bit: u8, offset: usize, bytes: &[u8]| {
        if shortcuts & 1 << bit == 0 {
            operation[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
    };
    let address = 0x1000_0000 + u64::from(page) * 0x1000;
    set(0, 0x00, &address.to_le_bytes());
    set(1, 0x0c, &[0; 4]);
    set(2, 0x10, &(address + 0xfe5).to_le_bytes());
    set(3, 0x18, &[64, 0, 0, 0, 0, 0, 0, 0]);
    set(4, 0x20, &(address + 0x1000).to_le_bytes());
    set(5, 0x2a, &[0; 6]);
    set(6, 0x30, &(address + 0x3000).to_le_bytes());
    set(6, 0x3a, &[0; 6]);
    set(7, 0x40, &VTPM_SERVICE_GUID);
    set(7, 0x51, &[0; 7]);
}

/// RAX is a result of this protocol; the others are lengths, or as they came.
fn check_registers(before: &Registers, after: &Registers) {
    let result = CallResult::decode(after.rax).expect("a defined result");
    let same = (after.rcx, after.rdx, after.r8) == (before.rcx, before.rdx, before.r8);
    let lengths = after.r8 == REPORT_SIZE as u64 && after.rcx < 4200 && after.rdx <= 300 * 63;
    assert_eq!(after.r9, before.r9);
    match result {
        CallResult::Success => assert!(lengths),
        CallResult::InvalidParameter => assert!(same || lengths),
        CallResult::Busy
        | CallResult::InvalidAddress
        | CallResult::InvalidRequest
        | CallResult::UnsupportedCall => assert!(same),
        other => panic!("{other:?} is no result of this protocol"),
    }
}

/// The machine refuses writes to the SVSM's memory by itself; nor may a page have changed hands.
fn check_own_memory(machine: &mut FakeMachine) {
    let mut byte = [0; 1];
    assert!(machine.read_guest(SVSM_END - PAGE_LENGTH as u64, &mut byte).is_ok());
    assert_eq!(machine.guest_permissions(0x1000_0000), 0xf);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_every_outcome_keep_the_rules() {
        let mut state = 1_u64;
        let mut bytes = vec![0; STEP_BYTES * STEPS_MAX];
        for round in 0..200_u32 {
            for byte in &mut bytes {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                // Few bits in the first rounds: most calls are then almost right.
                *byte = state.to_le_bytes()[0] & if round < 100 { 0x11 } else { 0xff };
            }
            attestation(&bytes);
        }
    }
}
