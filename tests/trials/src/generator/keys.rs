// SPDX-License-Identifier: MIT OR Apache-2.0
//! What keys are for, and hashes (Part 3, 14 to 20).

use tpm::structure::command_code::CommandCode;

use super::world::{Class, Effect, Object, Policy};
use super::{ENDORSEMENT, Generator, HMAC_SESSION, NULL};
use crate::octets::Octets;
use crate::step::{Command, Handle, Piece};

const SHA256: u16 = 0x0b;
/// Hashes that both TPMs have, none, and ones that neither has.
const HASHES: [u16; 8] = [SHA256, SHA256, 0x04, 0x0c, 0x0d, 0x10, 0, 0xff];
/// TPM_RH_* of TPM2_Hash and its like.
const HIERARCHIES: [u32; 5] = [0x4000_0001, 0x4000_0007, 0x4000_000b, 0x4000_000c, 0x4000_0008];

impl Generator<'_> {
    pub(super) fn about_keys(&mut self) {
        match self.choices.below(26) {
            0..=2 => self.sign(),
            3 => self.verify_signature(),
            4 | 5 => self.mac(),
            6 | 7 => self.encrypt_decrypt(),
            8 => self.rsa(),
            9 | 10 => self.agree(),
            11 => self.hash(),
            12..=15 => self.sequence(),
            16..=18 => self.attest(),
            19 => self.unseal(),
            20 => self.certify_creation(),
            21..=24 => self.commit_and_sign(),
            _ => self.curve_parameters(),
        }
    }

    /// A key of this class, mostly; some object, sometimes.
    pub(super) fn key(&mut self, class: Class) -> Option<Object> {
        let of_class = self.world.of_class(class);
        if self.choices.once_in(16) || of_class.is_empty() {
            self.any_object()
        } else {
            self.choices.any_of(&of_class).cloned()
        }
    }

    fn scheme(&mut self) -> Octets {
        let hash = *self.choices.one_of(&HASHES);
        match self.choices.below(8) {
            0 => Octets::new().words(&[0x18, hash]),
            1 => Octets::new().words(&[0x14, hash]),
            2 => Octets::new().words(&[0x16, hash]),
            3 => Octets::new().words(&[5, hash]),
            4 => Octets::new().words(&[0x17, hash]),
            _ => Octets::new().u16(0x10),
        }
    }

    fn null_ticket(&mut self) -> Octets {
        let tag = if self.choices.once_in(12) { 0x8021 } else { 0x8024 };
        let hierarchy = if self.choices.once_in(12) { 0x4000_0001 } else { 0x4000_0007 };
        let digest = if self.choices.once_in(12) { vec![1; 32] } else { Vec::new() };
        Octets::new().u16(tag).u32(hierarchy).sized(&digest)
    }

    fn sign(&mut self) {
        let class = *self.choices.one_of(&[Class::SignEcc, Class::SignEcc, Class::Rsa, Class::Mac]);
        let Some(key) = self.key(class) else { return };
        let size = *self.choices.one_of(&[32, 32, 32, 20, 48, 0, 64]);
        let digest = vec![0x42; size];
        let scheme = self.scheme();
        let ticket = self.null_ticket();
        let octets = Octets::new().sized(&digest).bytes(&scheme.0).bytes(&ticket.0);
        let command = Command::new(CommandCode::SIGN).handle(key.handle).octets(octets);
        let signed = self.plan_authorised(command, Effect::None);
        if self.choices.once_in(2) {
            let digest = if self.choices.once_in(4) { vec![0x43; size] } else { digest };
            let command = Command::new(CommandCode::VERIFY_SIGNATURE)
                .handle(key.handle)
                .octets(Octets::new().sized(&digest))
                .piece(Piece::Field(signed, 0));
            self.plan_authorised(command, Effect::None);
        }
    }

    fn verify_signature(&mut self) {
        let Some(key) = self.any_object() else { return };
        let octets = Octets::new().sized(&[0x42; 32]);
        let octets = match self.choices.below(4) {
            0 => octets.words(&[0x18, SHA256]).sized(&[3; 32]).sized(&[4; 32]),
            1 => octets.words(&[0x14, SHA256]).sized(&[5; 256]),
            2 => octets.words(&[5, SHA256]).bytes(&[9; 32]),
            _ => octets.u16(0x10),
        };
        let command = Command::new(CommandCode::VERIFY_SIGNATURE).handle(key.handle);
        self.plan_authorised(command.octets(octets), Effect::None);
    }

    fn mac(&mut self) {
        let Some(key) = self.key(Class::Mac) else { return };
        let hash = *self.choices.one_of(&HASHES);
        let octets = Octets::new().sized(b"message").u16(hash);
        let command = Command::new(CommandCode::HMAC).handle(key.handle).octets(octets);
        self.plan_authorised(command, Effect::None);
    }

    fn encrypt_decrypt(&mut self) {
        let Some(key) = self.key(Class::Cipher) else { return };
        // What ivOut has behind a partial block is not specified, and differs.
        let size = *self.choices.one_of(&[16, 32, 48, 0, 1024]);
        let data = vec![0x24; size];
        let iv = vec![0x18; *self.choices.one_of(&[16, 16, 16, 0, 8])];
        let mode = *self.choices.one_of(&[0x10, 0x43, 0x42, 0x40, 0x41, 0x44, 0x3f]);
        let is_decryption = *self.choices.one_of(&[0, 1, 1, 2]);
        let command = if self.choices.once_in(2) {
            let octets = Octets::new().u8(is_decryption).u16(mode).sized(&iv).sized(&data);
            Command::new(CommandCode::ENCRYPT_DECRYPT).octets(octets)
        } else {
            let octets = Octets::new().sized(&data).u8(is_decryption).u16(mode).sized(&iv);
            Command::new(CommandCode::ENCRYPT_DECRYPT_2).octets(octets)
        };
        self.plan_authorised(command.handle(key.handle), Effect::None);
    }

    fn rsa(&mut self) {
        let Some(key) = self.key(Class::Rsa) else { return };
        let scheme = match self.choices.below(5) {
            0 => Octets::new().words(&[0x17, SHA256]),
            1 => Octets::new().u16(0x15),
            2 => Octets::new().words(&[0x14, SHA256]),
            _ => Octets::new().u16(0x10),
        };
        let message = vec![0x01; *self.choices.one_of(&[0, 16, 190, 256, 257])];
        let label: &[u8] = if self.choices.once_in(3) { b"label\0" } else { b"" };
        let octets = Octets::new().sized(&message).bytes(&scheme.0).sized(label);
        let command = Command::new(CommandCode::RSA_ENCRYPT).handle(key.handle).octets(octets);
        let step = self.plan_authorised(command, Effect::None);
        let command = Command::new(CommandCode::RSA_DECRYPT)
            .handle(key.handle)
            .piece(Piece::Field(step, 0))
            .octets(Octets::new().bytes(&scheme.0).sized(label));
        self.plan_authorised(command, Effect::None);
    }

    fn hash(&mut self) {
        let size = *self.choices.one_of(&[0, 5, 64, 1024, 1025]);
        let hash = *self.choices.one_of(&HASHES);
        let hierarchy = *self.choices.one_of(&HIERARCHIES);
        let octets = Octets::new().sized(&vec![0x66; size]).u16(hash).u32(hierarchy);
        self.plan_authorised(Command::new(CommandCode::HASH).octets(octets), Effect::None);
    }

    fn sequence(&mut self) {
        let all: Vec<_> = [Class::HashSequence, Class::MacSequence, Class::EventSequence]
            .iter()
            .flat_map(|class| self.world.of_class(*class))
            .collect();
        let Some(sequence) = self.choices.any_of(&all).cloned() else {
            return self.start_sequence();
        };
        let data = vec![0x3c; *self.choices.one_of(&[0, 3, 64, 200, 1024])];
        let octets = Octets::new().sized(&data);
        let hierarchy = *self.choices.one_of(&HIERARCHIES);
        if self.choices.once_in(2) {
            let command = Command::new(CommandCode::SEQUENCE_UPDATE).handle(sequence.handle);
            self.plan_authorised(command.octets(octets), Effect::None);
        } else if (sequence.class == Class::EventSequence) != self.choices.once_in(12) {
            let pcr = *self.choices.one_of(&[16, 10, 23, 0x4000_0007]);
            let command = Command::new(CommandCode::EVENT_SEQUENCE_COMPLETE)
                .handle(Handle::Fixed(pcr))
                .handle(sequence.handle);
            self.plan_authorised(command.octets(octets), Effect::Flushed(sequence.handle));
        } else {
            let command = Command::new(CommandCode::SEQUENCE_COMPLETE).handle(sequence.handle);
            let command = command.octets(octets.u32(hierarchy));
            self.plan_authorised(command, Effect::Flushed(sequence.handle));
        }
    }

    fn start_sequence(&mut self) {
        let auth = self.some_auth();
        let hash = *self.choices.one_of(&HASHES);
        let octets = Octets::new().sized(&auth).u16(hash);
        let mac = self.key(Class::Mac).filter(|_| self.choices.once_in(3));
        let (command, class) = match &mac {
            Some(key) => {
                (Command::new(CommandCode::HMAC_START).handle(key.handle), Class::MacSequence)
            }
            None if hash == 0x10 => {
                (Command::new(CommandCode::HASH_SEQUENCE_START), Class::EventSequence)
            }
            None => (Command::new(CommandCode::HASH_SEQUENCE_START), Class::HashSequence),
        };
        let is_tainted = mac.is_some_and(|key| key.is_tainted);
        let step = self.plan_authorised(command.octets(octets), Effect::None);
        let (handle, policy, name) = (Handle::Of(step), Policy::None, None);
        self.attach(step, Effect::Loaded(Object { handle, class, auth, policy, is_tainted, name }));
    }

    /// The attestations (Part 3, 18), by a key or by none.
    fn attest(&mut self) {
        let key = self.key(Class::SignEcc).map_or(NULL, |key| key.handle);
        let key = if self.choices.once_in(6) { NULL } else { key };
        let data = self.some_auth();
        let scheme = self.scheme();
        let octets = Octets::new().sized(&data).bytes(&scheme.0);
        let command = match self.choices.below(6) {
            0 => {
                let Some(object) = self.any_object() else { return };
                Command::new(CommandCode::CERTIFY).handle(object.handle).handle(key).octets(octets)
            }
            1 | 2 => {
                let selection = self.pcr_selection();
                let octets = octets.bytes(&selection);
                Command::new(CommandCode::QUOTE).handle(key).octets(octets)
            }
            3 => {
                let command = Command::new(CommandCode::GET_TIME).handle(ENDORSEMENT).handle(key);
                command.octets(octets)
            }
            4 => {
                let code = CommandCode::GET_COMMAND_AUDIT_DIGEST;
                Command::new(code).handle(ENDORSEMENT).handle(key).octets(octets)
            }
            _ => {
                let Some(session) = self.some_session(HMAC_SESSION) else { return };
                Command::new(CommandCode::GET_SESSION_AUDIT_DIGEST)
                    .handle(ENDORSEMENT)
                    .handle(key)
                    .handle(Handle::Of(session.step))
                    .octets(octets)
            }
        };
        self.plan_authorised(command, Effect::None);
    }

    fn certify_creation(&mut self) {
        let Some(object) = self.any_object() else { return };
        let key = self.key(Class::SignEcc).map_or(NULL, |key| key.handle);
        let scheme = self.scheme();
        let octets = Octets::new().sized(b"data").sized(&[7; 32]).bytes(&scheme.0);
        let octets = octets.u16(0x8021).u32(0x4000_0001).sized(&[8; 32]);
        let command = Command::new(CommandCode::CERTIFY_CREATION).handle(key);
        self.plan_authorised(command.handle(object.handle).octets(octets), Effect::None);
    }

    fn unseal(&mut self) {
        let Some(object) = self.key(Class::Sealed) else { return };
        let command = Command::new(CommandCode::UNSEAL).handle(object.handle);
        self.plan_authorised(command, Effect::None);
    }
}
