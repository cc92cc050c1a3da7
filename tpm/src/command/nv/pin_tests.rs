// SPDX-License-Identifier: MIT OR Apache-2.0
//! Indices that count uses of their own authorisation value (Part 1, 34.2.8; Part 2, 13.3).

use std::vec::Vec;

use crate::command::nv::scene::{INDEX, define_type, definition, read, restart, write};
use crate::crypto::hash::HashAlgorithm;
use crate::session::SessionKind;
use crate::structure::nv::NvAttributes as Bits;
use crate::structure::response_code::ResponseCode;
use crate::testing::client::{Client, Encryption};
use crate::testing::{Machine, NULL, OWNER, PLATFORM, parameters};
use crate::wire::Result;

const PIN_FAIL: u32 = 8;
const PIN_PASS: u32 = 9;
const ATTRIBUTES: Bits =
    Bits::AUTH_READ.with(Bits::OWNER_READ).with(Bits::OWNER_WRITE).with(Bits::NO_DA);

/// Sets count and limit.
fn set(machine: &mut Machine, count: u8, limit: u8) {
    write(machine, OWNER, INDEX, &[0, 0, 0, count, 0, 0, 0, limit], 0).unwrap();
}

/// The count, as the owner reads it.
fn count(machine: &mut Machine) -> u8 {
    read(machine, OWNER, INDEX, 8, 0).unwrap()[3]
}

/// Uses the index's own value: reads its 8 octets with it.
fn attempt(machine: &mut Machine, password: &[u8]) -> Result<u8> {
    let read = machine.with_password(0x14e, &[INDEX, INDEX], password, &[0, 8, 0, 0]);
    read.map(|response| response[5])
}

fn machine_with(nv_type: u32) -> Machine {
    let mut machine = Machine::started();
    let body = definition(INDEX, ATTRIBUTES.raw() | nv_type << 4, &[7; 4], b"", 8);
    machine.authorised(0x12a, &[OWNER], &body).unwrap();
    machine
}

#[test]
fn a_pin_without_a_limit_cannot_be_used() {
    for nv_type in [PIN_FAIL, PIN_PASS] {
        let mut machine = machine_with(nv_type);
        let refused = attempt(&mut machine, &[7; 4]);
        assert_eq!(refused, Err(ResponseCode::AUTH_UNAVAILABLE));
        set(&mut machine, 0, 0);
        let refused = attempt(&mut machine, &[7; 4]);
        assert_eq!(refused, Err(ResponseCode::AUTH_UNAVAILABLE));
    }
}

#[test]
fn pin_fail_counts_failures_and_a_success_forgives_them() {
    let mut machine = machine_with(PIN_FAIL);
    set(&mut machine, 0, 2);
    assert_eq!(attempt(&mut machine, &[8]), Err(ResponseCode::BAD_AUTH.in_session(1)));
    assert_eq!(count(&mut machine), 1);
    assert_eq!(attempt(&mut machine, &[7; 4]), Ok(0));
    for expected in 1..=2 {
        assert_eq!(attempt(&mut machine, &[8]), Err(ResponseCode::BAD_AUTH.in_session(1)));
        assert_eq!(count(&mut machine), expected);
    }
    // A loss of power forgives nothing.
    restart(&mut machine, None, 0);
    assert_eq!(count(&mut machine), 2);
    let refused = attempt(&mut machine, &[7; 4]);
    assert_eq!(refused, Err(ResponseCode::AUTH_UNAVAILABLE));
    set(&mut machine, 0, 2);
    assert_eq!(attempt(&mut machine, &[7; 4]), Ok(0));
}

#[test]
fn pin_pass_counts_successes() {
    let mut machine = machine_with(PIN_PASS);
    set(&mut machine, 0, 2);
    assert_eq!(attempt(&mut machine, &[8]), Err(ResponseCode::BAD_AUTH.in_session(1)));
    assert_eq!(attempt(&mut machine, &[7; 4]), Ok(1));
    assert_eq!(attempt(&mut machine, &[7; 4]), Ok(2));
    let refused = attempt(&mut machine, &[7; 4]);
    assert_eq!(refused, Err(ResponseCode::AUTH_UNAVAILABLE));
    assert_eq!(count(&mut machine), 2);
}

#[test]
fn the_owner_sees_the_counts_without_changing_them() {
    let mut machine = Machine::started();
    define_type(&mut machine, PIN_PASS, ATTRIBUTES, 8);
    set(&mut machine, 1, 5);
    for _ in 0..3 {
        assert_eq!(count(&mut machine), 1);
    }
}

/// TPM2_PolicySecret: timeout and ticket.
fn prove(machine: &mut Machine, password: &[u8], expiration: i32) -> Result<Vec<u8>> {
    let session = machine.start_session(SessionKind::Policy).0;
    let body = parameters(|writer| {
        (0..3).try_for_each(|_| writer.sized_bytes(b""))?;
        writer.value(&expiration)
    });
    let proved = machine.with_password(0x151, &[INDEX, session], password, &body);
    machine.command(0x165, &session.to_be_bytes()).unwrap();
    proved
}

/// The session's key would tell of the PIN in whatever the session is used for, and the index
/// would count nothing.
#[test]
fn no_session_is_bound_to_a_pin() {
    for nv_type in [PIN_FAIL, PIN_PASS] {
        let mut machine = machine_with(nv_type);
        set(&mut machine, 0, 2);
        let body = parameters(|writer| {
            [NULL, INDEX].iter().try_for_each(|handle| writer.value(handle))?;
            writer.sized_bytes(&[1; 16])?;
            writer.sized_bytes(b"")?;
            writer.bytes(&[0, 0, 0x10, 0, 0x0b])
        });
        let refused = machine.command(0x176, &body);
        assert_eq!(refused, Err(ResponseCode::HANDLE.in_handle(2)));
    }
}

/// A policy that demands the PIN has no more tries than there are without one.
#[test]
fn a_policy_gives_no_tries_of_its_own() {
    const POLICY_PASSWORD: u32 = 0x18c;
    let digest = HashAlgorithm::Sha256.digest(&[&[0; 32], &0x16b_u32.to_be_bytes()]);
    let mut machine = Machine::started();
    let attributes = ATTRIBUTES.with(Bits::POLICY_READ).raw() | PIN_FAIL << 4;
    let body = definition(INDEX, attributes, &[7; 4], &digest, 8);
    machine.authorised(0x12a, &[OWNER], &body).unwrap();
    set(&mut machine, 0, 2);
    let mut client = Client::start(&mut machine, SessionKind::Policy, None, Encryption::None);
    machine.command(POLICY_PASSWORD, &client.handle.0.to_be_bytes()).unwrap();
    let mut attempt = |machine: &mut Machine, pin: &[u8]| {
        client.forged = Some(pin.to_vec());
        let read = machine.with_sessions(0x14e, &[INDEX; 2], &mut [&mut client], &[0, 8, 0, 0]);
        read.map(|_| ())
    };
    for expected in 1..=2 {
        assert_eq!(attempt(&mut machine, &[8]), Err(ResponseCode::BAD_AUTH.in_session(1)));
        assert_eq!(count(&mut machine), expected);
    }
    assert_eq!(attempt(&mut machine, &[7; 4]), Err(ResponseCode::AUTH_UNAVAILABLE));
    set(&mut machine, 0, 2);
    assert_eq!(attempt(&mut machine, &[7; 4]), Ok(()));
}

/// What a PIN is for is to be proved; that needs no right to read.
#[test]
fn a_pin_can_be_proved_without_authread() {
    let mut machine = Machine::started();
    let attributes = ATTRIBUTES.without(Bits::AUTH_READ).raw() | PIN_FAIL << 4;
    let body = definition(INDEX, attributes, &[7; 4], b"", 8);
    machine.authorised(0x12a, &[OWNER], &body).unwrap();
    set(&mut machine, 0, 2);
    assert_eq!(attempt(&mut machine, &[7; 4]), Err(ResponseCode::AUTH_UNAVAILABLE));
    let wrong = prove(&mut machine, &[8], 0);
    assert_eq!(wrong, Err(ResponseCode::BAD_AUTH.in_session(1)));
    assert_eq!(count(&mut machine), 1);
    assert!(prove(&mut machine, &[7; 4], 0).is_ok());
    assert_eq!(count(&mut machine), 0);
}

/// With a ticket one use would be any number of them.
#[test]
fn no_ticket_stands_for_a_pin_that_counts_uses() {
    for (nv_type, has_ticket) in [(PIN_PASS, false), (PIN_FAIL, true)] {
        let mut machine = machine_with(nv_type);
        set(&mut machine, 0, 2);
        let null = [0, 0, 0x80, 0x23, 0x40, 0, 0, 7, 0, 0];
        let proved = prove(&mut machine, &[7; 4], -10).unwrap();
        assert_eq!(proved != null, has_ticket);
    }
}

#[test]
fn a_pin_is_not_proved_in_read_only_mode() {
    let mut machine = machine_with(PIN_PASS);
    set(&mut machine, 0, 2);
    machine.authorised(0x1a0, &[PLATFORM], &[1]).unwrap();
    assert_eq!(prove(&mut machine, &[7; 4], 0), Err(ResponseCode::READ_ONLY));
    assert_eq!(count(&mut machine), 0);
}
