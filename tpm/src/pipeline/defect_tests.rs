// SPDX-License-Identifier: MIT OR Apache-2.0
//! Defects that other TPMs had. Each has a test that is named after it; these have no better place:
//! the others stand beside the code that could have them. Those of this engine's own that the
//! comparison with libtpms found are in `comparison_tests`.
//!
//! | defect | tests |
//! |---|---|
//! | CVE-2017-15361 (ROCA) | `crypto::rsa::prime`, `cve_2017_15361_…` |
//! | CVE-2018-6622 | `command::startup::startup`, `cve_2018_6622_…`; `provision::launch` |
//! | CVE-2021-3446, CVE-2026-21444 | `command::symmetric::encrypt_decrypt_2` and `crypto::symmetric`, `cve_2026_21444_and_2021_3446_…` |
//! | CVE-2021-3505 | `crypto::rsa::prime`, `cve_2021_3505_…` |
//! | CVE-2021-3569 | `command::asymmetric::rsa_encrypt`, `cve_2021_3569_…` |
//! | CVE-2021-3623, CVE-2021-3746 | here, `cve_2021_3623_and_3746_…` |
//! | CVE-2022-23645 | here and in `provision::volatile`, `cve_2022_23645_…` |
//! | CVE-2023-1017, CVE-2023-1018 | `pipeline::tests` and `command::object::make_credential`, `cve_2023_1017_…`, `cve_2023_1018_…` |
//! | CVE-2025-2884, CVE-2025-49133 | `command::signing::sign`, `command::hash_hmac::mac`, `protect::template`, `cve_2025_2884_and_49133_…` |
//! | TPM-FAIL | `crypto::ecc::ecdsa`, `tpm_fail_…` |
//! | cpHash, nameHash, locality, presence not enforced | `pipeline::policy_tests`, `…_enforced` |
//! | a ticket of zeros in PolicyAuthorize | `command::policy::authorize`, `a_ticket_that_says_nothing_is_none` |
//! | PolicyNV and PolicyAuthorizeNV without the right to read | here |
//! | no policy demanded for DUP and ADMIN | `command::duplication::import`, `duplication_needs_a_policy`; here |
//! | a handle to authorise without a session | `pipeline::tests`, `an_area_where_none_belongs_…` |
//! | contexts that are forged or replayed | `command::context::context_save`, `every_changed_octet_is_noticed`, `a_session_is_loaded_once`, `no_context_outlives_a_reset` |
//! | contexts that do not fit | the same, `the_longest_sequence_and_session_fit`, and assertions in `state::context` |
//! | order of the creation ticket | `command::object::create_primary`, `order_of_the_creation_ticket` |
//! | the scheme of the wire instead of the key's | `command::signing::sign`, `only_signing_keys_sign_and_only_in_their_scheme` |
//! | credentials by another hash than the key's | here |
//! | secrets of LoadExternal outside the NULL hierarchy | `command::object::load_external`, `secrets_from_outside_belong_to_no_hierarchy` |
//! | ranges of EvictControl | `command::management::evict_control`, `each_hierarchy_has_its_range` |
//! | what Clear leaves | here; `command::management::evict_control`, `clear_leaves_…` |
//! | newMaxTries of 0 | `command::dictionary_attack::parameters`, `no_tries_is_lockout` |
//! | locality of EventSequenceComplete | `command::hash_hmac::event_sequence_complete`, `…_the_right_locality` |
//! | NO_DA indices in lockout | `command::nv::read`, `only_protected_indices_count_failures` |

use std::vec::Vec;

use crate::command::nv::scene::{self, AUTH, BOTH, INDEX};
use crate::command::object::create_primary::tests::{body, storage_key};
use crate::session::SessionKind;
use crate::structure::nv::NvAttributes as Bits;
use crate::structure::response_code::ResponseCode;
use crate::testing::{LOCKOUT, Machine, NULL, OWNER, PLATFORM, parameters};

const CLEAR: &[u8] = &[0, 0];
const STATE: &[u8] = &[0, 1];

/// Illegal values, and then the state is saved and taken back.
#[test]
fn cve_2021_3623_and_3746_illegal_values_do_not_reach_the_saved_state() {
    let mut machine = Machine::started();
    machine.extend_pcr(5, &[7; 32]);
    let before = (machine.read_pcr(5), machine.read_pcr(17));
    let session = |hash: u16, symmetric: &[u16]| {
        parameters(|writer| {
            writer.value(&NULL)?;
            writer.value(&NULL)?;
            writer.sized_bytes(&[7; 16])?;
            writer.sized_bytes(&[])?;
            writer.value(&0_u8)?;
            symmetric.iter().try_for_each(|word| writer.value(word))?;
            writer.value(&hash)
        })
    };
    let context = [&[0xff; 8][..], &[0x80, 0, 0, 0, 0x40, 0, 0, 1, 0xff, 0xff]].concat();
    for (code, octets) in [
        (0x176, session(0xffff, &[0x10])),
        (0x176, session(0x0b, &[6, 0xffff, 0x43])),
        (0x176, session(0x0b, &[6, 128, 0xffff])),
        (0x186, [&[0, 0][..], &[0xff, 0xff]].concat()),
        (0x161, context),
        (0x165, 0x80ff_ffff_u32.to_be_bytes().to_vec()),
        (0x17e, [&[0xff; 4][..], &[0, 0x0b, 0xff]].concat()),
    ] {
        assert!(machine.command(code, &octets).is_err(), "{code:#x} {octets:x?}");
    }
    for (code, handle, octets) in [
        (0x12b, PLATFORM, [&[0xff; 4][..], &[0, 0x0b, 3, 0, 0, 1]].concat()),
        (0x12b, PLATFORM, [&[0, 0, 0, 1][..], &[0xff, 0xff, 3, 0, 0, 1]].concat()),
        (0x182, 5, [&[0, 0, 0, 1][..], &[0xff, 0xff], &[0; 32]].concat()),
        (0x121, PLATFORM, [&0xffff_ffff_u32.to_be_bytes()[..], &[1]].concat()),
        (0x131, NULL, body(b"", b"", &[0xff; 30])),
    ] {
        assert!(machine.authorised(code, &[handle], &octets).is_err(), "{code:#x} {octets:x?}");
    }
    machine.command(0x145, STATE).unwrap();
    machine.power_cycle();
    machine.command(0x144, STATE).unwrap();
    assert_eq!((machine.read_pcr(5), machine.read_pcr(17)), before);
}

/// Somebody with access to the medium changes sizes: the TPM says that it failed, or that there is
/// nothing to resume, and works with what it can read.
#[test]
fn cve_2022_23645_records_with_wrong_sizes_are_refused() {
    let mut machine = Machine::started();
    scene::define(&mut machine, OWNER, INDEX, BOTH, 8);
    scene::write(&mut machine, OWNER, INDEX, b"contents", 0).unwrap();
    let made = machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
    let persistent = 0x8100_0001_u32.to_be_bytes();
    let transient = u32::from_be_bytes(*made.first_chunk().unwrap());
    machine.authorised(0x120, &[OWNER, transient], &persistent).unwrap();
    machine.command(0x145, STATE).unwrap();
    let originals = machine.platform.storage.records();
    assert_eq!(originals.len(), 5, "of each kind");
    for (name, record) in &originals {
        let mut tampered: Vec<Vec<u8>> = Vec::new();
        for place in (0..record.len()).step_by(11) {
            tampered.push(record[..place].to_vec());
            let mut longest = record.clone();
            longest[place..].iter_mut().take(2).for_each(|octet| *octet = 0xff);
            tampered.push(longest);
        }
        tampered.push([&record[..], &[0]].concat());
        for changed in &tampered {
            machine.platform.storage.restore(&originals);
            machine.platform.storage.tamper(*name, changed);
            machine.power_cycle();
            // Each response is checked to be well-formed, and the state to be valid.
            if machine.command(0x144, STATE).is_err() {
                let cleared = machine.command(0x144, CLEAR);
                assert!(matches!(cleared, Ok(_) | Err(ResponseCode::FAILURE)), "{cleared:?}");
            }
            let records = machine.platform.storage.records();
            assert!(records.keys().eq(originals.keys()), "no record is lost");
        }
    }
    machine.platform.storage.restore(&originals);
    machine.power_cycle();
    machine.command(0x144, STATE).unwrap();
    assert_eq!(scene::read(&mut machine, OWNER, INDEX, 8, 0).unwrap(), b"contents");
    assert!(machine.command(0x173, &persistent).is_ok());
}

/// The ADMIN role of an object with adminWithPolicy, which is that of every standard endorsement
/// key, is not had by a password.
#[test]
fn the_admin_role_needs_a_policy_where_the_object_says_so() {
    const ACTIVATE_CREDENTIAL: u32 = 0x147;
    let mut machine = Machine::started();
    let mut template = storage_key();
    let mut refused = |template: &[u8]| {
        let made = machine.authorised(0x131, &[OWNER], &body(b"", b"", template)).unwrap();
        let key = u32::from_be_bytes(*made.first_chunk().unwrap());
        machine.authorised(ACTIVATE_CREDENTIAL, &[key, key], &[0, 0, 0, 0]).err()
    };
    assert_eq!(refused(&template), Some(ResponseCode::INSUFFICIENT.in_parameter(2)), "authorised");
    template[7] |= 0x80; // adminWithPolicy
    assert_eq!(refused(&template), Some(ResponseCode::AUTH_TYPE.in_session(1)));
}

#[test]
fn policies_over_nv_need_the_right_to_read() {
    let mut machine = Machine::started();
    scene::define(&mut machine, OWNER, INDEX, AUTH.with(Bits::READ_ST_CLEAR), 34);
    let steps = [(0x149, &[0, 0, 0, 0, 0, 0][..]), (0x192, &[])];
    let session = machine.start_session(SessionKind::Policy);
    let mut take = |auth: u32| {
        let step = |(code, octets)| machine.authorised(code, &[auth, INDEX, session.0], octets);
        steps.map(step).map(Result::err)
    };
    let unwritten = Some(ResponseCode::NV_UNINITIALIZED);
    let denied = Some(ResponseCode::NV_AUTHORIZATION);
    assert_eq!(take(INDEX), [unwritten; 2]);
    assert_eq!(take(OWNER), [denied; 2]);
    assert_eq!(take(PLATFORM), [denied; 2]);
    let approved = [&[0, 0x0b][..], &[0; 32]].concat();
    scene::write(&mut machine, INDEX, INDEX, &approved, 0).unwrap();
    let mut take = |auth: u32| {
        let step = |(code, octets)| machine.authorised(code, &[auth, INDEX, session.0], octets);
        steps.map(step).map(Result::err)
    };
    assert_eq!(take(OWNER), [denied; 2]);
    // The first succeeds and changes the digest, which the second then compares.
    assert_eq!(take(INDEX), [None, Some(ResponseCode::VALUE)]);
    machine.command(0x180, &session.0.to_be_bytes()).unwrap();
    let approves = machine.authorised(0x192, &[INDEX, INDEX, session.0], &[]);
    assert_eq!(approves, Ok(std::vec![]));
    machine.authorised(0x14f, &[INDEX, INDEX], &[]).unwrap();
    let locked = machine.authorised(0x192, &[INDEX, INDEX, session.0], &[]);
    assert_eq!(locked, Err(ResponseCode::NV_LOCKED));
}

/// The integrity value of a credential is as long as a digest of the key's own hash.
#[test]
fn a_credential_is_made_with_the_hash_of_the_key() {
    let mut machine = Machine::started();
    let mut template = storage_key();
    template[3] = 0x0c;
    let made = machine.authorised(0x131, &[OWNER], &body(b"", b"", &template)).unwrap();
    let name = &made[made.len() - 50..];
    let request = parameters(|writer| {
        writer.bytes(&made[..4])?;
        writer.sized_bytes(b"credential")?;
        writer.sized_bytes(name)
    });
    let credential = machine.command(0x168, &request).unwrap();
    assert_eq!(credential[..4], [0, 2 + 48 + 2 + 10, 0, 48]);
    let key = u32::from_be_bytes(*made.first_chunk().unwrap());
    let activated = machine.authorised(0x147, &[key, key], &credential).unwrap();
    assert_eq!(activated, [&[0, 10][..], b"credential"].concat());
}

#[test]
fn clear_leaves_nothing_of_the_owner() {
    let mut machine = Machine::started();
    let (owners, platforms) = (INDEX, INDEX + 1);
    scene::define(&mut machine, OWNER, owners, BOTH, 4);
    scene::define(&mut machine, PLATFORM, platforms, BOTH.with(Bits::PLATFORM_CREATE), 4);
    machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
    machine.authorised(0x126, &[LOCKOUT], &[]).unwrap();
    let found = |machine: &mut Machine| {
        [owners, platforms].map(|index| machine.command(0x169, &index.to_be_bytes()).is_ok())
    };
    assert_eq!(found(&mut machine), [false, true]);
    assert_eq!(machine.tpm.state().transients.free(), 8);
    machine.power_cycle();
    machine.command(0x144, CLEAR).unwrap();
    assert_eq!(found(&mut machine), [false, true], "and it does not come back");
}
