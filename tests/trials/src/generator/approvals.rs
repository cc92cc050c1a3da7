// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies that somebody approves: by a signature, by an authorisation value, by what an index
//! holds; and the tickets that say so later (Part 3, 23.3 to 23.6, 23.16, 23.22).

use tpm::crypto::hash::HashAlgorithm;
use tpm::structure::command_code::CommandCode;

use super::world::{Class, Effect, KnownSession, Object, SESSIONS_MAX};
use super::{Generator, HMAC_SESSION, NULL, OWNER, POLICY_SESSION, TRIAL_SESSION};
use crate::octets::Octets;
use crate::step::{Command, Handle, Piece, StepId};

const HASH: HashAlgorithm = HashAlgorithm::Sha256;
/// Seconds: none, ahead, and negative ones, which ask for a ticket.
const EXPIRATIONS: [u32; 6] = [0, 0, 1000, 0xffff_ff00, 0xffff_ff00, 0x8000_0000];

/// What an approval is limited to.
struct Limits {
    expiration: u32,
    cp_hash: Vec<u8>,
    reference: Vec<u8>,
    /// Whether it is for this session alone.
    has_nonce: bool,
}

impl Limits {
    /// cpHashA and policyRef as parameters.
    fn hash_and_reference(&self) -> Octets {
        Octets::new().sized(&self.cp_hash).sized(&self.reference)
    }
}

impl Generator<'_> {
    pub(super) fn about_approvals(&mut self) {
        let Some(session) = self.policy_session() else { return };
        match self.choices.below(8) {
            0..=2 => self.by_signature(&session),
            3 | 4 => self.by_secret(&session),
            5 | 6 => self.by_authority(&session),
            _ => self.policy_authorize_nv(&session),
        }
        if self.choices.once_in(2) {
            let command = Command::new(CommandCode::POLICY_GET_DIGEST);
            self.plan(command.handle(Handle::Of(session.step)), Effect::None);
        }
    }

    /// A policy or trial session, a new one if there is none.
    fn policy_session(&mut self) -> Option<KnownSession> {
        let known = self.world.sessions.iter().filter(|session| session.kind != HMAC_SESSION);
        let known: Vec<_> = known.cloned().collect();
        let kind = *self.choices.one_of(&[TRIAL_SESSION, POLICY_SESSION, POLICY_SESSION]);
        let has_room = self.world.sessions.len() < SESSIONS_MAX;
        let known = self.choices.any_of(&known).cloned();
        known.or_else(|| has_room.then(|| self.plan_session(kind, HASH)))
    }

    fn limits(&mut self) -> Limits {
        let expiration = *self.choices.one_of(&EXPIRATIONS);
        let cp_hash = if self.choices.once_in(6) { self.some_digest(32) } else { Vec::new() };
        let reference = self.some_auth();
        let has_nonce = self.choices.once_in(2);
        Limits { expiration, cp_hash, reference, has_nonce }
    }

    /// The nonce of a session as a parameter, or none.
    fn nonce(session: &KnownSession, limits: &Limits) -> Piece {
        if limits.has_nonce {
            Piece::Nonce(session.step)
        } else {
            Piece::Octets(Octets::new().sized(&[]).0)
        }
    }

    fn signer(&mut self) -> Option<Object> {
        const SIGNERS: [Class; 3] = [Class::SignEcc, Class::Mac, Class::Rsa];
        let keys: Vec<_> = SIGNERS.iter().flat_map(|class| self.world.of_class(*class)).collect();
        self.choices.any_of(&keys).cloned()
    }

    /// Plans the TPM's own signature of these octets: field 0 of the step.
    fn plan_signature(&mut self, key: &Object, signed: Vec<Piece>) -> StepId {
        let scheme = match (self.choices.below(3), key.class) {
            (0, _) => Octets::new().u16(0x10),
            (_, Class::Mac) => Octets::new().words(&[5, HASH.id()]),
            (1, Class::Rsa) => Octets::new().words(&[0x16, HASH.id()]),
            (_, Class::Rsa) => Octets::new().words(&[0x14, HASH.id()]),
            _ => Octets::new().words(&[0x18, HASH.id()]),
        };
        let command = Command::new(CommandCode::SIGN).handle(key.handle);
        let command = if self.choices.once_in(2) {
            // The digest with a ticket, which restricted keys want.
            let hash = Command::new(CommandCode::HASH).piece(Piece::Sized(signed));
            let hash = hash.octets(Octets::new().u16(HASH.id()).u32(0x4000_0001));
            let hashed = self.plan(hash, Effect::None);
            let command = command.piece(Piece::Field(hashed, 0)).octets(scheme);
            command.piece(Piece::Field(hashed, 1))
        } else {
            let digest = Piece::Sized(vec![Piece::Digest(HASH, signed)]);
            let null_ticket = Octets::new().u16(0x8024).u32(0x4000_0007).sized(&[]);
            command.piece(digest).octets(scheme).octets(null_ticket)
        };
        self.plan_authorised(command, Effect::None)
    }

    /// TPM2_PolicySigned, mostly with the right signature.
    fn by_signature(&mut self, session: &KnownSession) {
        let Some(key) = self.signer() else { return };
        let limits = self.limits();
        let nonce = Self::nonce(session, &limits);
        let shown = if self.choices.once_in(8) { 7 } else { limits.expiration };
        let approval = Octets::new().u32(shown).bytes(&limits.cp_hash).bytes(&limits.reference);
        let approval = vec![Piece::Content(Box::new(nonce.clone())), Piece::Octets(approval.0)];
        let signature = self.plan_signature(&key, approval);
        let command = Command::new(CommandCode::POLICY_SIGNED)
            .handle(key.handle)
            .handle(Handle::Of(session.step))
            .piece(nonce)
            .octets(limits.hash_and_reference().u32(limits.expiration))
            .piece(Piece::Field(signature, 0));
        let approved = self.plan_authorised(command, Effect::None);
        if let Some((step, field)) = key.name {
            self.by_ticket(session, &limits, approved, Piece::Field(step, field));
        }
    }

    /// TPM2_PolicySecret.
    fn by_secret(&mut self, session: &KnownSession) {
        let object = self.any_object();
        let index = self.world.indices.first().map_or(NULL, |index| Handle::Fixed(index.handle));
        let platform = Handle::Fixed(0x4000_000c);
        let named = object.as_ref().map_or(OWNER, |object| object.handle);
        let entity = *self.choices.one_of(&[OWNER, OWNER, NULL, named, named, index, platform]);
        let limits = self.limits();
        let command = Command::new(CommandCode::POLICY_SECRET)
            .handle(entity)
            .handle(Handle::Of(session.step))
            .piece(Self::nonce(session, &limits))
            .octets(limits.hash_and_reference().u32(limits.expiration));
        let approved = self.plan_authorised(command, Effect::None);
        let name = match (entity, object.and_then(|object| object.name)) {
            (Handle::Fixed(handle @ 0x4000_0000..), _) => {
                Some(Piece::Octets(Octets::new().sized(&handle.to_be_bytes()).0))
            }
            (_, Some((step, field))) if entity == named => Some(Piece::Field(step, field)),
            _ => None,
        };
        if let Some(name) = name {
            self.by_ticket(session, &limits, approved, name);
        }
    }

    /// TPM2_PolicyTicket with what an approval brought, in the same session from its start.
    fn by_ticket(&mut self, session: &KnownSession, limits: &Limits, step: StepId, name: Piece) {
        if limits.expiration < 0x8000_0000 && !self.choices.once_in(8) {
            return;
        }
        let handle = Handle::Of(session.step);
        if self.choices.once_in(2) {
            self.plan(Command::new(CommandCode::POLICY_RESTART).handle(handle), Effect::None);
        }
        let shown = if self.choices.once_in(8) {
            Octets::new().sized(&limits.cp_hash).sized(b"another reference")
        } else {
            limits.hash_and_reference()
        };
        let command = Command::new(CommandCode::POLICY_TICKET)
            .handle(handle)
            .piece(Piece::Field(step, 0))
            .octets(shown)
            .piece(name)
            .piece(Piece::Field(step, 1));
        self.plan(command, Effect::None);
    }

    /// TPM2_PolicyAuthorize of what the session's policy is by now.
    fn by_authority(&mut self, session: &KnownSession) {
        let Some(key) = self.signer() else { return };
        let Some((step, field)) = key.name else { return };
        let handle = Handle::Of(session.step);
        let reference = self.some_auth();
        let digest = Command::new(CommandCode::POLICY_GET_DIGEST).handle(handle);
        let digest = Piece::Field(self.plan(digest, Effect::None), 0);
        let approved = vec![
            Piece::Content(Box::new(digest.clone())),
            Piece::Octets(Octets::new().bytes(&reference).0),
        ];
        let signature = self.plan_signature(&key, approved.clone());
        let verify = Command::new(CommandCode::VERIFY_SIGNATURE)
            .handle(key.handle)
            .piece(Piece::Sized(vec![Piece::Digest(HASH, approved)]))
            .piece(Piece::Field(signature, 0));
        let verified = self.plan_authorised(verify, Effect::None);
        if self.choices.once_in(8) {
            // Another policy than the one that is authorised.
            self.plan(Command::new(CommandCode::POLICY_PASSWORD).handle(handle), Effect::None);
        }
        let command = Command::new(CommandCode::POLICY_AUTHORIZE)
            .handle(handle)
            .piece(digest)
            .octets(Octets::new().sized(&reference))
            .piece(Piece::Field(step, field))
            .piece(Piece::Field(verified, 0));
        self.plan(command, Effect::None);
    }

    /// TPM2_PolicyAuthorizeNV of an index that holds the session's policy, or something else.
    fn policy_authorize_nv(&mut self, session: &KnownSession) {
        let Some(index) = self.choices.any_of(&self.world.indices).cloned() else { return };
        let (handle, session) = (Handle::Fixed(index.handle), Handle::Of(session.step));
        let by = *self.choices.one_of(&[OWNER, handle]);
        if !self.choices.once_in(4) {
            let digest = Command::new(CommandCode::POLICY_GET_DIGEST).handle(session);
            let digest = self.plan(digest, Effect::None);
            let digest = Piece::Content(Box::new(Piece::Field(digest, 0)));
            let hash = Piece::Octets(Octets::new().u16(HASH.id()).0);
            let command = Command::new(CommandCode::NV_WRITE)
                .handle(by)
                .handle(handle)
                .piece(Piece::Sized(vec![hash, digest]))
                .octets(Octets::new().u16(0));
            self.plan_authorised(command, Effect::None);
        }
        let command = Command::new(CommandCode::POLICY_AUTHORIZE_NV);
        let command = command.handle(by).handle(handle).handle(session);
        self.plan_authorised(command, Effect::None);
    }
}
