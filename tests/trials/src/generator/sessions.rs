// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sessions: bound or not, salted or not, that encrypt or don't (Part 3, 11.1).

use tpm::crypto::hash::HashAlgorithm;
use tpm::structure::command_code::CommandCode;

use super::world::{Class, Effect, KnownSession, SESSIONS_MAX};
use super::{Generator, HMAC_SESSION, NULL, OWNER, POLICY_SESSION, TRIAL_SESSION};
use crate::octets::Octets;
use crate::session::{CONTINUE, DECRYPT, ENCRYPT, Encryption};
use crate::step::{Command, Handle, Piece, Proof, SessionStart, SessionUse};

const HASHES: [HashAlgorithm; 4] =
    [HashAlgorithm::Sha256, HashAlgorithm::Sha256, HashAlgorithm::Sha1, HashAlgorithm::Sha384];
/// Objects that a salt can be encrypted for.
const SALTED: [Class; 3] = [Class::Storage, Class::Agreement, Class::Rsa];

/// What a policy asks of who uses its session, besides being satisfied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing.
    Nothing,
    /// An HMAC with the authorisation value.
    Value,
    /// The authorisation value itself.
    Password,
}

impl Generator<'_> {
    /// A session comes, or goes.
    pub(super) fn about_sessions(&mut self) {
        if self.world.sessions.len() >= SESSIONS_MAX {
            let place = self.choices.below(self.world.sessions.len());
            return self.plan_flush(Handle::Of(self.world.sessions[place].step));
        }
        let kinds = [HMAC_SESSION, HMAC_SESSION, POLICY_SESSION, TRIAL_SESSION];
        let kind = *self.choices.one_of(&kinds);
        let hash = *self.choices.one_of(&HASHES);
        self.plan_session(kind, hash);
    }

    /// Plans a new session.
    pub(super) fn plan_session(&mut self, kind: u8, hash: HashAlgorithm) -> KnownSession {
        let encryption = *self.choices.one_of(&[
            Encryption::None,
            Encryption::Xor,
            Encryption::AesCfb(16),
            Encryption::AesCfb(32),
        ]);
        let bound = match self.choices.below(4) {
            0 => Some(OWNER),
            1 => self.any_object().map(|object| object.handle),
            _ => None,
        };
        let salt_key = if self.choices.once_in(3) { self.salt_key() } else { None };
        let size = *self.choices.one_of(&[16, 20, 32]);
        let nonce_caller = self.choices.octets(size);
        let symmetric: &[u16] = match encryption {
            Encryption::None => &[0x10],
            Encryption::Xor => &[0x0a, hash.id()],
            Encryption::AesCfb(16) => &[6, 128, 0x43],
            Encryption::AesCfb(_) => &[6, 256, 0x43],
        };
        let mut command = Command::new(CommandCode::START_AUTH_SESSION)
            .handle(salt_key.unwrap_or(NULL))
            .handle(bound.unwrap_or(NULL))
            .octets(Octets::new().sized(&nonce_caller))
            .piece(Piece::Salt)
            .octets(Octets::new().u8(kind).words(symmetric).u16(hash.id()));
        let bind_auth = bound.map(|bound| self.world.auth(bound));
        let has_key = bound.is_some() || salt_key.is_some();
        command.starts = Some(SessionStart { hash, encryption, bind_auth, salt_key, nonce_caller });
        let encrypts = encryption != Encryption::None;
        let step = self.plan(command, Effect::None);
        let session = KnownSession { step, kind, hash, encrypts, bound, has_key };
        self.attach(step, Effect::Started(session.clone()));
        session
    }

    fn salt_key(&mut self) -> Option<Handle> {
        let keys: Vec<_> = SALTED.iter().flat_map(|class| self.world.of_class(*class)).collect();
        let key = if self.choices.once_in(16) {
            self.any_object()
        } else {
            self.choices.any_of(&keys).cloned()
        };
        key.map(|key| key.handle)
    }

    /// How a policy session goes with a command.
    pub(super) fn policy_use(
        &mut self,
        session: &KnownSession,
        code: CommandCode,
        asked: Asked,
        auth: Vec<u8>,
    ) -> SessionUse {
        let proof = match asked {
            Asked::Nothing if session.has_key => Proof::Hmac(Vec::new()),
            Asked::Nothing => Proof::Plain(Vec::new()),
            Asked::Value => Proof::Hmac(auth.clone()),
            Asked::Password => Proof::Plain(auth.clone()),
        };
        let mut attributes = if self.choices.once_in(3) { CONTINUE } else { 0 };
        if session.encrypts {
            attributes |= *self.choices.one_of(&[0, DECRYPT, ENCRYPT, DECRYPT | ENCRYPT]);
        }
        let attributes = self.possible(code, attributes);
        SessionUse { session: Handle::Of(session.step), attributes, proof, entity_auth: auth }
    }
}
