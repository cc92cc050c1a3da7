// SPDX-License-Identifier: MIT OR Apache-2.0
//! Defects that this engine itself had, and that comparing it with libtpms found. Each has a test
//! that is named after it.

use crate::command::object::create_primary::tests::body;
use crate::session::SessionKind;
use crate::structure::response_code::ResponseCode;
use crate::testing::client::{Client, Encryption};
use crate::testing::{LOCKOUT, Machine, NULL, OWNER, PLATFORM, parameters};

const CLEAR: u32 = 0x126;
const CHANGE_AUTH: u32 = 0x129;
const PCR_ALLOCATE: u32 = 0x12b;
const SET_PRIMARY_POLICY: u32 = 0x12e;
const CREATE_PRIMARY: u32 = 0x131;
const STARTUP: u32 = 0x144;
const SHUTDOWN: u32 = 0x145;
const POLICY_SECRET: u32 = 0x151;
const POLICY_AUTH_VALUE: u32 = 0x16b;
const POLICY_PCR: u32 = 0x17f;
const POLICY_GET_DIGEST: u32 = 0x189;

/// Parameters of TPM2_PolicySecret without nonce, hashes and expiration.
const SECRET: [u8; 10] = [0; 10];

/// A policy session that has taken one step, and the hierarchy's policy set to the result.
fn session_with_policy(machine: &mut Machine, hierarchy: u32, code: u32, step: &[u8]) -> Client {
    let mut client = Client::start(machine, SessionKind::Policy, None, Encryption::None);
    let handle = client.handle.0.to_be_bytes();
    machine.command(code, &[&handle[..], step].concat()).unwrap();
    let digest = machine.command(POLICY_GET_DIGEST, &handle).unwrap();
    let policy = [&digest[..], &[0, 0x0b]].concat();
    machine.authorised(SET_PRIMARY_POLICY, &[hierarchy], &policy).unwrap();
    client.forged = Some(std::vec![]);
    client
}

/// TPM2_PolicySecret is about the knowledge of a value, so a policy that asks for none is refused.
#[test]
fn policy_secret_with_a_valueless_policy_session() {
    const POLICY_COMMAND_CODE: u32 = 0x16c;
    let mut machine = Machine::started();
    let target = machine.start_session(SessionKind::Policy).0;
    let step = POLICY_SECRET.to_be_bytes();
    let mut client = session_with_policy(&mut machine, OWNER, POLICY_COMMAND_CODE, &step);
    let prove = |machine: &mut Machine, client: &mut Client| {
        machine.with_sessions(POLICY_SECRET, &[OWNER, target], &mut [client], &SECRET).map(|_| ())
    };
    let refused = prove(&mut machine, &mut client);
    assert_eq!(refused, Err(ResponseCode::MODE.in_session(1)));
    let before = machine.command(POLICY_GET_DIGEST, &target.to_be_bytes()).unwrap();
    assert_eq!(before, [&[0, 32][..], &[0; 32]].concat(), "and the target is as it was");
    let mut client = session_with_policy(&mut machine, OWNER, POLICY_AUTH_VALUE, &[]);
    assert_eq!(prove(&mut machine, &mut client), Ok(()));
    let after = machine.command(POLICY_GET_DIGEST, &target.to_be_bytes()).unwrap();
    assert_ne!(after, before);
}

/// A session may be bound to TPM_RH_NULL, which says that it is bound to nothing; nobody can be
/// authorised by it.
#[test]
fn the_null_handle_is_no_entity() {
    let mut machine = Machine::started();
    let session = machine.start_session(SessionKind::Policy).0;
    let refused = machine.authorised(POLICY_SECRET, &[NULL, session], &SECRET);
    assert_eq!(refused, Err(ResponseCode::VALUE.in_handle(1)));
    assert!(machine.authorised(POLICY_SECRET, &[OWNER, session], &SECRET).is_ok());
}

/// The last allocation before a start counts, and counts from what is in force; none of them may
/// be followed by TPM2_Shutdown(STATE), also if it asks for what there is.
#[test]
fn pcr_allocate_repeated() {
    const WITHOUT_SHA1: [u8; 10] = [0, 0, 0, 1, 0, 4, 3, 0, 0, 0];
    const HALF_OF_SHA384: [u8; 10] = [0, 0, 0, 1, 0, 0x0c, 3, 0xff, 0, 0];
    const ALL_OF_SHA1: [u8; 10] = [0, 0, 0, 1, 0, 4, 3, 0xff, 0xff, 0xff];
    let mut machine = Machine::started();
    for allocation in [WITHOUT_SHA1, HALF_OF_SHA384] {
        machine.authorised(PCR_ALLOCATE, &[PLATFORM], &allocation).unwrap();
    }
    machine.command(SHUTDOWN, &[0, 0]).unwrap();
    machine.power_cycle();
    machine.command(STARTUP, &[0, 0]).unwrap();
    let selections = [0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1];
    let banks = machine.command(0x17a, &selections).unwrap();
    assert!(banks.windows(6).any(|bank| bank == &ALL_OF_SHA1[4..]), "{banks:x?}");
    assert!(banks.windows(6).any(|bank| bank == &HALF_OF_SHA384[4..]), "{banks:x?}");
    machine.authorised(PCR_ALLOCATE, &[PLATFORM], &ALL_OF_SHA1).unwrap();
    let state = machine.command(SHUTDOWN, &[0, 1]);
    assert_eq!(state, Err(ResponseCode::TYPE.in_parameter(1)));
}

/// The use of lockoutAuth is no try that a loss of power could hide; a wrong one locks at once, and
/// that outlives the loss.
#[test]
fn lockout_auth_across_a_loss_of_power() {
    const RESET: u32 = 0x139;
    let mut machine = Machine::started();
    machine.authorised(CHANGE_AUTH, &[LOCKOUT], &[0, 1, 7]).unwrap();
    machine.with_password(RESET, &[LOCKOUT], &[7], &[]).unwrap();
    machine.power_cycle();
    machine.command(STARTUP, &[0, 0]).unwrap();
    assert_eq!(machine.property(0x20e), 0, "TPM_PT_LOCKOUT_COUNTER");
    machine.with_password(RESET, &[LOCKOUT], &[7], &[]).unwrap();
    let wrong = machine.with_password(RESET, &[LOCKOUT], &[8], &[]);
    assert_eq!(wrong, Err(ResponseCode::AUTH_FAIL.in_session(1)));
    machine.power_cycle();
    machine.command(STARTUP, &[0, 0]).unwrap();
    assert_eq!(machine.property(0x20e), 0);
    let locked = machine.with_password(RESET, &[LOCKOUT], &[7], &[]);
    assert_eq!(locked, Err(ResponseCode::LOCKOUT));
}

/// A policy over PCRs that was satisfied before TPM2_Clear has to be satisfied again.
#[test]
fn clear_counts_in_pcr_update_counter() {
    const PCR_7: [u8; 12] = [0, 0, 0, 0, 0, 1, 0, 0x0b, 3, 0x80, 0, 0];
    let mut machine = Machine::started();
    let mut early = session_with_policy(&mut machine, PLATFORM, POLICY_PCR, &PCR_7);
    machine.authorised(CLEAR, &[PLATFORM], &[]).unwrap();
    let use_it = |machine: &mut Machine, client: &mut Client| {
        machine.with_sessions(CHANGE_AUTH, &[PLATFORM], &mut [client], &[0, 0]).map(|_| ())
    };
    let refused = use_it(&mut machine, &mut early);
    assert_eq!(refused, Err(ResponseCode::PCR_CHANGED.in_session(1)));
    let mut late = session_with_policy(&mut machine, PLATFORM, POLICY_PCR, &PCR_7);
    assert_eq!(use_it(&mut machine, &mut late), Ok(()));
}

/// Exponents that are too small, even or composite are out of range, not wrong values.
#[test]
fn the_response_code_of_an_rsa_exponent() {
    let mut machine = Machine::started();
    let template = |exponent: u32| {
        parameters(|writer| {
            [1_u16, 0x0b].iter().try_for_each(|word| writer.value(word))?;
            writer.value(&0x0003_0072_u32)?;
            [0_u16, 6, 128, 0x43, 0x10, 2048].iter().try_for_each(|word| writer.value(word))?;
            writer.value(&exponent)?;
            writer.sized_bytes(&[])
        })
    };
    for exponent in [1, 2, 3, 65_521, 65_538, 65_541, u32::MAX] {
        let made =
            machine.authorised(CREATE_PRIMARY, &[OWNER], &body(b"", b"", &template(exponent)));
        assert_eq!(made, Err(ResponseCode::RANGE.in_parameter(2)), "{exponent}");
    }
}
