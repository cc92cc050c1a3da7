// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes commands up: most of them sensible, following what earlier ones brought; some with a wrong
//! value, some broken. What it makes depends on its choices and on the outcomes that it is told.

mod admin;
mod approvals;
mod broken;
mod duplication;
mod keys;
mod newer;
mod nv;
mod objects;
mod pcr;
mod policies;
mod sessions;
mod template;
mod two_phase;
pub mod world;

use std::collections::VecDeque;

use tpm::command::{Role, find};
use tpm::structure::command_code::CommandCode;

use crate::choices::Choices;
use crate::octets::Octets;
use crate::session::{AUDIT, CONTINUE, DECRYPT, ENCRYPT};
use crate::side::Outcome;
use crate::step::{Action, Command, Handle, Proof, SessionUse, Step, StepId};
use world::{Effect, KnownSession, OBJECTS_MAX, Policy, SESSIONS_MAX, World};

const PASSWORD: Handle = Handle::Fixed(0x4000_0009);
const NULL: Handle = Handle::Fixed(0x4000_0007);
const OWNER: Handle = Handle::Fixed(0x4000_0001);
const ENDORSEMENT: Handle = Handle::Fixed(0x4000_000b);
const PLATFORM: Handle = Handle::Fixed(0x4000_000c);
const LOCKOUT: Handle = Handle::Fixed(0x4000_000a);

/// TPM_SE.
const HMAC_SESSION: u8 = 0;
const POLICY_SESSION: u8 = 1;
const TRIAL_SESSION: u8 = 3;

/// TPM_RC_AUTH_FAIL, whatever session it is about.
const AUTH_FAIL: u32 = 0x88e;
const AUTH_FAIL_MASK: u32 = 0x8bf;

/// A generator of one episode.
pub struct Generator<'a> {
    /// Whether its commands may be such that libtpms doesn't have.
    is_for_one: bool,
    choices: Choices<'a>,
    world: World,
    next_id: StepId,
    /// Steps that follow, each with what it changes when it succeeds.
    planned: VecDeque<(Step, Effect)>,
    /// What the step that was given out last changes.
    pending: Effect,
}

impl<'a> Generator<'a> {
    /// An episode that begins with a new TPM: it is started, and what TPMs may choose for
    /// themselves is set. Its commands are those that libtpms 0.9 has too.
    pub fn for_both(choices: Choices<'a>) -> Self {
        Self::new(choices, false)
    }

    /// The same with all commands of the engine.
    pub fn for_one(choices: Choices<'a>) -> Self {
        Self::new(choices, true)
    }

    fn new(choices: Choices<'a>, is_for_one: bool) -> Self {
        let mut generator = Self {
            is_for_one,
            choices,
            world: World::default(),
            next_id: 0,
            planned: VecDeque::new(),
            pending: Effect::None,
        };
        generator.start(0);
        // Tries, recovery time, lockout recovery: far from what an episode lasts.
        let parameters = Octets::new().u32(5).u32(1_000_000).u32(1_000_000);
        let command = Command::new(CommandCode::DICTIONARY_ATTACK_PARAMETERS).handle(LOCKOUT);
        let command = with_passwords(command, &[b""]).octets(parameters);
        generator.plan(command, Effect::None);
        // The algorithm of command audit; a change, so that this command is not in the digest.
        let parameters = Octets::new().u16(0x0c).u32(0).u32(0);
        let command = Command::new(CommandCode::SET_COMMAND_CODE_AUDIT_STATUS).handle(OWNER);
        let command = with_passwords(command, &[b""]).octets(parameters);
        generator.plan(command, Effect::None);
        generator
    }

    /// Whether the choices have run out.
    pub fn is_exhausted(&self) -> bool {
        self.choices.is_exhausted()
    }

    /// What it remembers.
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// The next step.
    pub fn next_step(&mut self) -> Step {
        while self.planned.is_empty() {
            self.devise();
        }
        let Some((step, effect)) = self.planned.pop_front() else { unreachable!("just planned") };
        self.pending = effect;
        step
    }

    /// Learns what came of the step that [`Self::next_step`] gave.
    pub fn observe(&mut self, step: &Step, outcome: &Outcome) {
        let effect = core::mem::replace(&mut self.pending, Effect::None);
        if outcome.code & AUTH_FAIL_MASK == AUTH_FAIL {
            // How many tries has that left?
            let octets = Octets::new().u32(6).u32(0x20e).u32(1);
            let command = Command::new(CommandCode::GET_CAPABILITY).octets(octets);
            let step = Step { id: self.next_id, action: Action::Command(command) };
            self.next_id += 1;
            self.planned.push_front((step, Effect::None));
        }
        if outcome.code != 0 {
            return;
        }
        self.world.apply(effect);
        let Action::Command(command) = &step.action else { return };
        // A session that is not to continue is flushed.
        for used in command.sessions.iter().filter(|used| used.attributes & CONTINUE == 0) {
            self.world.apply(Effect::Flushed(used.session));
        }
    }

    fn plan(&mut self, command: Command, effect: Effect) -> StepId {
        self.plan_action(Action::Command(command), effect)
    }

    fn plan_action(&mut self, action: Action, effect: Effect) -> StepId {
        let id = self.next_id;
        self.next_id += 1;
        self.planned.push_back((Step { id, action }, effect));
        id
    }

    /// Plans a command with the number of its step in the effect.
    fn plan_with(&mut self, command: Command, effect: impl FnOnce(StepId) -> Effect) -> StepId {
        let effect = effect(self.next_id);
        self.plan(command, effect)
    }

    /// Says what a planned step changes, once its number is known.
    fn attach(&mut self, step: StepId, effect: Effect) {
        let planned = self.planned.iter_mut().find(|(planned, _)| planned.id == step);
        if let Some((_, place)) = planned {
            *place = effect;
        }
    }

    /// Plans what to do next.
    fn devise(&mut self) {
        while self.world.objects.len() >= OBJECTS_MAX {
            let place = self.choices.below(self.world.objects.len());
            let handle = self.world.objects.remove(place).handle;
            self.plan_flush(handle);
        }
        if self.is_for_one && self.choices.once_in(8) {
            self.about_newer();
            return;
        }
        match self.choices.below(100) {
            0..22 => self.about_objects(),
            22..38 => self.about_keys(),
            38..60 => self.about_nv(),
            60..68 => self.about_pcrs(),
            68..82 => self.about_policies(),
            82..94 => self.about_administration(),
            _ => self.about_nonsense(),
        }
        if self.choices.once_in(12) {
            self.break_the_last();
        }
    }

    fn plan_flush(&mut self, handle: Handle) {
        let command = Command::new(CommandCode::FLUSH_CONTEXT);
        let command = command.piece(crate::step::Piece::Handle(handle));
        self.plan(command, Effect::Flushed(handle));
    }

    /// A value that is used for authorisation.
    fn some_auth(&mut self) -> Vec<u8> {
        match self.choices.below(4) {
            0 => b"secret".to_vec(),
            1 => b"another one".to_vec(),
            _ => Vec::new(),
        }
    }

    /// A hierarchy, mostly the owner's.
    fn some_hierarchy(&mut self) -> Handle {
        *self.choices.one_of(&[OWNER, OWNER, OWNER, ENDORSEMENT, PLATFORM, NULL])
    }

    /// Plans a command with what its handles need for authorisation, and now and then more
    /// sessions.
    fn plan_authorised(&mut self, mut command: Command, effect: Effect) -> StepId {
        let row = find(command.code);
        let roles: Vec<Role> =
            row.map_or(Vec::new(), |row| row.handles.iter().map(|slot| slot.role).collect());
        let count = row.map_or(0, |row| row.authorisations()).min(command.handles.len());
        for (place, role) in roles.iter().enumerate().take(count) {
            let used = self.authorisation(&command, command.handles[place], *role);
            command.sessions.push(used);
        }
        self.add_sessions(&mut command);
        self.plan(command, effect)
    }

    fn authorisation(&mut self, command: &Command, handle: Handle, role: Role) -> SessionUse {
        let auth = self.world.auth(handle);
        let policy = self.world.policy(handle);
        let wants_policy = match role {
            Role::Dup => true,
            Role::Admin => policy != Policy::None && !self.choices.once_in(3),
            _ => policy != Policy::None && self.choices.once_in(4),
        };
        if wants_policy && self.world.sessions.len() < SESSIONS_MAX {
            return self.by_policy(command, policy, auth);
        }
        let hmac = self.some_session(HMAC_SESSION);
        let is_wrong = self.choices.once_in(40);
        let proven = if is_wrong { b"wrong".to_vec() } else { auth.clone() };
        match hmac {
            Some(session) if self.choices.once_in(3) && !is_used(command, session.step) => {
                let is_bound = session.bound == Some(handle);
                let key = if is_bound { Vec::new() } else { proven };
                let mut attributes = if self.choices.once_in(8) { 0 } else { CONTINUE };
                if session.encrypts {
                    attributes |= *self.choices.one_of(&[0, DECRYPT, ENCRYPT, DECRYPT | ENCRYPT]);
                }
                if self.choices.once_in(6) {
                    attributes |= AUDIT;
                }
                let attributes = self.possible(command.code, attributes);
                let session = Handle::Of(session.step);
                SessionUse { session, attributes, proof: Proof::Hmac(key), entity_auth: auth }
            }
            _ => password(proven),
        }
    }

    /// Leaves out, mostly, what the command does not allow.
    fn possible(&mut self, code: CommandCode, attributes: u8) -> u8 {
        use tpm::command::Traits;
        let Some(row) = find(code) else { return attributes };
        let mut attributes = attributes;
        for (bit, needed) in [(DECRYPT, Traits::DECRYPT), (ENCRYPT, Traits::ENCRYPT)] {
            if !row.traits.contains(needed) && !self.choices.once_in(20) {
                attributes &= !bit;
            }
        }
        attributes
    }

    fn some_session(&mut self, kind: u8) -> Option<KnownSession> {
        let all: Vec<_> =
            self.world.sessions.iter().filter(|session| session.kind == kind).cloned().collect();
        self.choices.any_of(&all).cloned()
    }

    /// A session more, for audit or encryption.
    fn add_sessions(&mut self, command: &mut Command) {
        if !self.choices.once_in(8) {
            return;
        }
        let Some(session) = self.some_session(HMAC_SESSION) else { return };
        if is_used(command, session.step) && !self.choices.once_in(20) {
            return;
        }
        let taken = command.sessions.iter().fold(0, |all, used| all | used.attributes);
        let mut attributes = CONTINUE | *self.choices.one_of(&[AUDIT, DECRYPT, ENCRYPT, 0x60]);
        attributes &= !(taken & (DECRYPT | ENCRYPT | AUDIT));
        if !session.encrypts {
            attributes = CONTINUE | (AUDIT & !taken);
        }
        let attributes = self.possible(command.code, attributes);
        command.sessions.push(SessionUse {
            session: Handle::Of(session.step),
            attributes,
            proof: Proof::Hmac(Vec::new()),
            entity_auth: Vec::new(),
        });
    }
}

fn is_used(command: &Command, session: StepId) -> bool {
    command.sessions.iter().any(|used| used.session == Handle::Of(session))
}

fn password(value: Vec<u8>) -> SessionUse {
    SessionUse {
        session: PASSWORD,
        attributes: CONTINUE,
        proof: Proof::Plain(value),
        entity_auth: Vec::new(),
    }
}

/// The command with these passwords.
fn with_passwords(mut command: Command, passwords: &[&[u8]]) -> Command {
    command.sessions.extend(passwords.iter().map(|value| password(value.to_vec())));
    command
}
