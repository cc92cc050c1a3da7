// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pipeline seen from outside: frames, authorisation areas, sessions, encryption, audit.

use std::vec::Vec;

use crate::crypto::hash::HashAlgorithm;
use crate::session::SessionKind;
use crate::structure::response_code::ResponseCode;
use crate::testing::client::{
    AUDIT, AUDIT_EXCLUSIVE, AUDIT_RESET, CONTINUE, Client, DECRYPT, ENCRYPT, Encryption,
};
use crate::testing::{LOCKOUT, Machine, NULL, OWNER, PASSWORD, PLATFORM, frame, parameters, split};
use crate::wire::Result;

const CHANGE_AUTH: u32 = 0x129;
const GET_RANDOM: u32 = 0x17b;
const HASH: u32 = 0x17d;
const STIR_RANDOM: u32 = 0x146;

fn code_of(response: &[u8]) -> Result<()> {
    split(response).map(|_| ())
}

#[test]
fn broken_frames_are_refused() {
    let mut machine = Machine::started();
    let size = Err(ResponseCode::COMMAND_SIZE);
    for short in [&[][..], &[0x80], &[0x80, 1, 0, 0, 0, 10], &[0x80, 1, 0, 0, 0, 9, 0, 0, 1]] {
        assert_eq!(code_of(&machine.raw(short)), size);
    }
    let mut wrong = frame(0x8001, GET_RANDOM, &[0, 4]);
    wrong[5] = 13;
    assert_eq!(code_of(&machine.raw(&wrong)), size);
    wrong[5] = 11;
    assert_eq!(code_of(&machine.raw(&wrong)), size);
    assert_eq!(code_of(&machine.raw(&[0; 4097])), size);
    let unknown = machine.raw(&frame(0x8001, 0x11e, &[]));
    assert_eq!(code_of(&unknown), Err(ResponseCode::COMMAND_CODE));
    let vendor = machine.raw(&frame(0x8001, 0x2000_0000, &[]));
    assert_eq!(code_of(&vendor), Err(ResponseCode::COMMAND_CODE));
    let tag = machine.raw(&frame(0x8003, GET_RANDOM, &[0, 4]));
    assert_eq!(tag, [0, 0xc4, 0, 0, 0, 10, 0, 0, 0, 0x1e]);
}

#[test]
fn a_response_that_does_not_fit_is_our_fault() {
    let mut machine = Machine::started();
    let command = frame(0x8001, GET_RANDOM, &[0, 32]);
    let Machine { tpm, platform, .. } = &mut machine;
    assert_eq!(tpm.execute(platform, 0, &command, &mut [0; 9]), 0);
    let mut response = [0; 20];
    assert_eq!(tpm.execute(platform, 0, &command, &mut response), 10);
    assert_eq!(response[6..10], [0, 0, 1, 1]);
}

/// A session of an authorisation area, raw.
fn session(handle: u32, nonce: &[u8], attributes: u8, hmac: &[u8]) -> Vec<u8> {
    parameters(|writer| {
        writer.value(&handle)?;
        writer.sized_bytes(nonce)?;
        writer.value(&attributes)?;
        writer.sized_bytes(hmac)
    })
}

/// TPM2_HierarchyChangeAuth of the owner with a raw authorisation area.
fn change_auth(machine: &mut Machine, area: &[u8], size: usize) -> Result<()> {
    let body = parameters(|writer| {
        writer.value(&OWNER)?;
        writer.value(&u32::try_from(size).unwrap())?;
        writer.bytes(area)?;
        writer.sized_bytes(b"")
    });
    code_of(&machine.raw(&frame(0x8002, CHANGE_AUTH, &body)))
}

#[test]
fn broken_authorisation_areas_are_refused() {
    let mut machine = Machine::started();
    let password = session(PASSWORD, &[], CONTINUE, &[]);
    let hmac = machine.start_session(SessionKind::Hmac).0;
    let trial = Client::start(&mut machine, SessionKind::Trial, None, Encryption::AesCfb).handle.0;
    let mut refuse = |sessions: &[&[u8]], expected: ResponseCode| {
        let area = sessions.concat();
        assert_eq!(change_auth(&mut machine, &area, area.len()), Err(expected), "{area:x?}");
    };
    let first = |code: ResponseCode| code.in_session(1);
    refuse(&[&password[..8]], ResponseCode::SIZE);
    refuse(&[&password, &[0]], ResponseCode::INSUFFICIENT.in_session(2));
    refuse(&[&session(PASSWORD, &[], 0x08, &[])], first(ResponseCode::RESERVED_BITS));
    refuse(&[&session(PASSWORD, &[1], CONTINUE, &[])], first(ResponseCode::NONCE));
    refuse(&[&session(PASSWORD, &[], CONTINUE | AUDIT, &[])], first(ResponseCode::ATTRIBUTES));
    refuse(&[&session(PASSWORD, &[0; 65], CONTINUE, &[])], first(ResponseCode::SIZE));
    refuse(&[&session(OWNER, &[], CONTINUE, &[])], first(ResponseCode::VALUE));
    refuse(&[&session(0x0200_0005, &[], CONTINUE, &[])], ResponseCode::REFERENCE_S0);
    // The number of an HMAC session under the handle type of a policy session.
    let other_kind = session(0x0300_0000, &[], CONTINUE, &[]);
    refuse(&[&other_kind], ResponseCode::REFERENCE_S0);
    refuse(&[&session(trial, &[], CONTINUE, &[])], first(ResponseCode::ATTRIBUTES));
    let exclusive = session(hmac, &[], CONTINUE | AUDIT_EXCLUSIVE, &[]);
    refuse(&[&exclusive], first(ResponseCode::ATTRIBUTES));
    let encrypting = session(hmac, &[], CONTINUE | ENCRYPT, &[]);
    refuse(&[&encrypting], first(ResponseCode::ATTRIBUTES));
    let decrypting = session(hmac, &[], CONTINUE | DECRYPT, &[]);
    refuse(&[&decrypting], first(ResponseCode::SYMMETRIC));
    // A second session that authorises nothing must do something else, which a password can't,
    // nor a trial session.
    let second = ResponseCode::ATTRIBUTES.in_session(2);
    refuse(&[&password, &session(hmac, &[], CONTINUE, &[])], second);
    refuse(&[&password, &session(trial, &[], CONTINUE | DECRYPT, &[])], second);
    refuse(&[&password, &password], ResponseCode::HANDLE.in_session(2));
    let audit = session(hmac, &[], CONTINUE | AUDIT, &[]);
    refuse(&[&audit, &audit], ResponseCode::HANDLE.in_session(2));
    refuse(&[&password, &audit, &audit], ResponseCode::HANDLE.in_session(3));
    refuse(&[&password, &audit, &password], ResponseCode::HANDLE.in_session(3));
    assert_eq!(change_auth(&mut machine, &password, 8), Err(ResponseCode::SIZE));
    assert_eq!(change_auth(&mut machine, &password, 4096), Err(ResponseCode::SIZE));
    assert_eq!(change_auth(&mut machine, &password, password.len()), Ok(()));
}

#[test]
fn an_area_where_none_belongs_and_none_where_one_does() {
    let mut machine = Machine::started();
    let password = session(PASSWORD, &[], CONTINUE, &[]);
    let body = [&9_u32.to_be_bytes()[..], &password, &[0x80, 0, 0, 0]].concat();
    let flush = machine.raw(&frame(0x8002, 0x165, &body));
    assert_eq!(code_of(&flush), Err(ResponseCode::AUTH_CONTEXT));
    // "From a from-scratch TPM's history": an auth handle without a session.
    let body = [&OWNER.to_be_bytes()[..], &[0, 0]].concat();
    assert_eq!(machine.command(CHANGE_AUTH, &body), Err(ResponseCode::AUTH_MISSING));
}

#[test]
fn an_hmac_proves_the_value_and_cannot_be_replayed() {
    let mut machine = Machine::started();
    machine.authorised(CHANGE_AUTH, &[OWNER], &[0, 2, b'p', b'w']).unwrap();
    let mut wrong = Client::hmac(&mut machine, b"no");
    let refused = machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut wrong], &[0, 0]);
    assert_eq!(refused, Err(ResponseCode::BAD_AUTH.in_session(1)));
    let mut client = Client::hmac(&mut machine, b"pw");
    let before = client.nonce_tpm.clone();
    let same = [0, 2, b'p', b'w'];
    machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut client], &same).unwrap();
    assert_ne!(client.nonce_tpm, before);
    let mut replayed = client.clone();
    replayed.nonce_tpm = before;
    let refused = machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut replayed], &same);
    assert_eq!(refused, Err(ResponseCode::BAD_AUTH.in_session(1)));
    // A failed command leaves the nonce as it was.
    machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut client], &same).unwrap();
    client.attributes = 0;
    machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut client], &same).unwrap();
    let gone = machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut client], &same);
    assert_eq!(gone, Err(ResponseCode::REFERENCE_S0));
}

#[test]
fn an_hmac_covers_parameters_and_attributes() {
    let mut machine = Machine::started();
    let mut client = Client::hmac(&mut machine, b"");
    for forged in [std::vec![0; 32], std::vec![0; 31], std::vec![0; 33]] {
        client.forged = Some(forged);
        let refused = machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut client], &[0, 0]);
        assert_eq!(refused, Err(ResponseCode::BAD_AUTH.in_session(1)));
    }
    // Without any key it proves nothing, and may be left out.
    client.forged = Some(Vec::new());
    assert!(machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut client], &[0, 0]).is_ok());
    client.auth = b"pw".to_vec();
    machine.authorised(CHANGE_AUTH, &[OWNER], &[0, 2, b'p', b'w']).unwrap();
    let refused = machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut client], &[0, 0]);
    assert_eq!(refused, Err(ResponseCode::BAD_AUTH.in_session(1)));
}

#[test]
fn a_response_is_authenticated_with_the_new_value() {
    let mut machine = Machine::started();
    let mut client = Client::hmac(&mut machine, b"");
    client.auth_after = Some(b"new".to_vec());
    let new = [0, 3, b'n', b'e', b'w'];
    machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut client], &new).unwrap();
    // A session that is bound needs no value, also not the new one: libtpms decides once for the
    // command and its response.
    let bind = Some((OWNER, &b"new"[..]));
    let mut bound = Client::start(&mut machine, SessionKind::Hmac, bind, Encryption::None);
    let newer = [0, 5, b'n', b'e', b'w', b'e', b'r'];
    machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut bound], &newer).unwrap();
    // For the next command it is not bound any more.
    let refused = machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut bound], &newer);
    assert_eq!(refused, Err(ResponseCode::BAD_AUTH.in_session(1)));
}

#[test]
fn a_bound_session_needs_no_value_for_its_entity_only() {
    let mut machine = Machine::started();
    machine.authorised(CHANGE_AUTH, &[OWNER], &[0, 2, b'p', b'w']).unwrap();
    let bind = Some((OWNER, &b"pw"[..]));
    let mut client = Client::start(&mut machine, SessionKind::Hmac, bind, Encryption::None);
    let same = [0, 2, b'p', b'w'];
    machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut client], &same).unwrap();
    // For another entity its value is needed.
    machine.authorised(CHANGE_AUTH, &[PLATFORM], &[0, 1, b'x']).unwrap();
    let x = [0, 1, b'x'];
    let refused = machine.with_sessions(CHANGE_AUTH, &[PLATFORM], &mut [&mut client], &x);
    assert_eq!(refused, Err(ResponseCode::BAD_AUTH.in_session(1)));
    client.auth = b"x".to_vec();
    machine.with_sessions(CHANGE_AUTH, &[PLATFORM], &mut [&mut client], &x).unwrap();
    // A new value makes the owner another entity.
    machine.with_password(CHANGE_AUTH, &[OWNER], b"pw", &[0, 1, b'n']).unwrap();
    client.auth = Vec::new();
    let n = [0, 1, b'n'];
    let refused = machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut client], &n);
    assert_eq!(refused, Err(ResponseCode::BAD_AUTH.in_session(1)));
    client.auth = b"n".to_vec();
    machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut client], &n).unwrap();
}

#[test]
fn failures_of_a_session_bound_to_lockout_count() {
    let mut machine = Machine::started();
    let bind = Some((LOCKOUT, &b""[..]));
    let mut client = Client::start(&mut machine, SessionKind::Hmac, bind, Encryption::None);
    client.forged = Some(std::vec![1; 32]);
    let refused = machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut client], &[0, 0]);
    assert_eq!(refused, Err(ResponseCode::AUTH_FAIL.in_session(1)));
    let locked = machine.authorised(CHANGE_AUTH, &[LOCKOUT], &[0, 0]);
    assert_eq!(locked, Err(ResponseCode::LOCKOUT.in_session(1)));
}

#[test]
fn parameters_are_encrypted_both_ways() {
    for encryption in [Encryption::Xor, Encryption::AesCfb] {
        let mut machine = Machine::started();
        let bind = Some((OWNER, &b""[..]));
        let mut client = Client::start(&mut machine, SessionKind::Hmac, bind, encryption);
        client.attributes |= DECRYPT;
        let new = [0, 6, b's', b'e', b'c', b'r', b'e', b't'];
        machine
            .with_sessions(STIR_RANDOM, &[], &mut [&mut client], &new)
            .expect("a session that only decrypts");
        client.attributes = CONTINUE | ENCRYPT | DECRYPT;
        let body = [&[0, 3][..], b"abc", &[0, 0x0b], &NULL.to_be_bytes()].concat();
        let response = machine.with_sessions(HASH, &[], &mut [&mut client], &body).unwrap();
        let digest = HashAlgorithm::Sha256.digest(&[b"abc"]);
        assert_eq!(response[2..34], *digest.as_bytes());
    }
}

#[test]
fn the_first_session_vouches_for_those_that_encrypt() {
    let mut machine = Machine::started();
    let mut first = Client::hmac(&mut machine, b"");
    let none = None;
    let mut second = Client::start(&mut machine, SessionKind::Hmac, none, Encryption::AesCfb);
    let mut third = Client::start(&mut machine, SessionKind::Hmac, none, Encryption::Xor);
    second.attributes |= DECRYPT;
    third.attributes |= ENCRYPT;
    first.attributes |= AUDIT;
    let body = [&[0, 3][..], b"abc", &[0, 0x0b], &NULL.to_be_bytes()].concat();
    let mut sessions = [&mut first, &mut second, &mut third];
    let response = machine.with_sessions(HASH, &[], &mut sessions, &body).unwrap();
    let digest = HashAlgorithm::Sha256.digest(&[b"abc"]);
    assert_eq!(response[2..34], *digest.as_bytes());
}

/// CVE-2023-1017 and CVE-2023-1018: a decrypt session with a first parameter that claims more
/// than there is, or with fewer octets than a size has.
#[test]
fn cve_2023_1017_sizes_beyond_the_parameters() {
    for body in [&[][..], &[0], &[0xff, 0xff], &[0, 1], &[0xff, 0xff, 1, 2, 3]] {
        let mut machine = Machine::started();
        let none = None;
        let started = Client::start(&mut machine, SessionKind::Hmac, none, Encryption::AesCfb);
        let area = session(started.handle.0, &[0; 16], CONTINUE | DECRYPT, &[]);
        let octets = parameters(|writer| {
            writer.value(&u32::try_from(area.len()).unwrap())?;
            writer.bytes(&area)?;
            writer.bytes(body)
        });
        let response = machine.raw(&frame(0x8002, STIR_RANDOM, &octets));
        let expected = if body.len() < 2 { ResponseCode::INSUFFICIENT } else { ResponseCode::SIZE };
        assert_eq!(code_of(&response), Err(expected), "{body:x?}");
    }
}

/// The same in the other direction: every size of the response is its own.
#[test]
fn cve_2023_1018_responses_of_every_size_are_encrypted() {
    let mut machine = Machine::started();
    let none = None;
    let mut client = Client::start(&mut machine, SessionKind::Hmac, none, Encryption::AesCfb);
    client.attributes |= ENCRYPT;
    for size in 0..=70_u16 {
        let body = size.to_be_bytes();
        let response = machine.with_sessions(GET_RANDOM, &[], &mut [&mut client], &body).unwrap();
        assert_eq!(response.len(), 2 + usize::from(size.min(64)));
    }
}

#[test]
fn audit_is_exclusive_until_something_else_happens() {
    let mut machine = Machine::started();
    let mut client = Client::hmac(&mut machine, b"");
    client.attributes |= AUDIT;
    let random = |machine: &mut Machine, client: &mut Client| {
        machine.with_sessions(GET_RANDOM, &[], &mut [client], &[0, 4]).map(|_| ())
    };
    random(&mut machine, &mut client).unwrap();
    assert_eq!(client.answered, CONTINUE | AUDIT | AUDIT_EXCLUSIVE);
    client.attributes |= AUDIT_EXCLUSIVE;
    random(&mut machine, &mut client).unwrap();
    machine.command(GET_RANDOM, &[0, 4]).unwrap();
    let refused = random(&mut machine, &mut client);
    assert_eq!(refused.map_err(ResponseCode::kind), Err(ResponseCode::EXCLUSIVE));
    client.attributes = CONTINUE | AUDIT;
    random(&mut machine, &mut client).unwrap();
    assert_eq!(client.answered, CONTINUE | AUDIT);
    client.attributes = CONTINUE | AUDIT | AUDIT_RESET;
    random(&mut machine, &mut client).unwrap();
    assert_eq!(client.answered, CONTINUE | AUDIT | AUDIT_EXCLUSIVE);
}

#[test]
fn the_audit_digest_covers_command_and_response() {
    let mut machine = Machine::started();
    let mut client = Client::hmac(&mut machine, b"");
    client.attributes |= AUDIT;
    let body = [&[0, 3][..], b"abc", &[0, 0x0b], &NULL.to_be_bytes()].concat();
    let response = machine.with_sessions(HASH, &[], &mut [&mut client], &body).unwrap();
    let sha256 = HashAlgorithm::Sha256;
    let cp_hash = sha256.digest(&[&HASH.to_be_bytes(), &body]);
    let rp_hash = sha256.digest(&[&[0; 4], &HASH.to_be_bytes(), &response]);
    let expected = sha256.digest(&[&[0; 32], &cp_hash, &rp_hash]);
    let session = machine.tpm.state().sessions.get(client.handle).unwrap();
    assert_eq!(session.audit, Some(expected));
}

#[test]
fn what_fails_is_not_written() {
    let mut machine = Machine::started();
    let commits = machine.platform.storage.commits;
    let refused = machine.with_password(CHANGE_AUTH, &[OWNER], b"wrong", &[0, 1, 1]);
    assert_eq!(refused, Err(ResponseCode::BAD_AUTH.in_session(1)));
    let refused = machine.authorised(CHANGE_AUTH, &[OWNER], &[0, 1]);
    assert_eq!(refused, Err(ResponseCode::INSUFFICIENT.in_parameter(1)));
    machine.command(GET_RANDOM, &[0, 4]).unwrap();
    assert_eq!(machine.platform.storage.commits, commits);
    machine.authorised(CHANGE_AUTH, &[OWNER], &[0, 1, 1]).unwrap();
    assert_eq!(machine.platform.storage.commits, commits + 1, "one commit for each command");
}

/// "Power loss without Shutdown after DA use counts as a failed try."
#[test]
fn pulling_the_plug_does_not_undo_a_failed_try() {
    const INDEX: u32 = 0x0100_0001;
    let mut machine = Machine::started();
    let public = [&INDEX.to_be_bytes()[..], &[0, 0x0b, 0, 4, 0, 4, 0, 0, 0, 8]].concat();
    let body = [&[0, 0, 0, 14][..], &public].concat();
    machine.authorised(0x12a, &[OWNER], &body).unwrap();
    // lockoutAuth has another protection.
    machine.authorised(0x139, &[LOCKOUT], &[]).unwrap();
    machine.power_cycle();
    machine.command(0x144, &[0, 0]).unwrap();
    assert_eq!(machine.property(0x20e), 0);
    let write = [&[0, 8][..], &[1; 8], &[0, 0]].concat();
    machine.authorised(0x137, &[INDEX, INDEX], &write).unwrap();
    machine.power_cycle();
    machine.command(0x144, &[0, 0]).unwrap();
    assert_eq!(machine.property(0x20e), 1);
    machine.command(0x145, &[0, 0]).unwrap();
    machine.power_cycle();
    machine.command(0x144, &[0, 0]).unwrap();
    assert_eq!(machine.property(0x20e), 1);
}

/// What may have to be written is refused while it cannot be, and nothing is lost by that.
#[test]
fn without_storage_only_what_needs_none() {
    let mut machine = Machine::started();
    machine.command(0x145, &[0, 0]).unwrap();
    machine.platform.is_read_only = true;
    let unavailable = Err(ResponseCode::NV_UNAVAILABLE);
    assert_eq!(machine.command(GET_RANDOM, &[0, 4]), unavailable, "the first after a shutdown");
    machine.platform.is_read_only = false;
    machine.command(GET_RANDOM, &[0, 4]).unwrap();
    machine.extend_pcr(5, &[1; 32]);
    machine.platform.is_read_only = true;
    let commits = machine.platform.storage.commits;
    machine.platform.uptime_ms += 1 << 20;
    assert!(machine.command(GET_RANDOM, &[0, 4]).is_ok());
    assert_eq!(machine.authorised(CHANGE_AUTH, &[OWNER], &[0, 1, 1]), unavailable);
    let wrong = machine.with_password(0x139, &[LOCKOUT], b"wrong", &[]);
    assert_eq!(wrong, Err(ResponseCode::NV_UNAVAILABLE), "a try that could not be counted");
    assert_eq!(machine.platform.storage.commits, commits);
    machine.platform.is_read_only = false;
    assert!(machine.command(GET_RANDOM, &[0, 4]).is_ok());
    assert_eq!(machine.platform.storage.commits, commits + 1, "Clock has waited");
    machine.authorised(CHANGE_AUTH, &[OWNER], &[0, 1, 1]).unwrap();
}

#[test]
fn a_session_that_audits_is_not_bound_any_more() {
    let mut machine = Machine::started();
    machine.authorised(CHANGE_AUTH, &[OWNER], &[0, 2, b'p', b'w']).unwrap();
    let bound = Some((OWNER, &b"pw"[..]));
    let mut client = Client::start(&mut machine, SessionKind::Hmac, bound, Encryption::None);
    let same = [0, 2, b'p', b'w'];
    client.attributes = CONTINUE | AUDIT;
    machine.with_sessions(GET_RANDOM, &[], &mut [&mut client], &[0, 4]).unwrap();
    client.attributes = CONTINUE;
    let refused = machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut client.clone()], &same);
    assert_eq!(refused, Err(ResponseCode::BAD_AUTH.in_session(1)));
    client.auth = b"pw".to_vec();
    machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut client], &same).unwrap();
}

/// A session that is bound to a protected entity tells whether a guess of its value is right,
/// whatever the session is used for: not in lockout.
#[test]
fn a_bound_session_does_not_tell_of_a_locked_entity() {
    let mut machine = Machine::started();
    let parameters = [0, 0, 0, 1, 0, 0, 3, 0xe8, 0, 0, 3, 0xe8];
    machine.authorised(0x13a, &[LOCKOUT], &parameters).unwrap();
    let public = [&[1, 0, 0, 1, 0, 0x0b, 0, 4, 0, 4, 0, 0, 0, 8][..]].concat();
    let body = [&[0, 1, 7, 0, 14][..], &public].concat();
    machine.authorised(0x12a, &[OWNER], &body).unwrap();
    let bind = |machine: &mut Machine, guess: &[u8]| {
        let bound = Some((0x0100_0001, guess));
        Client::start(machine, SessionKind::Hmac, bound, Encryption::None)
    };
    let mut wrong = bind(&mut machine, &[8]);
    let refused = machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [&mut wrong], &[0, 0]);
    assert_eq!(refused, Err(ResponseCode::AUTH_FAIL.in_session(1)));
    let mut right = bind(&mut machine, &[7]);
    for client in [&mut wrong, &mut right] {
        let refused = machine.with_sessions(CHANGE_AUTH, &[OWNER], &mut [client], &[0, 0]);
        assert_eq!(refused, Err(ResponseCode::LOCKOUT));
    }
}
