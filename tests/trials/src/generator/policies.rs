// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sessions, and the commands of policies (Part 3, 11 and 23).

use tpm::crypto::hash::HashAlgorithm;
use tpm::structure::command_code::CommandCode;

use super::world::{Class, Effect, KnownSession, Policy, SESSIONS_MAX};
use super::{Generator, HMAC_SESSION, NULL, OWNER, POLICY_SESSION, TRIAL_SESSION, password};
use crate::octets::Octets;
use crate::session::{CONTINUE, Encryption};
use crate::step::{Command, Handle, Piece, Proof, SessionStart, SessionUse};

impl Generator<'_> {
    /// Plans the policy session that a command needs, and its use.
    pub(super) fn by_policy(
        &mut self,
        command: &Command,
        policy: Policy,
        auth: Vec<u8>,
    ) -> SessionUse {
        let nonce_caller = self.choices.octets(16);
        let hash = HashAlgorithm::Sha256;
        let octets = Octets::new().sized(&nonce_caller).sized(&[]).u8(POLICY_SESSION);
        let mut start = Command::new(CommandCode::START_AUTH_SESSION)
            .handle(NULL)
            .handle(NULL)
            .octets(octets.u16(0x10).u16(hash.id()));
        let encryption = Encryption::None;
        start.starts = Some(SessionStart { hash, encryption, bind_auth: None, nonce_caller });
        let session = self.plan_with(start, |step| {
            let (encrypts, bound) = (false, None);
            Effect::Started(KnownSession { step, kind: POLICY_SESSION, hash, encrypts, bound })
        });
        let handle = Handle::Of(session);
        let mut proof = Proof::Plain(Vec::new());
        let with_session = |code| Command::new(code).handle(handle);
        match policy {
            Policy::AuthValue if self.choices.once_in(2) => {
                self.plan(with_session(CommandCode::POLICY_PASSWORD), Effect::None);
                proof = Proof::Plain(auth.clone());
            }
            Policy::AuthValue => {
                self.plan(with_session(CommandCode::POLICY_AUTH_VALUE), Effect::None);
                proof = Proof::Hmac(auth.clone());
            }
            Policy::CommandCode(code) => {
                let octets = Octets::new().u32(code);
                let command = with_session(CommandCode::POLICY_COMMAND_CODE).octets(octets);
                self.plan(command, Effect::None);
            }
            Policy::OwnerSecret => {
                let command = Command::new(CommandCode::POLICY_SECRET).handle(OWNER).handle(handle);
                let octets = Octets::new().sized(&[]).sized(&[]).sized(&[]).u32(0);
                self.plan_authorised(command.octets(octets), Effect::None);
            }
            Policy::None => {
                let octets = Octets::new().u32(command.code.0);
                let command = with_session(CommandCode::POLICY_COMMAND_CODE).octets(octets);
                self.plan(command, Effect::None);
            }
        }
        let attributes = if self.choices.once_in(3) { CONTINUE } else { 0 };
        SessionUse { session: handle, attributes, proof, entity_auth: auth }
    }

    pub(super) fn about_policies(&mut self) {
        const HASHES: [HashAlgorithm; 4] = [
            HashAlgorithm::Sha256,
            HashAlgorithm::Sha256,
            HashAlgorithm::Sha1,
            HashAlgorithm::Sha384,
        ];
        let is_full = self.world.sessions.len() >= SESSIONS_MAX;
        match self.choices.below(10) {
            0 | 1 if is_full => {
                let place = self.choices.below(self.world.sessions.len());
                let session = Handle::Of(self.world.sessions[place].step);
                self.plan_flush(session);
            }
            0 | 1 => {
                let kinds = [HMAC_SESSION, HMAC_SESSION, POLICY_SESSION, TRIAL_SESSION];
                let kind = *self.choices.one_of(&kinds);
                let hash = *self.choices.one_of(&HASHES);
                self.plan_session(kind, hash);
            }
            _ => self.policy_command(),
        }
    }

    fn policy_command(&mut self) {
        let session = self.world.sessions.iter().filter(|session| session.kind != HMAC_SESSION);
        let sessions: Vec<_> = session.cloned().collect();
        let Some(session) = self.choices.any_of(&sessions).cloned() else {
            if self.world.sessions.len() < SESSIONS_MAX {
                let kind = *self.choices.one_of(&[TRIAL_SESSION, POLICY_SESSION]);
                self.plan_session(kind, HashAlgorithm::Sha256);
            }
            return;
        };
        let handle = Handle::Of(session.step);
        let with = |code| Command::new(code).handle(handle);
        let digest_size = session.hash.digest_size();
        match self.choices.below(22) {
            0 => drop(self.plan(with(CommandCode::POLICY_AUTH_VALUE), Effect::None)),
            1 => drop(self.plan(with(CommandCode::POLICY_PASSWORD), Effect::None)),
            2 => drop(self.plan(with(CommandCode::POLICY_PHYSICAL_PRESENCE), Effect::None)),
            3 => drop(self.plan(with(CommandCode::POLICY_RESTART), Effect::None)),
            4..=6 => drop(self.plan(with(CommandCode::POLICY_GET_DIGEST), Effect::None)),
            7 => {
                let code = *self.choices.one_of(&[0x15d, 0x137, 0x144, 0x11f, 0x1ff, 0]);
                let command =
                    with(CommandCode::POLICY_COMMAND_CODE).octets(Octets::new().u32(code));
                self.plan(command, Effect::None);
            }
            8 => {
                let locality = *self.choices.one_of(&[0, 1, 2, 8, 0x1f, 32, 200]);
                let command = with(CommandCode::POLICY_LOCALITY).octets(Octets::new().u8(locality));
                self.plan(command, Effect::None);
            }
            9 => {
                let written = *self.choices.one_of(&[0, 1, 1, 2]);
                let octets = Octets::new().u8(written);
                self.plan(with(CommandCode::POLICY_NV_WRITTEN).octets(octets), Effect::None);
            }
            10..=12 => self.policy_hash(handle, digest_size),
            13 => self.policy_or(handle, digest_size),
            14 | 15 => self.policy_pcr(handle, session.hash),
            16 | 17 => self.policy_secret(handle),
            18 => self.policy_nv(handle),
            19 => self.policy_counter_timer(handle),
            20 => self.policy_ticket(handle),
            _ => self.policy_signed(handle),
        }
    }

    fn some_digest(&mut self, usual: usize) -> Vec<u8> {
        let size = *self.choices.one_of(&[usual, usual, usual, 0, 20, 32, 33]);
        vec![0x5a; size]
    }

    fn policy_hash(&mut self, session: Handle, digest_size: usize) {
        let digest = self.some_digest(digest_size);
        let code = *self.choices.one_of(&[
            CommandCode::POLICY_CP_HASH,
            CommandCode::POLICY_NAME_HASH,
            CommandCode::POLICY_TEMPLATE,
        ]);
        let command = Command::new(code).handle(session).octets(Octets::new().sized(&digest));
        self.plan(command, Effect::None);
    }

    fn policy_or(&mut self, session: Handle, digest_size: usize) {
        let count = *self.choices.one_of(&[0, 1, 2, 2, 3, 8, 9]);
        let mut octets = Octets::new().u32(count);
        for _ in 0..count {
            let digest = if self.choices.once_in(10) {
                self.some_digest(digest_size)
            } else {
                vec![0; digest_size]
            };
            octets = octets.sized(&digest);
        }
        let command = Command::new(CommandCode::POLICY_OR).handle(session).octets(octets);
        self.plan(command, Effect::None);
    }

    fn policy_pcr(&mut self, session: Handle, hash: HashAlgorithm) {
        let digest =
            if self.choices.once_in(3) { self.some_digest(hash.digest_size()) } else { Vec::new() };
        let selection = self.pcr_selection();
        let octets = Octets::new().sized(&digest).bytes(&selection);
        let command = Command::new(CommandCode::POLICY_PCR).handle(session).octets(octets);
        self.plan(command, Effect::None);
    }

    fn policy_secret(&mut self, session: Handle) {
        let object = self.world.objects.first().map_or(OWNER, |object| object.handle);
        let index = self.world.indices.first().map_or(NULL, |index| Handle::Fixed(index.handle));
        let platform = Handle::Fixed(0x4000_000c);
        let entity = *self.choices.one_of(&[OWNER, NULL, object, index, platform]);
        let reference = self.some_auth();
        let cp_hash = if self.choices.once_in(6) { self.some_digest(32) } else { Vec::new() };
        let expiration = *self.choices.one_of(&[0, 0, 0, 1000, 0xffff_ff00]);
        let mut command = Command::new(CommandCode::POLICY_SECRET).handle(entity).handle(session);
        if let (Handle::Of(step), true) = (session, self.choices.once_in(2)) {
            command = command.piece(Piece::Nonce(step));
        } else {
            command = command.octets(Octets::new().sized(&[]));
        }
        let octets = Octets::new().sized(&cp_hash).sized(&reference).u32(expiration);
        self.plan_authorised(command.octets(octets), Effect::None);
    }

    fn policy_nv(&mut self, session: Handle) {
        let Some(index) = self.choices.any_of(&self.world.indices).cloned() else { return };
        let handle = Handle::Fixed(index.handle);
        let by = *self.choices.one_of(&[handle, OWNER]);
        let operand = vec![0; *self.choices.one_of(&[1, 1, 4, 8])];
        let offset = *self.choices.one_of(&[0, 0, 1, 4]);
        let operation = self.choices.below(14);
        let octets = Octets::new().sized(&operand).u16(offset);
        let octets = octets.u16(u16::try_from(operation).unwrap_or_default());
        let command = Command::new(CommandCode::POLICY_NV).handle(by).handle(handle);
        self.plan_authorised(command.handle(session).octets(octets), Effect::None);
    }

    fn policy_counter_timer(&mut self, session: Handle) {
        // resetCount, restartCount and safe: what does not depend on time.
        let offset = *self.choices.one_of(&[16, 20, 24, 25, 30]);
        let size = *self.choices.one_of(&[1, 1, 4, 2, 9]);
        let operation = self.choices.below(14);
        let octets = Octets::new().sized(&vec![0; size]).u16(offset);
        let octets = octets.u16(u16::try_from(operation).unwrap_or_default());
        let command = Command::new(CommandCode::POLICY_COUNTER_TIMER).handle(session);
        self.plan(command.octets(octets), Effect::None);
    }

    fn policy_ticket(&mut self, session: Handle) {
        let tag = *self.choices.one_of(&[0x8023, 0x8025, 0x8024]);
        let timeout = vec![1; *self.choices.one_of(&[8, 9, 0, 16])];
        let octets = Octets::new().sized(&timeout).sized(&[]).sized(&[]).sized(&[0; 34]);
        let octets = octets.u16(tag).u32(0x4000_0007).sized(&[]);
        let command = Command::new(CommandCode::POLICY_TICKET).handle(session).octets(octets);
        self.plan(command, Effect::None);
    }

    fn policy_signed(&mut self, session: Handle) {
        let keys = [self.world.of_class(Class::SignEcc), self.world.of_class(Class::Mac)].concat();
        let Some(key) = self.choices.any_of(&keys).cloned() else { return };
        // No signature that is right: VerifySignature has those.
        let octets = Octets::new().sized(&[]).sized(&[]).sized(b"reference").u32(0);
        let octets = match self.choices.below(3) {
            0 => octets.words(&[0x18, 0x0b]).sized(&[3; 32]).sized(&[4; 32]),
            1 => octets.words(&[5, 0x0b]).bytes(&[9; 32]),
            _ => octets.u16(0x10),
        };
        let command = Command::new(CommandCode::POLICY_SIGNED).handle(key.handle);
        self.plan(command.handle(session).octets(octets), Effect::None);
    }

    /// TPM2_PolicyAuthorizeNV of an index that holds a policy, or doesn't.
    pub(super) fn policy_authorize_nv(&mut self) {
        let Some(session) = self.some_session(POLICY_SESSION) else { return };
        let Some(index) = self.choices.any_of(&self.world.indices).cloned() else { return };
        let handle = Handle::Fixed(index.handle);
        let mut command = Command::new(CommandCode::POLICY_AUTHORIZE_NV)
            .handle(OWNER)
            .handle(handle)
            .handle(Handle::Of(session.step));
        command.sessions.push(password(self.world.auth(OWNER)));
        self.plan(command, Effect::None);
    }
}
