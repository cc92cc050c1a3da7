// SPDX-License-Identifier: MIT OR Apache-2.0
//! Objects that move from one parent to another (Part 3, 13): duplicated, wrapped again, imported.

use tpm::crypto::hash::HashAlgorithm;
use tpm::structure::command_code::CommandCode;

use super::sessions::Asked;
use super::template::attribute;
use super::world::{Class, Effect, Object, Policy, SESSIONS_MAX};
use super::{Generator, NULL, POLICY_SESSION};
use crate::octets::Octets;
use crate::step::{Command, Handle, Piece, StepId};

const HASH: HashAlgorithm = HashAlgorithm::Sha256;
/// TPMA_OBJECT: a duplicate has an inner wrapper.
const ENCRYPTED_DUPLICATION: u32 = 1 << 11;

/// TPMT_SYM_DEF_OBJECT of the inner wrapper, and its key if the caller has it.
struct Wrapper {
    algorithm: Octets,
    key: Vec<u8>,
}

/// A parent, and where its Name stands.
#[derive(Clone, Copy)]
struct Parent {
    handle: Handle,
    name: (StepId, usize),
}

impl Generator<'_> {
    pub(super) fn about_duplication(&mut self) {
        if self.choices.once_in(4) || self.world.sessions.len() >= SESSIONS_MAX {
            self.duplicate_anything();
        } else {
            self.duplicate_and_import();
        }
    }

    fn wrapper(&mut self) -> Wrapper {
        let cipher = Octets::new().words(&[6, 128, 0x43]);
        match self.choices.below(4) {
            0 => Wrapper { algorithm: cipher, key: vec![1; 16] },
            1 => Wrapper { algorithm: cipher, key: Vec::new() },
            _ => Wrapper { algorithm: Octets::new().u16(0x10), key: Vec::new() },
        }
    }

    fn duplicate(object: Handle, parent: Handle, wrapper: &Wrapper) -> Command {
        Command::new(CommandCode::DUPLICATE)
            .handle(object)
            .handle(parent)
            .octets(Octets::new().sized(&wrapper.key).bytes(&wrapper.algorithm.0))
    }

    /// Of an object that most likely may not be.
    fn duplicate_anything(&mut self) {
        let Some(object) = self.any_object() else { return };
        let parents = self.world.of_class(Class::Storage);
        let parent = self.choices.any_of(&parents).map_or(NULL, |parent| parent.handle);
        let parent = *self.choices.one_of(&[parent, NULL]);
        let wrapper = self.wrapper();
        let command = Self::duplicate(object.handle, parent, &wrapper);
        self.plan_authorised(command, Effect::None);
    }

    fn parent(&mut self) -> Option<Parent> {
        let parents = self.world.of_class(Class::Storage);
        let parent = self.choices.any_of(&parents)?;
        Some(Parent { handle: parent.handle, name: parent.name? })
    }

    /// A new object is duplicated for a parent, wrapped for another, imported there, and loaded.
    fn duplicate_and_import(&mut self) {
        let Some(parent) = self.parent() else { return };
        let Some(target) = self.parent() else { return };
        let is_selected = self.choices.once_in(2);
        let attributes = attribute::USER_WITH_AUTH;
        let is_encrypted = self.choices.once_in(4);
        let attributes = attributes | if is_encrypted { ENCRYPTED_DUPLICATION } else { 0 };
        let policy = if is_selected {
            policy_of_selection(target)
        } else {
            let policy = Policy::CommandCode(CommandCode::DUPLICATE.0);
            vec![Piece::Octets(policy.digest())]
        };
        let public = vec![
            Piece::Octets(Octets::new().words(&[8, HASH.id()]).u32(attributes).0),
            Piece::Sized(policy),
            Piece::Octets(Octets::new().u16(0x10).sized(&[]).0),
        ];
        let sensitive = Octets::new().sized(b"").sized(b"what moves").0;
        let command = Command::new(CommandCode::CREATE)
            .handle(parent.handle)
            .octets(Octets::new().sized(&sensitive))
            .piece(Piece::Sized(public))
            .octets(Octets::new().sized(&[]).u32(0));
        let created = self.plan_authorised(command, Effect::None);
        let command = Command::new(CommandCode::LOAD)
            .handle(parent.handle)
            .piece(Piece::Field(created, 0))
            .piece(Piece::Field(created, 1));
        let loaded = self.plan_authorised_loading(command, sealed(), 0);
        let name = Piece::Field(loaded, 0);
        let wrapper = self.wrapper();
        let to = if self.choices.once_in(8) { NULL } else { target.handle };
        let mut command = Self::duplicate(Handle::Of(loaded), to, &wrapper);
        let session = self.plan_session(POLICY_SESSION, HASH);
        let session_handle = Handle::Of(session.step);
        if is_selected {
            let select = Command::new(CommandCode::POLICY_DUPLICATION_SELECT)
                .handle(session_handle)
                .piece(name.clone())
                .piece(Piece::Field(target.name.0, target.name.1))
                .octets(Octets::new().u8(0));
            self.plan(select, Effect::None);
        } else {
            self.plan_command_code(session_handle, CommandCode::DUPLICATE.0);
        }
        let used = self.policy_use(&session, command.code, Asked::Nothing, Vec::new());
        command.sessions.push(used);
        let duplicated = self.plan(command, Effect::None);
        self.plan_flush(Handle::Of(loaded));
        let public = Piece::Field(created, 1);
        self.rewrap_and_import(target, &wrapper, duplicated, public, name);
    }

    /// The rest of the way of a duplicate for `parent`.
    fn rewrap_and_import(
        &mut self,
        parent: Parent,
        wrapper: &Wrapper,
        duplicated: StepId,
        public: Piece,
        name: Piece,
    ) {
        let mut parent = parent;
        let (mut private, mut seed) = (Piece::Field(duplicated, 1), Piece::Field(duplicated, 2));
        if self.choices.once_in(2) {
            let Some(next) = self.parent() else { return };
            let to = if self.choices.once_in(8) { NULL } else { next.handle };
            let command = Command::new(CommandCode::REWRAP).handle(parent.handle).handle(to);
            let command = command.piece(private).piece(name).piece(seed);
            let rewrapped = self.plan_authorised(command, Effect::None);
            (private, seed) = (Piece::Field(rewrapped, 0), Piece::Field(rewrapped, 1));
            parent = next;
        }
        let key = if wrapper.key.is_empty() {
            Piece::Field(duplicated, 0)
        } else {
            Piece::Octets(Octets::new().sized(&wrapper.key).0)
        };
        let command = Command::new(CommandCode::IMPORT)
            .handle(parent.handle)
            .piece(key)
            .piece(public.clone())
            .piece(private)
            .piece(seed)
            .octets(wrapper.algorithm.clone());
        let imported = self.plan_authorised(command, Effect::None);
        let command = Command::new(CommandCode::LOAD)
            .handle(parent.handle)
            .piece(Piece::Field(imported, 0))
            .piece(public);
        self.plan_authorised_loading(command, sealed(), 0);
    }

    /// TPM2_Import of an object that was made outside.
    pub(super) fn import(&mut self) {
        let parents = self.world.of_class(Class::Storage);
        let Some(parent) = self.choices.any_of(&parents).cloned() else { return };
        let (seed, key) = ([0x44; 32], b"data from outside");
        let unique = HASH.digest(&[&seed, key]);
        let attributes = attribute::USER_WITH_AUTH;
        let attributes =
            if self.choices.once_in(6) { attributes | attribute::FIXED_PARENT } else { attributes };
        let public = Octets::new().words(&[8, 0x0b]).u32(attributes).sized(&[]).u16(0x10);
        let public = public.sized(&unique).0;
        let sensitive = Octets::new().u16(8).sized(&[]).sized(&seed).sized(key).0;
        let private = Octets::new().sized(&sensitive).0;
        let octets = Octets::new().sized(&[]).sized(&public).sized(&private).sized(&[]).u16(0x10);
        let command = Command::new(CommandCode::IMPORT).handle(parent.handle).octets(octets);
        let step = self.plan_authorised(command, Effect::None);
        let command = Command::new(CommandCode::LOAD)
            .handle(parent.handle)
            .piece(Piece::Field(step, 0))
            .octets(Octets::new().sized(&public));
        self.plan_authorised_loading(command, sealed(), 0);
    }
}

/// Sealed data without an authorisation value.
const fn sealed() -> Object {
    Object {
        handle: NULL,
        class: Class::Sealed,
        auth: Vec::new(),
        policy: Policy::None,
        is_tainted: false,
        name: None,
    }
}

/// The digest of TPM2_PolicyDuplicationSelect for this new parent and any object.
fn policy_of_selection(parent: Parent) -> Vec<Piece> {
    let start = Octets::new().bytes(&[0; 32]).u32(CommandCode::POLICY_DUPLICATION_SELECT.0);
    let (step, field) = parent.name;
    let name = Piece::Content(Box::new(Piece::Field(step, field)));
    vec![Piece::Digest(HASH, vec![Piece::Octets(start.0), name, Piece::Octets(vec![0])])]
}
