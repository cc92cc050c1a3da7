// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many sessions there can be, and how old a saved context of one may be (Part 1, 30.5).

use std::vec::Vec;

use crate::session::SessionKind;
use crate::state::capacity::{ACTIVE_SESSIONS, CONTEXT_GAP_MAX, LOADED_SESSIONS};
use crate::structure::response_code::ResponseCode;
use crate::testing::{Machine, NULL, parameters};
use crate::wire::Result;

/// TPM2_StartAuthSession: the handle.
fn start(machine: &mut Machine) -> Result<Vec<u8>> {
    let body = parameters(|writer| {
        [NULL, NULL].iter().try_for_each(|handle| writer.value(handle))?;
        writer.sized_bytes(&[1; 16])?;
        writer.sized_bytes(b"")?;
        writer.bytes(&[0, 0, 0x10, 0, 0x0b])
    });
    machine.command(0x176, &body).map(|response| response[..4].to_vec())
}

#[test]
fn every_number_is_a_session_s_until_it_is_flushed() {
    let mut machine = Machine::started();
    let mut contexts = Vec::new();
    for _ in 0..ACTIVE_SESSIONS {
        let session = start(&mut machine).unwrap();
        contexts.push(machine.command(0x162, &session).unwrap());
    }
    assert_eq!(start(&mut machine), Err(ResponseCode::SESSION_HANDLES));
    machine.command(0x165, &[2, 0, 0, 7]).unwrap();
    assert_eq!(start(&mut machine), Ok(std::vec![2, 0, 0, 7]));
    let flushed = machine.command(0x161, &contexts[7]);
    assert_eq!(flushed, Err(ResponseCode::HANDLE.in_parameter(1)));
    assert_eq!(machine.command(0x161, &contexts[8]), Ok(std::vec![2, 0, 0, 8]));
}

#[test]
fn a_full_gap_is_closed_by_the_oldest_context() {
    let gap = Err(ResponseCode::CONTEXT_GAP);
    let mut machine = Machine::started();
    let oldest = start(&mut machine).unwrap();
    let oldest = machine.command(0x162, &oldest).unwrap();
    // As if so many contexts had been saved since.
    machine.tpm.state.reset.change().session_context_count = CONTEXT_GAP_MAX - 1;
    let other = machine.start_session(SessionKind::Policy).0.to_be_bytes();
    let newest = machine.command(0x162, &other).unwrap();
    let session = start(&mut machine).unwrap();
    assert_eq!(machine.command(0x162, &session), gap);
    for _ in 2..LOADED_SESSIONS {
        start(&mut machine).unwrap();
    }
    // One slot is left, for the context that closes the gap.
    assert_eq!(start(&mut machine), gap);
    assert_eq!(machine.command(0x161, &newest), Err(ResponseCode::CONTEXT_GAP));
    machine.command(0x161, &oldest).unwrap();
    assert!(machine.command(0x162, &session).is_ok());
    assert!(machine.command(0x161, &newest).is_ok());
}
