// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TPM with something in every record, and in almost every field of one; and what must be true of
//! it for ever.

use crate::client::{Fields, Octets, PASSWORD, Tpm};
use crate::commands::*;
use crate::facts::Facts;
use crate::state::State;

/// Authorisation values.
const OWNER_AUTH: &[u8] = b"owner";
const LOCKOUT_AUTH: &[u8] = b"lockout";
const ENDORSEMENT_AUTH: &[u8] = b"endorsement";
const PLATFORM_AUTH: &[u8] = b"platform";
const INDEX_AUTH: &[u8] = b"index";
const PCR_AUTH: &[u8] = b"pcr";
const SEAL_AUTH: &[u8] = b"seal";
/// TPM_RC_BAD_AUTH and TPM_RC_AUTH_FAIL in session 1.
const BAD_AUTH: u32 = 0x9a2;
const AUTH_FAIL: u32 = 0x98e;

/// Persistent objects: a storage key, sealed data, a cipher's key, an RSA key, the platform's.
pub(crate) const STORAGE_KEY: u32 = 0x8100_0001;
pub(crate) const SEALED: u32 = 0x8100_0002;
pub(crate) const CIPHER_KEY: u32 = 0x8100_0003;
pub(crate) const RSA_KEY: u32 = 0x8101_0001;
pub(crate) const PLATFORM_KEY: u32 = 0x8180_0001;
/// NV indices: data, a counter, bits, an extended digest, one that was never written, an orderly
/// counter; and a counter that is deleted again.
pub(crate) const DATA: u32 = 0x0150_0020;
pub(crate) const COUNTER: u32 = 0x0150_0021;
pub(crate) const BITS: u32 = 0x0150_0022;
pub(crate) const DIGEST: u32 = 0x0150_0023;
pub(crate) const UNWRITTEN: u32 = 0x0150_0024;
pub(crate) const ORDERLY: u32 = 0x0150_0025;
const DELETED: u32 = 0x0150_0026;
/// TPMA_NV: AUTHWRITE and AUTHREAD; without protection against dictionary attacks; orderly; types.
const AUTH_ACCESS: u32 = 0x0004_0004;
const NO_DA: u32 = 1 << 25;
const IS_ORDERLY: u32 = 1 << 26;
const COUNTER_TYPE: u32 = 0x10;
const BITS_TYPE: u32 = 0x20;
const EXTEND_TYPE: u32 = 0x40;
/// TPM_PT_LOCKOUT_COUNTER and the properties behind it: maximum, interval, recovery.
const LOCKOUT_COUNTER: u32 = 0x20e;
/// TPM_PT_PERMANENT: ownerAuthSet, endorsementAuthSet, lockoutAuthSet, disableClear.
const PERMANENT: u32 = 0x200;
const ALL_AUTHS_AND_NO_CLEAR: u32 = 0x107;
/// TPM_PT_ALGORITHM_SET.
const ALGORITHM_SET: u32 = 0x20c;

/// Of an endorsement key: the policy of the TCG's profile.
const EK_POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];

fn endorsement_rsa() -> Vec<u8> {
    let front = Octets::default().words(&[1, 0x0b, 3, 0x00b2]).sized(&EK_POLICY);
    front.words(&[6, 128, 0x43, 0x10, 2048, 0, 0]).sized(&[0; 256]).0
}

fn endorsement_p256() -> Vec<u8> {
    let front = Octets::default().words(&[0x23, 0x0b, 3, 0x00b2]).sized(&EK_POLICY);
    front.words(&[6, 128, 0x43, 0x10, 3, 0x10]).sized(&[0; 32]).sized(&[0; 32]).0
}

/// A storage key on P-256, or on P-384.
fn storage(curve: u16) -> Vec<u8> {
    Octets::default().words(&[0x23, 0x0b, 3, 0x0072, 0, 6, 128, 0x43, 0x10, curve, 0x10, 0, 0]).0
}

/// An RSA key of 2048 bits that signs.
fn rsa() -> Vec<u8> {
    Octets::default().words(&[1, 0x0b, 4, 0x0072, 0, 0x10, 0x10, 2048, 0, 0, 0]).0
}

/// fixedTPM, fixedParent, userWithAuth, noDA; the data are the caller's.
fn sealed() -> Vec<u8> {
    Octets::default().words(&[8, 0x0b, 0, 0x0452, 0, 0x10, 0]).0
}

/// AES-128-CFB; encrypts and decrypts.
fn cipher() -> Vec<u8> {
    Octets::default().words(&[0x25, 0x0b, 6, 0x0072, 0, 6, 128, 0x43, 0]).0
}

/// Makes the TPM, and shuts it down with its state saved. It was reset twice: also the first start
/// is a TPM Reset.
pub(crate) fn make(name: &'static str) -> (State, Facts) {
    let state = State::new(name);
    let mut facts = Facts::default();
    let mut tpm = state.start();
    // Only the next start has no SHA-1 bank any more.
    let no_sha1 = Octets::default().u32(1).words(&[4]).bytes(&[3, 0, 0, 0]).0;
    tpm.authorised(PCR_ALLOCATE, &[PLATFORM], 1, &no_sha1).expect("an allocation");
    tpm.command(SHUTDOWN, &[0, 0]).expect("it shuts down");
    drop(tpm);
    let mut tpm = state.start();
    note_names(&mut tpm, &mut facts, b"");
    make_objects(&mut tpm, &mut facts);
    make_indices(&mut tpm);
    set_what_is_permanent(&mut tpm);
    set_what_a_resume_keeps(&mut tpm, &mut facts);
    tpm.command(SHUTDOWN, &[0, 1]).expect("its state is saved");
    drop(tpm);
    (state, facts)
}

/// Names of primary keys, which nothing but the seeds makes.
fn primary_names(tpm: &mut Tpm, auth: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let templates = [
        ("endorsement key RSA 2048", endorsement_rsa()),
        ("endorsement key P-256", endorsement_p256()),
    ];
    let names = templates.map(|(text, template)| {
        let handle = primary(tpm, (ENDORSEMENT, auth), &template, (b"", b""));
        let found = name(tpm, handle);
        flush(tpm, handle);
        (text, found)
    });
    names.into()
}

fn note_names(tpm: &mut Tpm, facts: &mut Facts, auth: &[u8]) {
    for (text, name) in primary_names(tpm, auth) {
        facts.note(text, name);
    }
}

const OBJECTS: [(u32, &str); 5] = [
    (STORAGE_KEY, "storage key"),
    (SEALED, "sealed data"),
    (CIPHER_KEY, "cipher key"),
    (RSA_KEY, "RSA key"),
    (PLATFORM_KEY, "platform key"),
];

fn make_objects(tpm: &mut Tpm, facts: &mut Facts) {
    let templates = [storage(3), sealed(), cipher(), rsa(), storage(4)];
    for ((place, text), template) in OBJECTS.into_iter().zip(templates) {
        let hierarchy = if place == PLATFORM_KEY { PLATFORM } else { OWNER };
        let data: &[u8] = if place == SEALED { b"sealed data" } else { b"" };
        let auth: &[u8] = if place == SEALED { SEAL_AUTH } else { b"" };
        let handle = primary(tpm, (hierarchy, b""), &template, (auth, data));
        let evict = place.to_be_bytes();
        tpm.authorised(EVICT_CONTROL, &[hierarchy, handle], 1, &evict).expect("it persists");
        facts.note(text, name(tpm, place));
        flush(tpm, handle);
    }
}

/// A command, and what follows its handles and sessions.
type Change<'a> = (u32, &'a [u8]);

fn make_indices(tpm: &mut Tpm) {
    let written = Octets::default().sized(b"8 octets").u16(0).0;
    let bits = 0x0100_0000_0000_0005_u64.to_be_bytes();
    let extended = Octets::default().sized(b"extended").0;
    let indices: [(u32, u32, &[Change<'_>]); 7] = [
        (DATA, 0, &[(NV_WRITE, &written)]),
        (COUNTER, COUNTER_TYPE, &[(NV_INCREMENT, b""), (NV_INCREMENT, b"")]),
        (BITS, BITS_TYPE, &[(NV_SET_BITS, &bits)]),
        (DIGEST, EXTEND_TYPE | NO_DA, &[(NV_EXTEND, &extended)]),
        (UNWRITTEN, NO_DA, &[]),
        (ORDERLY, COUNTER_TYPE | IS_ORDERLY, &[(NV_INCREMENT, b"")]),
        (DELETED, COUNTER_TYPE, &[(NV_INCREMENT, &[][..]); 9]),
    ];
    for (index, attributes, changes) in indices {
        define(tpm, index, INDEX_AUTH, AUTH_ACCESS | attributes);
        for (command, body) in changes {
            let sessions = [(PASSWORD, INDEX_AUTH)];
            tpm.with_passwords(*command, &[index, index], &sessions, body).expect("a change");
        }
    }
    tpm.authorised(UNDEFINE_SPACE, &[OWNER, DELETED], 1, b"").expect("it is deleted");
    // One failed try.
    assert_eq!(read_index(tpm, (DATA, 8), b"wrong"), Err(AUTH_FAIL));
}

fn set_what_is_permanent(tpm: &mut Tpm) {
    // Before the group has a policy, which is then the only way.
    let body = Octets::default().sized(PCR_AUTH).0;
    tpm.authorised(PCR_SET_AUTH_VALUE, &[20], 1, &body).expect("the PCR group has a password");
    let policy = |octet| Octets::default().sized(&[octet; 32]).u16(0x0b).0;
    let pcr_policy = Octets::default().sized(&[4; 48]).u16(0x0c).u32(20).0;
    let counted = Octets::default().u32(7).u32(100_000).u32(200_000).0;
    // Another algorithm while nothing is audited, then two commands.
    let algorithm = Octets::default().u16(0x0c).u32(0).u32(0).0;
    let audited = Octets::default().u16(0x0c).u32(2).u32(NV_INCREMENT).u32(UNSEAL).u32(0).0;
    let set: [(u32, u32, &[u8]); 11] = [
        (SET_PRIMARY_POLICY, OWNER, &policy(1)),
        (SET_PRIMARY_POLICY, ENDORSEMENT, &policy(2)),
        (SET_PRIMARY_POLICY, LOCKOUT, &policy(3)),
        (PCR_SET_AUTH_POLICY, PLATFORM, &pcr_policy),
        (SET_ALGORITHM_SET, PLATFORM, &0x0102_0304_u32.to_be_bytes()),
        (SET_COMMAND_CODE_AUDIT_STATUS, OWNER, &algorithm),
        (SET_COMMAND_CODE_AUDIT_STATUS, OWNER, &audited),
        (DICTIONARY_ATTACK_PARAMETERS, LOCKOUT, &counted),
        (CLEAR_CONTROL, LOCKOUT, &[1]),
        (CHANGE_AUTH, LOCKOUT, &Octets::default().sized(LOCKOUT_AUTH).0),
        (CHANGE_AUTH, ENDORSEMENT, &Octets::default().sized(ENDORSEMENT_AUTH).0),
    ];
    for (command, handle, body) in set {
        tpm.authorised(command, &[handle], 1, body).unwrap_or_else(|code| {
            panic!("command {command:#x} with {handle:#x}: {code:#x}");
        });
    }
    let auth = Octets::default().sized(OWNER_AUTH).0;
    tpm.authorised(CHANGE_AUTH, &[OWNER], 1, &auth).expect("a new authorisation value");
}

fn set_what_a_resume_keeps(tpm: &mut Tpm, facts: &mut Facts) {
    let extend = Octets::default().u32(1).u16(0x0b).bytes(&[7; 32]).0;
    tpm.authorised(PCR_EXTEND, &[7], 1, &extend).expect("it is extended");
    facts.note("PCR 7", pcr(tpm, 7));
    let handle = primary(tpm, (NULL, b""), &storage(3), (b"", b""));
    facts.note("key of the NULL hierarchy", name(tpm, handle));
    flush(tpm, handle);
    // An HMAC session, neither salted nor bound.
    let session = Octets::default().u32(NULL).u32(NULL).sized(&[9; 16]).sized(b"");
    let session = session.u8(0).words(&[0x10, 0x0b]).0;
    let started = tpm.command(START_AUTH_SESSION, &session).expect("a session");
    let handle = Fields(&started).u32();
    let saved = tpm.command(CONTEXT_SAVE, &handle.to_be_bytes()).expect("its context");
    facts.note("session", handle.to_be_bytes().to_vec());
    facts.note("saved session", saved);
    let auth = Octets::default().sized(PLATFORM_AUTH).0;
    tpm.authorised(CHANGE_AUTH, &[PLATFORM], 1, &auth).expect("a new authorisation value");
}

/// What is true after any start.
pub(crate) fn check_what_outlives_power(tpm: &mut Tpm, facts: &Facts) {
    for (text, name) in primary_names(tpm, ENDORSEMENT_AUTH) {
        assert_eq!(name, facts.get(text), "{text}");
    }
    for (handle, text) in OBJECTS {
        assert_eq!(name(tpm, handle), facts.get(text), "{text}");
    }
    let unsealed = tpm.with_password(UNSEAL, &[SEALED], SEAL_AUTH, b"").expect("the data");
    assert_eq!(Fields(&unsealed).sized(), b"sealed data");
    check_indices(tpm);
    // Each hierarchy has its password, and the empty one is refused.
    let anew = |auth| Octets::default().sized(auth).0;
    for (hierarchy, auth) in [(OWNER, OWNER_AUTH), (ENDORSEMENT, ENDORSEMENT_AUTH)] {
        let body = anew(auth);
        assert_eq!(tpm.authorised(CHANGE_AUTH, &[hierarchy], 1, &body), Err(BAD_AUTH));
        assert_eq!(tpm.with_password(CHANGE_AUTH, &[hierarchy], auth, &body), Ok(vec![]));
    }
    let body = anew(LOCKOUT_AUTH);
    assert_eq!(tpm.with_password(CHANGE_AUTH, &[LOCKOUT], LOCKOUT_AUTH, &body), Ok(vec![]));
    assert_eq!(property(tpm, PERMANENT) & 0x107, ALL_AUTHS_AND_NO_CLEAR);
    assert_eq!(property(tpm, LOCKOUT_COUNTER + 1), 7);
    assert_eq!(property(tpm, LOCKOUT_COUNTER + 2), 100_000);
    assert_eq!(property(tpm, LOCKOUT_COUNTER + 3), 200_000);
    assert_eq!(property(tpm, ALGORITHM_SET), 0x0102_0304);
}

fn check_indices(tpm: &mut Tpm) {
    let mut read = |index, size| read_index(tpm, (index, size), INDEX_AUTH);
    let number = |number: u64| Ok(number.to_be_bytes().to_vec());
    assert_eq!(read(DATA, 8), Ok(b"8 octets".to_vec()));
    assert_eq!(read(COUNTER, 8), number(2));
    assert_eq!(read(BITS, 8), number(0x0100_0000_0000_0005));
    let extended = tpm::crypto::hash::HashAlgorithm::Sha256.digest(&[&[0; 32], b"extended"]);
    assert_eq!(read(DIGEST, 32), Ok(extended.as_bytes().to_vec()));
    // TPM_RC_NV_UNINITIALIZED.
    assert_eq!(read(UNWRITTEN, 8), Err(0x14a));
}

/// What is true as long as the TPM was not reset.
pub(crate) fn check_what_a_resume_keeps(tpm: &mut Tpm, facts: &Facts) {
    assert_eq!(pcr(tpm, 7), facts.get("PCR 7"));
    let handle = primary(tpm, (NULL, b""), &storage(3), (b"", b""));
    assert_eq!(name(tpm, handle), facts.get("key of the NULL hierarchy"));
    flush(tpm, handle);
    let loaded = tpm.command(CONTEXT_LOAD, facts.get("saved session")).expect("the session");
    assert_eq!(loaded, facts.get("session"));
    assert_eq!(read_index(tpm, (ORDERLY, 8), INDEX_AUTH), Ok(3_u64.to_be_bytes().to_vec()));
    assert_eq!(property(tpm, LOCKOUT_COUNTER), 1);
    let body = Octets::default().sized(PLATFORM_AUTH).0;
    assert_eq!(tpm.authorised(CHANGE_AUTH, &[PLATFORM], 1, &body), Err(BAD_AUTH));
    assert_eq!(tpm.with_password(CHANGE_AUTH, &[PLATFORM], PLATFORM_AUTH, &body), Ok(vec![]));
}
