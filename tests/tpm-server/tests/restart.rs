// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a TPM remembers over the end of its process, orderly or not (Part 1, 12.2.2 and 36).

#[path = "peer/client.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod client;
mod state;

use client::{Fields, Octets, PASSWORD, Tpm};
use state::State;

const OWNER: u32 = 0x4000_0001;
const LOCKOUT: u32 = 0x4000_000a;
const ENDORSEMENT: u32 = 0x4000_000b;
const PERSISTENT: u32 = 0x8100_0001;
const INDEX: u32 = 0x0150_0020;

const EVICT_CONTROL: u32 = 0x120;
const CHANGE_AUTH: u32 = 0x129;
const DEFINE_SPACE: u32 = 0x12a;
const CREATE_PRIMARY: u32 = 0x131;
const NV_WRITE: u32 = 0x137;
const SHUTDOWN: u32 = 0x145;
const NV_READ: u32 = 0x14e;
const READ_PUBLIC: u32 = 0x173;
const GET_CAPABILITY: u32 = 0x17a;
const READ_CLOCK: u32 = 0x181;

/// TPM_RC_AUTH_FAIL in session 1, and TPM_RC_BAD_AUTH.
const AUTH_FAIL: u32 = 0x98e;
const BAD_AUTH: u32 = 0x9a2;

/// What a start tells of the one before.
#[derive(Debug, PartialEq, Eq)]
struct Start {
    reset_count: u32,
    is_clock_safe: bool,
    was_orderly: bool,
}

fn start_of(tpm: &mut Tpm) -> Start {
    let clock = tpm.command(READ_CLOCK, &[]).expect("the clock");
    let property = property(tpm, 0x201);
    Start {
        // Time and Clock come first.
        reset_count: u32::from_be_bytes(*clock[16..].first_chunk().expect("four octets")),
        is_clock_safe: clock[24] == 1,
        was_orderly: property >> 31 == 1,
    }
}

/// A property of the TPM.
fn property(tpm: &mut Tpm, number: u32) -> u32 {
    let body = Octets::default().u32(6).u32(number).u32(1).0;
    let told = tpm.command(GET_CAPABILITY, &body).expect("a property");
    u32::from_be_bytes(*told[told.len() - 4..].first_chunk().expect("four octets"))
}

/// A storage key on P-256.
fn primary(tpm: &mut Tpm, hierarchy: u32) -> (u32, Vec<u8>) {
    let words = [0x23, 0x0b, 3, 0x0072, 0, 6, 128, 0x43, 0x10, 3, 0x10, 0, 0];
    let public = Octets::default().words(&words).0;
    let sensitive = Octets::default().sized(b"").sized(b"").0;
    let body = Octets::default().sized(&sensitive).sized(&public).sized(b"").u32(0).0;
    let made = tpm.authorised(CREATE_PRIMARY, &[hierarchy], 1, &body).expect("a primary key");
    let mut fields = Fields(&made);
    (fields.u32(), fields.sized().to_vec())
}

fn define(tpm: &mut Tpm, auth: &[u8], attributes: u32) {
    let public = Octets::default().u32(INDEX).u16(0x0b).u32(attributes).sized(b"").u16(8).0;
    let body = Octets::default().sized(auth).sized(&public).0;
    tpm.authorised(DEFINE_SPACE, &[OWNER], 1, &body).expect("a new index");
}

/// Reads the index with its own password.
fn read_index(tpm: &mut Tpm, password: &[u8]) -> Result<Vec<u8>, u32> {
    let body = [0, 8, 0, 0];
    tpm.with_passwords(NV_READ, &[INDEX, INDEX], &[(PASSWORD, password)], &body)
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let state = State::new("restart-kill");
    let mut tpm = state.start();
    let before = start_of(&mut tpm);
    let (key, public) = primary(&mut tpm, OWNER);
    let (_, endorsement) = primary(&mut tpm, ENDORSEMENT);
    let body = PERSISTENT.to_be_bytes();
    tpm.authorised(EVICT_CONTROL, &[OWNER, key], 1, &body).expect("a persistent key");
    define(&mut tpm, b"index", 0x0004_0004);
    let write = Octets::default().sized(b"8 octets").u16(0).0;
    let sessions = [(PASSWORD, &b"index"[..])];
    tpm.with_passwords(NV_WRITE, &[INDEX, INDEX], &sessions, &write).expect("it is written");
    let auth = Octets::default().sized(b"owner").0;
    tpm.authorised(CHANGE_AUTH, &[OWNER], 1, &auth).expect("a new authorisation value");

    // Dropping it kills the process.
    drop(tpm);
    let mut tpm = state.start();
    let after = start_of(&mut tpm);
    assert_eq!(after.reset_count, before.reset_count + 1);
    assert!(!after.was_orderly && !after.is_clock_safe, "{after:?}");
    let kept = tpm.command(READ_PUBLIC, &PERSISTENT.to_be_bytes()).expect("the key is there");
    assert_eq!(Fields(&kept).sized(), public);
    assert_eq!(primary(&mut tpm, ENDORSEMENT).1, endorsement, "the seeds are the same");
    assert_eq!(read_index(&mut tpm, b"index"), Ok([&[0, 8][..], b"8 octets"].concat()));
    let refused = tpm.authorised(CHANGE_AUTH, &[OWNER], 1, &auth);
    assert_eq!(refused, Err(BAD_AUTH), "the owner has a password");
}

#[test]
fn a_shutdown_makes_the_next_start_orderly() {
    let state = State::new("restart-orderly");
    let mut tpm = state.start();
    let first = start_of(&mut tpm);
    tpm.command(SHUTDOWN, &[0, 0]).expect("it shuts down");
    drop(tpm);
    let mut tpm = state.start();
    let second = start_of(&mut tpm);
    let expected =
        Start { reset_count: first.reset_count + 1, is_clock_safe: true, was_orderly: true };
    assert_eq!(second, expected);
    // A change after the shutdown takes its effect away.
    tpm.command(SHUTDOWN, &[0, 0]).expect("it shuts down");
    let auth = Octets::default().sized(b"new").0;
    tpm.authorised(CHANGE_AUTH, &[LOCKOUT], 1, &auth).expect("a change");
    define(&mut tpm, b"", 0x0004_0004);
    let write = Octets::default().sized(b"8 octets").u16(0).0;
    tpm.authorised(NV_WRITE, &[INDEX, INDEX], 1, &write).expect("it is written");
    drop(tpm);
    let third = start_of(&mut state.start());
    let expected =
        Start { reset_count: second.reset_count + 1, is_clock_safe: false, was_orderly: false };
    assert_eq!(third, expected);
}

/// TPM_PT_LOCKOUT_COUNTER.
const LOCKOUT_COUNTER: u32 = 0x20e;

#[test]
fn pulling_the_plug_does_not_undo_failed_tries() {
    let state = State::new("restart-lockout");
    let mut tpm = state.start();
    define(&mut tpm, b"index", 0x0004_0004);
    let write = Octets::default().sized(b"8 octets").u16(0).0;
    let sessions = [(PASSWORD, &b"index"[..])];
    tpm.with_passwords(NV_WRITE, &[INDEX, INDEX], &sessions, &write).expect("it is written");
    assert_eq!(property(&mut tpm, LOCKOUT_COUNTER), 0);
    assert_eq!(read_index(&mut tpm, b"wrong"), Err(AUTH_FAIL));
    assert_eq!(property(&mut tpm, LOCKOUT_COUNTER), 1);
    drop(tpm);
    let mut tpm = state.start();
    // The failed try, and the loss of power after a use of something that is protected.
    assert_eq!(property(&mut tpm, LOCKOUT_COUNTER), 2);
    assert_eq!(read_index(&mut tpm, b"wrong"), Err(AUTH_FAIL));
    assert_eq!(property(&mut tpm, LOCKOUT_COUNTER), 3);
    tpm.command(SHUTDOWN, &[0, 0]).expect("it shuts down");
    drop(tpm);
    let mut tpm = state.start();
    assert_eq!(property(&mut tpm, LOCKOUT_COUNTER), 3, "an orderly end costs nothing");
}
