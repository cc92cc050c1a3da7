// SPDX-License-Identifier: MIT OR Apache-2.0
//! Indices that count uses of their own authorisation value (Part 1, 34.2.8; Part 2, 13.3).

use crate::command::nv::scene::{INDEX, define_type, definition, read, restart, write};
use crate::structure::nv::NvAttributes as Bits;
use crate::structure::response_code::ResponseCode;
use crate::testing::{Machine, OWNER};
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
