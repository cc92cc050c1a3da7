// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a policy put off until its use is checked at its use. From the history of a from-scratch
//! TPM: cpHash, nameHash, locality and physical presence not enforced, and no policy demanded for
//! the ADMIN and DUP roles.

use std::vec::Vec;

use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::session::SessionKind;
use crate::structure::response_code::ResponseCode;
use crate::testing::client::{Client, Encryption};
use crate::testing::{Machine, OWNER, PLATFORM, parameters};
use crate::wire::Result;

const CHANGE_AUTH: u32 = 0x129;
/// The parameters of the use: the owner's value stays empty.
const BODY: [u8; 2] = [0, 0];

/// A step of a policy: its command, and its parameters behind the session.
type Step = (u32, Vec<u8>);

fn start(machine: &mut Machine, kind: SessionKind, steps: &[Step]) -> Client {
    let mut client = Client::start(machine, kind, None, Encryption::None);
    // Nothing is to be proved: no HMAC.
    client.forged = Some(Vec::new());
    take(machine, &client, steps);
    client
}

fn take(machine: &mut Machine, client: &Client, steps: &[Step]) {
    for (code, body) in steps {
        let body = [&client.handle.0.to_be_bytes()[..], body].concat();
        machine.command(*code, &body).unwrap();
    }
}

/// A machine whose owner has the policy of these steps, and a session that has taken them.
fn machine(steps: &[Step]) -> (Machine, Client) {
    let mut machine = Machine::started();
    let trial = start(&mut machine, SessionKind::Trial, steps);
    let digest = machine.command(0x189, &trial.handle.0.to_be_bytes()).unwrap();
    let body = [&digest[..], &[0, 0x0b]].concat();
    machine.authorised(0x12e, &[OWNER], &body).unwrap();
    let client = start(&mut machine, SessionKind::Policy, steps);
    (machine, client)
}

fn use_policy(machine: &mut Machine, client: &mut Client) -> Result<()> {
    machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [client], &BODY).map(|_| ())
}

fn sized(digest: &Digest) -> Vec<u8> {
    parameters(|writer| writer.value(digest))
}

fn refused(code: ResponseCode) -> Result<()> {
    Err(code.in_session(1))
}

#[test]
fn the_digest_must_be_that_of_the_entity() {
    let (mut machine, mut client) = machine(&[(0x16b, std::vec![])]);
    assert_eq!(use_policy(&mut machine, &mut client), Ok(()));
    // A use begins the policy anew.
    assert_eq!(use_policy(&mut machine, &mut client), refused(ResponseCode::POLICY_FAIL));
    let other = machine.with_sessions(CHANGE_AUTH, &[PLATFORM], &mut [&mut client], &BODY);
    assert_eq!(other.map(|_| ()), refused(ResponseCode::AUTH_UNAVAILABLE));
}

#[test]
fn an_authorisation_value_is_proved_if_demanded() {
    let (mut machine, mut client) = machine(&[(0x16b, std::vec![])]);
    machine.authorised(CHANGE_AUTH, &[OWNER], &[0, 1, 7]).unwrap();
    assert_eq!(use_policy(&mut machine, &mut client), refused(ResponseCode::BAD_AUTH));
    client.forged = None;
    client.auth = std::vec![7];
    client.auth_after = Some(Vec::new());
    assert_eq!(use_policy(&mut machine, &mut client), Ok(()));
}

#[test]
fn a_password_is_given_if_demanded() {
    let (mut machine, mut client) = machine(&[(0x18c, std::vec![])]);
    machine.authorised(CHANGE_AUTH, &[OWNER], &[0, 1, 7]).unwrap();
    client.forged = Some(std::vec![8]);
    assert_eq!(use_policy(&mut machine, &mut client), refused(ResponseCode::BAD_AUTH));
    client.forged = Some(std::vec![7, 0]);
    assert_eq!(use_policy(&mut machine, &mut client), Ok(()));
}

#[test]
fn a_command_code_is_enforced() {
    let step = |code: u32| (0x16c, code.to_be_bytes().to_vec());
    let (mut machine, mut client) = machine(&[step(0x126)]);
    assert_eq!(use_policy(&mut machine, &mut client), refused(ResponseCode::POLICY_CC));
    let (mut machine, mut client) = self::machine(&[step(CHANGE_AUTH)]);
    assert_eq!(use_policy(&mut machine, &mut client), Ok(()));
}

#[test]
fn a_locality_is_enforced() {
    let (mut machine, mut client) = machine(&[(0x16f, std::vec![0b0_1000])]);
    assert_eq!(use_policy(&mut machine, &mut client), refused(ResponseCode::LOCALITY));
    machine.locality = 3;
    assert_eq!(use_policy(&mut machine, &mut client), Ok(()));
}

#[test]
fn physical_presence_is_enforced() {
    let (mut machine, mut client) = machine(&[(0x187, std::vec![])]);
    assert_eq!(use_policy(&mut machine, &mut client), refused(ResponseCode::PP));
    machine.platform.physical_presence = true;
    assert_eq!(use_policy(&mut machine, &mut client), Ok(()));
}

#[test]
fn hashes_of_the_use_are_enforced() {
    let sha256 = HashAlgorithm::Sha256;
    let name = OWNER.to_be_bytes();
    let code = CHANGE_AUTH.to_be_bytes();
    let wrong = sha256.digest(&[b"something else"]);
    for (command, right) in [
        (0x16e, sha256.digest(&[&code, &name, &BODY])),
        (0x170, sha256.digest(&[&name])),
        (0x19c, sha256.digest(&[&code, &BODY])),
    ] {
        let (mut machine, mut client) = machine(&[(command, sized(&wrong))]);
        let used = use_policy(&mut machine, &mut client);
        assert_eq!(used, refused(ResponseCode::POLICY_FAIL), "{command:#x}");
        let (mut machine, mut client) = self::machine(&[(command, sized(&right))]);
        assert_eq!(use_policy(&mut machine, &mut client), Ok(()), "{command:#x}");
    }
    // A template is that of a command that creates.
    let (mut machine, mut client) = machine(&[(0x190, sized(&wrong))]);
    assert_eq!(use_policy(&mut machine, &mut client), refused(ResponseCode::POLICY_FAIL));
}

#[test]
fn pcrs_must_not_change_before_the_use() {
    let pcrs = [0, 0, 0, 0, 0, 1, 0, 0x0b, 3, 1, 0, 0];
    let (mut machine, mut client) = machine(&[(0x17f, pcrs.to_vec())]);
    machine.extend_pcr(23, &[1; 32]);
    let mut other = start(&mut machine, SessionKind::Policy, &[(0x17f, pcrs.to_vec())]);
    assert_eq!(use_policy(&mut machine, &mut other), Ok(()), "PCR 23 does not count");
    machine.extend_pcr(5, &[1; 32]);
    assert_eq!(use_policy(&mut machine, &mut client), refused(ResponseCode::PCR_CHANGED));
}

#[test]
fn only_an_nv_index_can_be_written() {
    let (mut machine, mut client) = machine(&[(0x18f, std::vec![1])]);
    assert_eq!(use_policy(&mut machine, &mut client), refused(ResponseCode::POLICY_FAIL));
}

#[test]
fn an_approval_expires() {
    let mut machine = Machine::started();
    let approve = |machine: &mut Machine, client: &Client, seconds: i32| {
        let body = parameters(|writer| {
            writer.sized_bytes(&client.nonce_tpm)?;
            writer.sized_bytes(&[])?;
            writer.sized_bytes(&[])?;
            writer.value(&seconds)
        });
        machine.authorised(0x151, &[PLATFORM, client.handle.0], &body).unwrap();
    };
    let trial = start(&mut machine, SessionKind::Trial, &[]);
    approve(&mut machine, &trial, 0);
    let digest = machine.command(0x189, &trial.handle.0.to_be_bytes()).unwrap();
    machine.authorised(0x12e, &[OWNER], &[&digest[..], &[0, 0x0b]].concat()).unwrap();
    let mut client = start(&mut machine, SessionKind::Policy, &[]);
    approve(&mut machine, &client, 10);
    machine.platform.uptime_ms += 11_000;
    assert_eq!(use_policy(&mut machine, &mut client), refused(ResponseCode::EXPIRED));
    let mut client = start(&mut machine, SessionKind::Policy, &[]);
    approve(&mut machine, &client, 10);
    machine.platform.uptime_ms += 9_000;
    assert_eq!(use_policy(&mut machine, &mut client), Ok(()));
}

/// A context of a session outlives a Resume. TPM time begins anew, and what was to end at some time
/// of before has ended; a policy without such an end goes on.
#[test]
fn a_resume_ends_only_what_has_an_end() {
    let resume = |machine: &mut Machine, client: &Client| {
        let saved = machine.command(0x162, &client.handle.0.to_be_bytes()).unwrap();
        machine.command(0x145, &[0, 1]).unwrap();
        machine.power_cycle();
        machine.command(0x144, &[0, 1]).unwrap();
        machine.command(0x161, &saved).unwrap();
    };
    let (mut machine, mut client) = machine(&[(0x16c, CHANGE_AUTH.to_be_bytes().to_vec())]);
    resume(&mut machine, &client);
    assert_eq!(use_policy(&mut machine, &mut client), Ok(()));

    let approval = |client: &Client| {
        parameters(|writer| {
            writer.sized_bytes(&client.nonce_tpm)?;
            writer.sized_bytes(&[])?;
            writer.sized_bytes(&[])?;
            writer.value(&1_000_i32)
        })
    };
    let mut machine = Machine::started();
    let client = start(&mut machine, SessionKind::Policy, &[]);
    machine.authorised(0x151, &[PLATFORM, client.handle.0], &approval(&client)).unwrap();
    let digest = machine.command(0x189, &client.handle.0.to_be_bytes()).unwrap();
    machine.authorised(0x12e, &[OWNER], &[&digest[..], &[0, 0x0b]].concat()).unwrap();
    let mut client = client;
    resume(&mut machine, &client);
    assert_eq!(use_policy(&mut machine, &mut client), refused(ResponseCode::EXPIRED));
    let late = machine.authorised(0x151, &[PLATFORM, client.handle.0], &approval(&client));
    assert_eq!(late, Err(ResponseCode::EXPIRED.in_parameter(4)));
}

#[test]
fn a_trial_authorises_nothing() {
    let (mut machine, _) = machine(&[]);
    let mut trial = start(&mut machine, SessionKind::Trial, &[]);
    assert_eq!(use_policy(&mut machine, &mut trial), refused(ResponseCode::ATTRIBUTES));
}
