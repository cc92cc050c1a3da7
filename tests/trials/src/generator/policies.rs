// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands of policies (Part 3, 23) but those that need somebody's approval.

use tpm::crypto::hash::HashAlgorithm;
use tpm::structure::command_code::CommandCode;

use super::sessions::Asked;
use super::world::{Class, Effect, Policy, SESSIONS_MAX};
use super::{Generator, HMAC_SESSION, OWNER, POLICY_SESSION, TRIAL_SESSION};
use crate::octets::Octets;
use crate::step::{Command, Handle, Piece, SessionUse};

impl Generator<'_> {
    /// Plans the policy session that a command needs, and its use.
    pub(super) fn by_policy(
        &mut self,
        command: &Command,
        policy: Policy,
        auth: Vec<u8>,
    ) -> SessionUse {
        let session = self.plan_session(POLICY_SESSION, HashAlgorithm::Sha256);
        let handle = Handle::Of(session.step);
        let with_session = |code| Command::new(code).handle(handle);
        let mut asked = Asked::Nothing;
        match policy {
            Policy::AuthValue if self.choices.once_in(2) => {
                self.plan(with_session(CommandCode::POLICY_PASSWORD), Effect::None);
                asked = Asked::Password;
            }
            Policy::AuthValue => {
                self.plan(with_session(CommandCode::POLICY_AUTH_VALUE), Effect::None);
                asked = Asked::Value;
            }
            Policy::CommandCode(code) => self.plan_command_code(handle, code),
            Policy::OwnerSecret => {
                let command = Command::new(CommandCode::POLICY_SECRET).handle(OWNER).handle(handle);
                let octets = Octets::new().sized(&[]).sized(&[]).sized(&[]).u32(0);
                self.plan_authorised(command.octets(octets), Effect::None);
            }
            Policy::None => self.plan_command_code(handle, command.code.0),
        }
        self.policy_use(&session, command.code, asked, auth)
    }

    pub(super) fn plan_command_code(&mut self, session: Handle, code: u32) {
        let command = Command::new(CommandCode::POLICY_COMMAND_CODE).handle(session);
        self.plan(command.octets(Octets::new().u32(code)), Effect::None);
    }

    pub(super) fn about_policies(&mut self) {
        match self.choices.below(12) {
            0..=2 => self.about_sessions(),
            3 | 4 => self.about_approvals(),
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
            16 | 17 => self.policy_duplication_select(handle),
            18 => self.policy_nv(handle),
            19 => self.policy_counter_timer(handle),
            20 => self.policy_ticket(handle),
            _ => self.policy_signed(handle),
        }
    }

    pub(super) fn some_digest(&mut self, usual: usize) -> Vec<u8> {
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
        let known = self.choices.once_in(3).then(|| {
            let command = Command::new(CommandCode::POLICY_GET_DIGEST).handle(session);
            Piece::Field(self.plan(command, Effect::None), 0)
        });
        let mut command = Command::new(CommandCode::POLICY_OR).handle(session);
        command = command.octets(Octets::new().u32(count));
        for _ in 0..count {
            let digest = if self.choices.once_in(10) {
                self.some_digest(digest_size)
            } else {
                vec![0; digest_size]
            };
            command = match &known {
                Some(known) if self.choices.once_in(2) => command.piece(known.clone()),
                _ => command.octets(Octets::new().sized(&digest)),
            };
        }
        self.plan(command, Effect::None);
    }

    fn policy_duplication_select(&mut self, session: Handle) {
        let named = [self.any_object(), self.any_object()];
        let [object, parent] = named.map(|object| {
            let name = object.and_then(|object| object.name);
            let unknown = Piece::Octets(Octets::new().sized(&[0x5a; 34]).0);
            name.map_or(unknown, |(step, field)| Piece::Field(step, field))
        });
        let includes = *self.choices.one_of(&[0, 1, 1, 2]);
        let command = Command::new(CommandCode::POLICY_DUPLICATION_SELECT).handle(session);
        let command = command.piece(object).piece(parent).octets(Octets::new().u8(includes));
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
}
