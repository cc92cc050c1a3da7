// SPDX-License-Identifier: MIT OR Apache-2.0
//! The real engine behind the protocol, from power-on to what Linux asks first.

use super::VirtualTpm;
use super::records::StateStorage;
use crate::platform::entropy::{Entropy, Quality};
use crate::protocol::attest::ManifestFault;
use crate::protocol::vtpm::Engine;
use snp_abi::manifest::{Manifest, State, VtpmOptions};
use std::boxed::Box;
use std::cell::Cell;
use std::vec::Vec;
use tpm::Tpm;
use tpm::platform::NoStorage;
use tpm::provision::StandardTemplate;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(1) };
}

/// Good enough for the health tests.
fn source() -> Option<u64> {
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    Some(mixed ^ (mixed >> 27))
}

pub(crate) fn power_on() -> VirtualTpm {
    power_on_with(Box::new(NoStorage))
}

/// A TPM with this storage.
pub(super) fn power_on_with(storage: Box<dyn StateStorage + Send>) -> VirtualTpm {
    let entropy = Entropy::start(source, Quality::Full).unwrap();
    let tpm = Box::leak(Box::new(Tpm::new()));
    VirtualTpm::power_on_in(tpm, entropy, || 5, storage)
}

pub(super) fn execute(tpm: &mut VirtualTpm, command: &[u8]) -> Vec<u8> {
    let mut response = vec![0; 4092];
    let length = tpm.execute(0, command, &mut response);
    response.truncate(length);
    response
}

/// TPM_RC_RETRY.
const RETRY: [u8; 4] = [0, 0, 9, 0x22];
pub(super) const STARTUP: [u8; 12] = [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0];
/// An authorisation area with an empty password.
pub(super) const PASSWORD: [u8; 13] = [0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0];
const SELF_TEST: [u8; 11] = [0x80, 1, 0, 0, 0, 11, 0, 0, 1, 0x43, 0];

/// TPM_PT_MAX_COMMAND_SIZE and TPM_PT_MAX_RESPONSE_SIZE.
#[test]
fn sizes_are_those_that_the_page_carries() {
    let mut tpm = power_on();
    execute(&mut tpm, &STARTUP);
    let ask = [0x80, 1, 0, 0, 0, 22, 0, 0, 1, 0x7a, 0, 0, 0, 6, 0, 0, 1, 0x1e, 0, 0, 0, 2];
    let told = execute(&mut tpm, &ask);
    let (command, response) = ([0, 0, 1, 0x1e, 0, 0, 0xf, 0xf7], [0, 0, 1, 0x1f, 0, 0, 0xf, 0xfc]);
    assert_eq!(told[19..], [command, response].concat());
}

#[test]
fn commands_before_startup_and_unknown_ones_are_refused_in_the_response() {
    let mut tpm = power_on();
    assert_eq!(execute(&mut tpm, &SELF_TEST), [0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0]);
    assert_eq!(execute(&mut tpm, &STARTUP)[6..], [0; 4]);
    assert_eq!(execute(&mut tpm, &STARTUP)[6..], [0, 0, 1, 0], "only once");
    let unknown = [0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0];
    assert_eq!(execute(&mut tpm, &unknown)[6..], [0, 0, 1, 0x43]);
}

fn create_primary_command(template: StandardTemplate) -> Vec<u8> {
    let mut public = [0; 1024];
    let mut writer = tpm::wire::Writer::new(&mut public);
    writer.value(&template.public().unwrap()).unwrap();
    let public = writer.written().to_vec();
    let mut command = vec![0x80, 2, 0, 0, 0, 0, 0, 0, 1, 0x31];
    command.extend(template.hierarchy().0.to_be_bytes());
    command.extend(PASSWORD);
    command.extend([0, 4, 0, 0, 0, 0]);
    command.extend(u16::try_from(public.len()).unwrap().to_be_bytes());
    command.extend(&public);
    command.extend([0; 6]);
    let length = u32::try_from(command.len()).unwrap();
    command[2..6].copy_from_slice(&length.to_be_bytes());
    command
}

/// outPublic of TPM2_CreatePrimary with a standard template.
fn create_primary(tpm: &mut VirtualTpm, template: StandardTemplate) -> Vec<u8> {
    let command = create_primary_command(template);
    // As Linux does, which comes eight times at most.
    let mut attempts = (0..8).map(|_| execute(tpm, &command));
    let response = attempts.find(|response| response[6..10] != RETRY);
    let response = response.expect("a key that is ready in time");
    assert_eq!(response[6..10], [0; 4], "{template:?}");
    let flush = [&[0x80, 1, 0, 0, 0, 14, 0, 0, 1, 0x65], &response[10..14]].concat();
    assert_eq!(execute(tpm, &flush)[6..], [0; 4]);
    let size = usize::from(u16::from_be_bytes([response[18], response[19]]));
    response[20..20 + size].to_vec()
}

/// Asks again while a key is not ready.
fn try_manifest(
    tpm: &mut VirtualTpm,
    version: u32,
    buffer: &mut [u8],
) -> Result<usize, ManifestFault> {
    let mut attempts = (0..8).map(|_| tpm.manifest(version, buffer));
    let outcome = attempts.find(|outcome| *outcome != Err(ManifestFault::NotReady));
    outcome.unwrap_or(Err(ManifestFault::NotReady))
}

fn manifest(tpm: &mut VirtualTpm, version: u32) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let length = try_manifest(tpm, version, &mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

#[test]
fn a_manifest_that_is_unknown_or_too_long_is_refused() {
    let mut tpm = power_on();
    assert_eq!(tpm.manifest(2, &mut [0; 4096]), Err(ManifestFault::Version));
    assert_eq!(tpm.manifest(u32::MAX, &mut [0; 4096]), Err(ManifestFault::Version));
    assert_eq!(try_manifest(&mut tpm, 0, &mut [0; 100]), Err(ManifestFault::Failed));
    assert_eq!(try_manifest(&mut tpm, 1, &mut [0; 400]), Err(ManifestFault::Failed));
}

#[test]
fn the_manifest_names_the_keys_that_the_guest_gets() {
    let mut tpm = power_on();
    tpm.set_launch_log([0x77; 48]);
    tpm.set_options(VtpmOptions::SERVICE_VCPU);
    let bytes = manifest(&mut tpm, 1);
    execute(&mut tpm, &STARTUP);
    let parsed = Manifest::parse(&bytes).unwrap();
    let templates = [StandardTemplate::L1, StandardTemplate::L2, StandardTemplate::H3];
    for (key, template) in parsed.endorsement_keys().iter().zip(templates) {
        assert_eq!(*key, create_primary(&mut tpm, template), "{template:?}");
    }
    assert_eq!(parsed.endorsement_keys().len(), 3);
    assert_eq!((parsed.state, parsed.event_log), (State::Ephemeral, [0x77; 48]));
    assert_eq!(parsed.firmware.manufacturer, *b"MSVM");
    assert_eq!(parsed.firmware.options, VtpmOptions::SERVICE_VCPU);
    assert_eq!(manifest(&mut tpm, 0), parsed.endorsement_keys()[0]);

    // TPM2_Clear by the lockout leaves the endorsement keys, TPM2_ChangeEPS replaces them.
    let privileged = |code: u8, handle: u8| {
        [[0x80, 2, 0, 0, 0, 27, 0, 0, 1, code, 0x40, 0, 0, handle].as_slice(), &PASSWORD].concat()
    };
    assert_eq!(execute(&mut tpm, &privileged(0x26, 0x0a))[6..10], [0; 4]);
    assert_eq!(manifest(&mut tpm, 1), bytes);
    assert_eq!(execute(&mut tpm, &privileged(0x24, 0x0c))[6..10], [0; 4]);
    let changed = manifest(&mut tpm, 1);
    let parsed = Manifest::parse(&changed).unwrap();
    assert_eq!(parsed.endorsement_keys()[1], create_primary(&mut tpm, StandardTemplate::L2));
    assert_ne!(changed, bytes);
}

/// TPM2_CreatePrimary with the standard template of a storage key on P-256; its response code.
fn occupy_slot(tpm: &mut VirtualTpm) -> u32 {
    let response = execute(tpm, &create_primary_command(StandardTemplate::StorageP256));
    u32::from_be_bytes(*response[6..].first_chunk().unwrap())
}

/// Whether the dictionary attack protection refuses authorisations (TPMA_PERMANENT, inLockout).
fn is_locked_out(tpm: &mut VirtualTpm) -> bool {
    let question = [0x80, 1, 0, 0, 0, 22, 0, 0, 1, 0x7a, 0, 0, 0, 6, 0, 0, 2, 0, 0, 0, 0, 1];
    let response = execute(tpm, &question);
    response[response.len() - 2] & 2 != 0
}

/// Every slot taken, the hierarchy of the keys disabled and under a password, and lockout.
#[test]
fn nothing_that_a_guest_sets_keeps_the_manifest_from_being_made() {
    const OBJECT_MEMORY: u32 = 0x902;
    let mut tpm = power_on();
    execute(&mut tpm, &STARTUP);
    // The RSA key's primes take their time; what is kept of its public part is forgotten below.
    let before = manifest(&mut tpm, 1);
    let mut act = |code: u8, handle: u8, parameters: &[u8]| {
        let length = u8::try_from(27 + parameters.len()).unwrap();
        let head = [0x80, 2, 0, 0, 0, length, 0, 0, 1, code, 0x40, 0, 0, handle];
        let response = execute(&mut tpm, &[head.as_slice(), &PASSWORD, parameters].concat());
        assert_eq!(response[6..10], [0; 4], "command {code:#x}");
    };
    act(0x29, 0x0b, &[0, 4, 1, 2, 3, 4]);
    act(0x21, 0x0c, &[0x40, 0, 0, 0x0b, 0]);
    // No tries at all.
    act(0x3a, 0x0a, &[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 9]);
    let slots = (0..64).take_while(|_| occupy_slot(&mut tpm) == 0).count();
    assert!(slots > 2 && occupy_slot(&mut tpm) == OBJECT_MEMORY, "{slots}");
    assert!(is_locked_out(&mut tpm));

    *tpm.description = super::Description::new();
    assert_eq!(manifest(&mut tpm, 0), Manifest::parse(&before).unwrap().endorsement_keys()[0]);
    assert_eq!(manifest(&mut tpm, 1), before);
    assert_eq!(occupy_slot(&mut tpm), OBJECT_MEMORY, "it gave no slot away");
    let flush = [0x80, 1, 0, 0, 0, 14, 0, 0, 1, 0x65, 0x80, 0, 0, 0];
    assert_eq!(execute(&mut tpm, &flush)[6..], [0; 4]);
    assert_eq!(occupy_slot(&mut tpm), 0, "and took none");
    assert_eq!(occupy_slot(&mut tpm), OBJECT_MEMORY);
}

#[test]
fn two_tpms_are_two_tpms() {
    const GET_RANDOM: [u8; 12] = [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 32];
    let random = |tpm: &mut VirtualTpm| {
        execute(tpm, &STARTUP);
        let response = execute(tpm, &GET_RANDOM);
        assert_eq!(response[..12], [0x80, 1, 0, 0, 0, 44, 0, 0, 0, 0, 0, 32]);
        response
    };
    assert_ne!(random(&mut power_on()), random(&mut power_on()));
}

#[test]
fn it_says_who_made_it() {
    let mut tpm = power_on();
    execute(&mut tpm, &STARTUP);
    // TPM2_GetCapability(TPM_CAP_TPM_PROPERTIES, TPM_PT_MANUFACTURER, 1)
    let question = [0x80, 1, 0, 0, 0, 22, 0, 0, 1, 0x7a, 0, 0, 0, 6, 0, 0, 1, 5, 0, 0, 0, 1];
    let response = execute(&mut tpm, &question);
    assert_eq!(response[response.len() - 8..], *b"\x00\x00\x01\x05MSVM");
}
