// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM_RC_RETRY for a key that is not ready changes nothing: the same octets, HMACs and encrypted
//! parameters among them, are right when they are sent again.

use crate::command::object::create_primary::tests::{body, storage_key};
use crate::structure::response_code::ResponseCode;
use crate::testing::client::{AUDIT, Client, DECRYPT, ENCRYPT, Encryption};
use crate::testing::{Machine, OWNER, parameters};
use std::vec::Vec;

const CREATE_PRIMARY: u32 = 0x131;
const CREATE: u32 = 0x153;
const CREATE_LOADED: u32 = 0x191;
/// Attempts before the key is there.
const WAITS: u32 = 3;

/// The public area of an RSA-2048 signing key.
fn signing_key() -> Vec<u8> {
    let words: [u16; 10] = [1, 0x0b, 4, 0x0072, 0, 0x10, 0x10, 2048, 0, 0];
    let mut public: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    public.extend([0, 0]);
    public
}

fn loaded_body() -> Vec<u8> {
    parameters(|writer| {
        writer.sized(|inner| inner.bytes(&[0; 4]))?;
        writer.sized_bytes(&signing_key())
    })
}

/// Sends a command whose key takes some time, with a session that audits, encrypts and decrypts,
/// beside the one that authorises.
fn wait_for(machine: &mut Machine, code: u32, handle: u32, body: &[u8]) -> Vec<u8> {
    let mut owner = Client::hmac(machine, b"");
    let mut other =
        Client::start(machine, crate::session::SessionKind::Hmac, None, Encryption::AesCfb);
    other.attributes |= AUDIT | ENCRYPT | DECRYPT;
    let sessions = &mut [&mut owner, &mut other];
    machine.platform.keys.not_ready = WAITS;
    let commits = machine.platform.storage.commits;
    let random = machine.tpm.state().random_fingerprint();
    let mut outcome = machine.with_sessions(code, &[handle], sessions, body);
    for _ in 0..WAITS {
        assert_eq!(outcome, Err(ResponseCode::RETRY));
        assert_eq!(machine.platform.storage.commits, commits, "nothing was written");
        assert_eq!(machine.tpm.state().random_fingerprint(), random, "nothing was drawn");
        outcome = machine.again(code, sessions);
    }
    assert_eq!(machine.platform.keys.not_ready, 0);
    outcome.expect("the key was there at last")
}

#[test]
fn create_is_sent_again_until_the_key_is_there() {
    let mut machine = Machine::started();
    let mut storage_key = storage_key();
    // noDA: the first use of another key after a start is written down, whatever comes of it.
    storage_key[6] |= 4;
    let parent = machine.authorised(CREATE_PRIMARY, &[OWNER], &body(b"", b"", &storage_key));
    let parent = u32::from_be_bytes(*parent.unwrap().first_chunk().unwrap());
    let made = wait_for(&mut machine, CREATE, parent, &body(b"", b"", &signing_key()));
    assert!(made.len() > 128);
}

#[test]
fn a_derived_key_is_the_same_whenever_it_is_ready() {
    let mut machine = Machine::started();
    let body = body(b"", b"", &signing_key());
    let waited = wait_for(&mut machine, CREATE_PRIMARY, OWNER, &body);
    let at_once = machine.authorised(CREATE_PRIMARY, &[OWNER], &body).unwrap();
    // The public areas, behind the handles.
    assert_eq!(waited[4..280], at_once[4..280]);
}

#[test]
fn create_loaded_is_sent_again_too() {
    let mut machine = Machine::started();
    let made = wait_for(&mut machine, CREATE_LOADED, OWNER, &loaded_body());
    assert!(made.len() > 128);
}

#[test]
fn an_unsound_source_of_keys_is_told_by_the_self_test() {
    let mut machine = Machine::started();
    machine.platform.keys.is_unsound = true;
    assert_eq!(machine.command(0x143, &[1]), Err(ResponseCode::FAILURE));
    let result = machine.command(0x17c, &[]).unwrap();
    assert_ne!(result[result.len() - 4..], [0; 4], "TPM2_GetTestResult says so as well");
}
