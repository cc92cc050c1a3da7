// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a try of an authorisation value costs, and what is no try of one (Part 1, 19.11).

use crate::session::SessionKind;
use crate::structure::response_code::ResponseCode;
use crate::testing::client::{AUDIT, Client, Encryption};
use crate::testing::{LOCKOUT, Machine, OWNER, parameters};

const GET_RANDOM: u32 = 0x17b;

/// A session that is bound to lockoutAuth is what ends a lockout.
#[test]
fn a_session_bound_to_lockout_ends_a_lockout() {
    let mut machine = Machine::started();
    // No tries at all: the TPM is in lockout.
    let parameters = [0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0, 3, 0xe8];
    machine.authorised(0x13a, &[LOCKOUT], &parameters).unwrap();
    let bind = Some((LOCKOUT, &b""[..]));
    let mut client = Client::start(&mut machine, SessionKind::Hmac, bind, Encryption::None);
    let reset = machine.with_sessions(0x139, &[LOCKOUT], &mut [&mut client], &[]);
    assert_eq!(reset, Ok(std::vec![]));
}

/// The HMAC of a policy that doesn't demand the authorisation value says nothing of it.
#[test]
fn an_hmac_without_the_value_is_no_try_of_it() {
    const INDEX: u32 = 0x0100_0001;
    const READ: u32 = 0x14e;
    let mut machine = Machine::started();
    let policy = crate::command::nv::scene::command_policy(READ);
    let public = parameters(|writer| {
        writer.value(&INDEX)?;
        writer.value(&0x0b_u16)?;
        // AUTHWRITE, POLICYREAD: tries of the value count.
        writer.value(&0x0008_0004_u32)?;
        writer.value(&policy)?;
        writer.value(&8_u16)
    });
    let body = [&[0, 0, 0, u8::try_from(public.len()).unwrap()][..], &public].concat();
    machine.authorised(0x12a, &[OWNER], &body).unwrap();
    // The key of the session is not empty, so its HMAC is checked.
    let bind = Some((OWNER, &b""[..]));
    let mut client = Client::start(&mut machine, SessionKind::Policy, bind, Encryption::None);
    let step = [client.handle.0.to_be_bytes(), READ.to_be_bytes()].concat();
    machine.command(0x16c, &step).unwrap();
    client.forged = Some(std::vec![1; 32]);
    let refused = machine.with_sessions(READ, &[INDEX; 2], &mut [&mut client], &[0, 8, 0, 0]);
    assert_eq!(refused, Err(ResponseCode::BAD_AUTH.in_session(1)));
    assert_eq!(machine.property(0x20e), 0, "TPM_PT_LOCKOUT_COUNTER");
}

/// A guess that could not be counted is not answered, in whatever the bound session is used.
#[test]
fn a_bound_session_needs_storage_for_its_failures() {
    let mut machine = Machine::started();
    let bind = Some((LOCKOUT, &b"guess"[..]));
    let mut client = Client::start(&mut machine, SessionKind::Hmac, bind, Encryption::None);
    client.attributes |= AUDIT;
    machine.platform.is_read_only = true;
    let refused = machine.with_sessions(GET_RANDOM, &[], &mut [&mut client], &[0, 4]);
    assert_eq!(refused, Err(ResponseCode::NV_UNAVAILABLE));
    machine.platform.is_read_only = false;
    let refused = machine.with_sessions(GET_RANDOM, &[], &mut [&mut client], &[0, 4]);
    assert_eq!(refused, Err(ResponseCode::AUTH_FAIL.in_session(1)));
}

/// Only time without a failure counts for the recovery.
#[test]
fn a_failure_lets_recovery_begin_anew() {
    const INDEX: u32 = 0x0100_0001;
    let mut machine = Machine::started();
    let seconds = [0, 0, 0, 9, 0, 0, 0, 100, 0, 0, 0, 100];
    machine.authorised(0x13a, &[LOCKOUT], &seconds).unwrap();
    let public = [&INDEX.to_be_bytes()[..], &[0, 0x0b, 0, 4, 0, 4, 0, 0, 0, 8]].concat();
    machine.authorised(0x12a, &[OWNER], &[&[0, 1, 7, 0, 14][..], &public].concat()).unwrap();
    let fail = |machine: &mut Machine| {
        let read = machine.with_password(0x14e, &[INDEX; 2], &[8], &[0, 8, 0, 0]);
        assert_eq!(read, Err(ResponseCode::AUTH_FAIL.in_session(1)));
    };
    fail(&mut machine);
    machine.platform.uptime_ms += 90_000;
    fail(&mut machine);
    for (passed_ms, expected) in [(99_000, 2), (1_000, 1), (99_000, 1), (1_000, 0)] {
        machine.platform.uptime_ms += passed_ms;
        assert_eq!(machine.property(0x20e), expected, "TPM_PT_LOCKOUT_COUNTER");
    }
}
