// SPDX-License-Identifier: MIT OR Apache-2.0
//! The real engine behind the protocol, from power-on to what Linux asks first.

use super::VirtualTpm;
use crate::platform::entropy::{Entropy, Quality};
use crate::protocol::vtpm::Engine;
use std::boxed::Box;
use std::cell::Cell;
use std::vec::Vec;
use tpm::Tpm;

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
    let entropy = Entropy::start(source, Quality::Full).unwrap();
    VirtualTpm::power_on_in(Box::leak(Box::new(Tpm::new())), entropy, || 5)
}

fn execute(tpm: &mut VirtualTpm, command: &[u8]) -> Vec<u8> {
    let mut response = vec![0; 4092];
    let length = tpm.execute(0, command, &mut response);
    response.truncate(length);
    response
}

const STARTUP: [u8; 12] = [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0];
const SELF_TEST: [u8; 11] = [0x80, 1, 0, 0, 0, 11, 0, 0, 1, 0x43, 0];

#[test]
fn commands_before_startup_and_unknown_ones_are_refused_in_the_response() {
    let mut tpm = power_on();
    assert_eq!(execute(&mut tpm, &SELF_TEST), [0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0]);
    assert_eq!(execute(&mut tpm, &STARTUP)[6..], [0; 4]);
    assert_eq!(execute(&mut tpm, &STARTUP)[6..], [0, 0, 1, 0], "only once");
    let unknown = [0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0];
    assert_eq!(execute(&mut tpm, &unknown)[6..], [0, 0, 1, 0x43]);
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
