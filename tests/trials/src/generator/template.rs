// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public areas to create objects from: sensible ones, with some that aren't.

use tpm::crypto::hash::HashAlgorithm;
use tpm::structure::command_code::CommandCode;

use super::world::{Class, Policy};
use crate::choices::Choices;
use crate::octets::Octets;

/// Bits of TPMA_OBJECT.
pub(super) mod attribute {
    pub(in super::super) const FIXED_TPM: u32 = 1 << 1;
    pub(in super::super) const FIXED_PARENT: u32 = 1 << 4;
    pub(in super::super) const DATA_ORIGIN: u32 = 1 << 5;
    pub(in super::super) const USER_WITH_AUTH: u32 = 1 << 6;
    pub(in super::super) const NO_DA: u32 = 1 << 10;
    pub(in super::super) const RESTRICTED: u32 = 1 << 16;
    pub(in super::super) const DECRYPT: u32 = 1 << 17;
    pub(in super::super) const SIGN: u32 = 1 << 18;
}

use attribute::{
    DATA_ORIGIN, DECRYPT, FIXED_PARENT, FIXED_TPM, NO_DA, RESTRICTED, SIGN, USER_WITH_AUTH,
};

pub(super) const SHA256: u16 = 0x0b;
const NULL: u16 = 0x10;
/// Hashes that both TPMs have, and one that neither has.
const NAME_HASHES: [u16; 6] = [SHA256, SHA256, SHA256, 0x04, 0x0c, 0x0d];

/// A public area without its size, and what it is for.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) class: Class,
    pub(super) public: Vec<u8>,
    pub(super) policy: Policy,
    /// Whether TPM2_Create gets data to seal or a key.
    pub(super) wants_data: bool,
}

/// Policies of trials with their digests.
impl Policy {
    /// Its SHA-256 digest.
    pub fn digest(self) -> Vec<u8> {
        let hash = |parts: &[&[u8]]| HashAlgorithm::Sha256.digest(parts).as_bytes().to_vec();
        let code = |code: CommandCode| code.0.to_be_bytes();
        match self {
            Self::None => Vec::new(),
            Self::AuthValue => hash(&[&[0; 32], &code(CommandCode::POLICY_AUTH_VALUE)]),
            Self::CommandCode(bound) => {
                let own = code(CommandCode::POLICY_COMMAND_CODE);
                hash(&[&[0; 32], &own, &bound.to_be_bytes()])
            }
            Self::OwnerSecret => {
                let own = code(CommandCode::POLICY_SECRET);
                let named = hash(&[&[0; 32], &own, &0x4000_0001_u32.to_be_bytes()]);
                hash(&[&named])
            }
        }
    }
}

pub(super) fn policy(choices: &mut Choices<'_>) -> Policy {
    const CODES: [u32; 5] = [0x15d, 0x14b, 0x15e, 0x137, 0x11f];
    match choices.below(8) {
        0 => Policy::AuthValue,
        1 => Policy::CommandCode(*choices.one_of(&CODES)),
        2 => Policy::OwnerSecret,
        _ => Policy::None,
    }
}

/// A template of a class.
pub(super) fn of_class(choices: &mut Choices<'_>, class: Class, is_child: bool) -> Template {
    let mut attributes = USER_WITH_AUTH;
    let is_duplicable = is_child && choices.once_in(3);
    if !is_duplicable {
        attributes |= FIXED_TPM | FIXED_PARENT;
    }
    if choices.once_in(2) {
        attributes |= NO_DA;
    }
    let policy = policy(choices);
    let name_hash = if policy == Policy::None { *choices.one_of(&NAME_HASHES) } else { SHA256 };
    let mut wants_data = false;
    let (kind, own, parameters): (u16, u32, Vec<u16>) = match class {
        Class::Storage => {
            let bits = *choices.one_of(&[128, 256]);
            (0x23, RESTRICTED | DECRYPT | DATA_ORIGIN, vec![6, bits, 0x43, NULL, 3, NULL])
        }
        Class::SignEcc => {
            let curve = *choices.one_of(&[3, 3, 4]);
            let (more, scheme) = match choices.below(3) {
                0 => (RESTRICTED, vec![NULL, 0x18, SHA256]),
                1 => (0, vec![NULL, 0x18, SHA256]),
                _ => (0, vec![NULL, NULL]),
            };
            (0x23, SIGN | DATA_ORIGIN | more, [scheme, vec![curve, NULL]].concat())
        }
        Class::SignDaa => {
            let curve = *choices.one_of(&[3, 3, 4]);
            (0x23, SIGN | DATA_ORIGIN, vec![NULL, 0x1a, SHA256, 0, curve, NULL])
        }
        Class::Agreement if choices.once_in(3) => {
            let scheme = *choices.one_of(&[0x19, 0x1d]);
            (0x23, DECRYPT | DATA_ORIGIN, vec![NULL, scheme, SHA256, 3, NULL])
        }
        Class::Agreement => (0x23, DECRYPT | DATA_ORIGIN, vec![NULL, NULL, 3, NULL]),
        Class::Rsa => {
            let scheme = match choices.below(4) {
                0 => vec![0x14, SHA256],
                1 => vec![0x16, SHA256],
                _ => vec![NULL],
            };
            let own = if scheme.len() == 2 { SIGN } else { SIGN | DECRYPT };
            let words = [vec![NULL], scheme, vec![2048, 0, 0]].concat();
            (1, own | DATA_ORIGIN, words)
        }
        Class::Mac => {
            wants_data = choices.once_in(2);
            let hash = *choices.one_of(&[SHA256, 0x04, 0x0c]);
            let origin = if wants_data { 0 } else { DATA_ORIGIN };
            let scheme = if choices.once_in(3) { vec![NULL] } else { vec![5, hash] };
            (8, SIGN | origin, scheme)
        }
        Class::Cipher => {
            wants_data = choices.once_in(2);
            let mode = *choices.one_of(&[NULL, 0x40, 0x41, 0x42, 0x43, 0x44]);
            let origin = if wants_data { 0 } else { DATA_ORIGIN };
            (0x25, SIGN | DECRYPT | origin, vec![6, 128, mode])
        }
        _ => {
            wants_data = true;
            (8, 0, vec![NULL])
        }
    };
    let mut attributes = attributes | own;
    if choices.once_in(10) {
        attributes ^= 1 << choices.below(20);
    }
    let parameters = spoiled(choices, parameters);
    let octets = Octets::new().u16(kind).u16(name_hash).u32(attributes).sized(&policy.digest());
    let octets = octets.words(&parameters);
    let octets = match (kind, choices.below(12)) {
        (0x23, 0) => octets.sized(&[5; 32]).sized(&[6; 32]),
        (0x23, _) => octets.sized(&[]).sized(&[]),
        (_, 0) => octets.sized(&[7; 16]),
        _ => octets.sized(&[]),
    };
    Template { class, public: octets.0, policy, wants_data }
}

/// Now and then one of the parameters is another one.
fn spoiled(choices: &mut Choices<'_>, mut words: Vec<u16>) -> Vec<u16> {
    const OTHERS: [u16; 14] = [0, 1, 3, 4, 5, 6, 8, 0x0b, 0x10, 0x14, 0x18, 0x43, 0xfe, 0x8000];
    if choices.once_in(12) && !words.is_empty() {
        let place = choices.below(words.len());
        words[place] = *choices.one_of(&OTHERS);
    }
    words
}
