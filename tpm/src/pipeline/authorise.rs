// SPDX-License-Identifier: MIT OR Apache-2.0
//! Authorisation (Part 1, 19; Part 3, 5.6): passwords, HMACs, policies, and what failures cost.

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::Work;
use super::area::SessionUse;
use super::audit::Audits;
use super::value::{Entities, Flushed};
use crate::command::{Command, Role, Traits};
use crate::crypto::hash::{DIGEST_SIZE_MAX, Digest};
use crate::crypto::hmac::Hmac;
use crate::session::{PolicyAuth, Session};
use crate::state::State;
use crate::state::groups::Shutdown;
use crate::state::object::Transient;
use crate::structure::attributes::{ObjectAttributes, SessionAttributes};
use crate::structure::buffer::Buffer;
use crate::structure::command_code::CommandCode;
use crate::structure::handle::{Handle, HandleKind};
use crate::structure::nv::{NvAttributes, NvType};
use crate::structure::response_code::ResponseCode;
use crate::wire::Result;

/// Session key and authorisation value, one behind the other.
pub(super) type HmacKey = Buffer<{ 2 * DIGEST_SIZE_MAX }>;

/// What an NV command does with the index, which decides the attribute that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NvUse {
    Read,
    Write,
    Other,
}

impl NvUse {
    pub(super) const fn of(code: CommandCode) -> Self {
        match code {
            CommandCode::NV_WRITE
            | CommandCode::NV_INCREMENT
            | CommandCode::NV_SET_BITS
            | CommandCode::NV_EXTEND
            | CommandCode::NV_WRITE_LOCK => Self::Write,
            CommandCode::NV_READ
            | CommandCode::NV_READ_LOCK
            | CommandCode::NV_CERTIFY
            | CommandCode::POLICY_NV
            | CommandCode::POLICY_AUTHORIZE_NV
            | CommandCode::POLICY_SECRET => Self::Read,
            _ => Self::Other,
        }
    }
}

impl Work<'_> {
    /// Checks every session; the cpHashes that audits need are taken on the way.
    pub(super) fn authorise(&mut self, parameters: &[u8]) -> Result<Audits> {
        self.check_physical_presence()?;
        let audits = self.prepare_audits(parameters)?;
        let sessions = self.sessions.clone();
        for (number, session_use) in (1..).zip(sessions.iter()) {
            self.check_session(session_use, number == 1, parameters)
                .map_err(|code| code.in_session(number))?;
        }
        Ok(audits)
    }

    fn check_physical_presence(&mut self) -> Result<()> {
        if !self.state.needs_physical_presence(self.command) {
            return Ok(());
        }
        // Not the first handle in TPM2_NV_UndefineSpaceSpecial.
        let authorised = self.handles.iter().take(self.command.authorisations());
        let platform = (1..).zip(authorised).find(|(_, handle)| **handle == Handle::PLATFORM);
        match platform {
            Some((number, _)) if !self.platform.physical_presence() => {
                Err(ResponseCode::PP.in_session(number))
            }
            _ => Ok(()),
        }
    }

    fn check_session(
        &mut self,
        session_use: &SessionUse,
        is_first: bool,
        parameters: &[u8],
    ) -> Result<()> {
        let Some(entity) = session_use.entity(&self.handles) else {
            return self.check_hmac(session_use, None, is_first, parameters);
        };
        let session = self.state.sessions.get(session_use.handle).cloned();
        let policy = session.as_ref().filter(|session| session.is_policy());
        let proof = policy.map_or(PolicyAuth::AuthValue, |session| session.policy.auth);
        let uses_value = proof != PolicyAuth::None;
        if uses_value {
            self.check_try(entity)?;
        }
        let role = self.role(session_use);
        match policy {
            None if self.needs_policy(entity, role) => return Err(ResponseCode::AUTH_TYPE),
            None if !self.accepts_auth_value(entity, role) => {
                return Err(ResponseCode::AUTH_UNAVAILABLE);
            }
            None => {}
            Some(_) if !self.accepts_policy(entity) => {
                return Err(ResponseCode::AUTH_UNAVAILABLE);
            }
            Some(session) => self.check_policy(session, entity, role, parameters)?,
        }
        if uses_value && !self.has_pin_left(entity) {
            return Err(ResponseCode::AUTH_UNAVAILABLE);
        }
        if session_use.is_password() || proof == PolicyAuth::Password {
            self.check_password(session_use, entity)
        } else {
            self.check_hmac(session_use, Some(entity), is_first, parameters)
        }
    }

    /// Whether the authorisation value of the entity can be tried now: a try may have to be
    /// counted.
    fn check_try(&mut self, entity: Handle) -> Result<()> {
        let is_pin = self.is_pin(entity);
        if is_pin
            && self.state.clear.is_read_only
            && self.command.code == CommandCode::POLICY_SECRET
        {
            return Err(ResponseCode::READ_ONLY);
        }
        let is_counted = is_pin || self.state.is_da_protected(entity);
        if is_counted && !self.platform.is_storage_writable() {
            return Err(ResponseCode::NV_UNAVAILABLE);
        }
        self.check_lockout(entity)
    }

    /// Whether the entity is an NV index that counts the tries of its authorisation value.
    fn is_pin(&self, entity: Handle) -> bool {
        self.state.nv.get(entity).is_some_and(|index| is_pin(index.public.attributes))
    }

    fn role(&self, session_use: &SessionUse) -> Role {
        let slot = session_use.authorises.and_then(|place| self.command.handles.get(place));
        slot.map_or(Role::None, |slot| slot.role)
    }

    /// Whether dictionary-attack protection denies the entity now.
    fn check_lockout(&mut self, entity: Handle) -> Result<()> {
        if !self.state.is_da_protected(entity) {
            return Ok(());
        }
        let attack = &self.state.permanent.dictionary_attack;
        let is_denied = if entity == Handle::LOCKOUT {
            !attack.is_lockout_auth_enabled
        } else {
            attack.is_locked_out()
        };
        if is_denied {
            return Err(ResponseCode::LOCKOUT);
        }
        // Losing power from here on counts as a failed try (Part 1, 19.11.2); lockoutAuth has a
        // protection of its own, which one wrong value sets off.
        let is_counted = entity != Handle::LOCKOUT;
        if is_counted && self.state.orderly.shutdown != Shutdown::NoneAfterDaUse {
            self.state.orderly.change().shutdown = Shutdown::NoneAfterDaUse;
        }
        Ok(())
    }

    /// The key of a bound session tells of the entity's authorisation value, whatever the session
    /// is used for: what cannot be tried now, or not be counted, is not told by it either.
    fn check_bound_lockout(&mut self, session: Handle) -> Result<()> {
        let session = self.state.sessions.get(session).ok_or(ResponseCode::FAILURE)?;
        let attack = &self.state.permanent.dictionary_attack;
        let is_denied = if session.is_bound_to_lockout {
            !attack.is_lockout_auth_enabled
        } else if session.is_bound_to_da {
            attack.is_locked_out()
        } else {
            return Ok(());
        };
        if !self.platform.is_storage_writable() {
            return Err(ResponseCode::NV_UNAVAILABLE);
        }
        if is_denied { Err(ResponseCode::LOCKOUT) } else { Ok(()) }
    }

    /// Whether only a policy will do: DUP always, ADMIN as the entity says, and for a PCR with a
    /// policy always (TPM2_PCR_SetAuthPolicy, Part 3, 22.6).
    fn needs_policy(&self, entity: Handle, role: Role) -> bool {
        if entity.kind() == Some(HandleKind::Pcr) {
            return !self.state.auth_policy(entity).digest.is_empty();
        }
        match role {
            Role::Dup => true,
            Role::Admin => match entity.kind() {
                Some(HandleKind::NvIndex) => true,
                Some(HandleKind::Transient | HandleKind::Persistent) => self
                    .state
                    .find_object(entity)
                    .is_some_and(|object| object.has(ObjectAttributes::ADMIN_WITH_POLICY)),
                _ => false,
            },
            Role::User | Role::None => false,
        }
    }

    /// Whether the entity's authorisation value may be used for this.
    fn accepts_auth_value(&self, entity: Handle, role: Role) -> bool {
        let state = &*self.state;
        match entity.kind() {
            Some(HandleKind::Transient | HandleKind::Persistent) => {
                if let Some(Transient::Sequence(_)) = state.transients.get(entity) {
                    return true;
                }
                state.find_object(entity).is_some_and(|object| {
                    object.sensitive.is_some()
                        && (role != Role::User || object.has(ObjectAttributes::USER_WITH_AUTH))
                })
            }
            Some(HandleKind::NvIndex) => state.nv.get(entity).is_some_and(|index| {
                let attributes = index.public.attributes;
                let needed = match NvUse::of(self.command.code) {
                    NvUse::Write => NvAttributes::AUTH_WRITE,
                    NvUse::Read | NvUse::Other => NvAttributes::AUTH_READ,
                };
                // To prove that a PIN is known reads nothing.
                let is_proof = self.command.code == CommandCode::POLICY_SECRET;
                attributes.contains(needed) || is_proof && is_pin(attributes)
            }),
            // The value of a timer is platformAuth, which is disabled with its hierarchy.
            _ if entity.timer_index().is_some() => state.is_hierarchy_enabled(Handle::PLATFORM),
            _ => state.auth_value(entity).is_some(),
        }
    }

    /// The value of a PIN index can be used, also through a policy that demands it, while the index
    /// is written and its count is below its limit.
    fn has_pin_left(&self, entity: Handle) -> bool {
        let Some(index) = self.state.nv.get(entity).filter(|_| self.is_pin(entity)) else {
            return true;
        };
        if !index.public.attributes.contains(NvAttributes::WRITTEN) {
            return false;
        }
        match self.state.nv.data(entity) {
            [c0, c1, c2, c3, l0, l1, l2, l3] => {
                u32::from_be_bytes([*c0, *c1, *c2, *c3]) < u32::from_be_bytes([*l0, *l1, *l2, *l3])
            }
            _ => false,
        }
    }

    fn check_password(&mut self, session_use: &SessionUse, entity: Handle) -> Result<()> {
        let given = session_use.hmac.clone().without_trailing_zeros();
        let wanted = self.state.auth_value(entity).cloned().unwrap_or_default();
        if bool::from(given.as_slice().ct_eq(wanted.as_slice())) {
            self.note_success(entity)
        } else {
            Err(self.note_failure(session_use, Some(entity)))
        }
    }

    fn check_hmac(
        &mut self,
        session_use: &SessionUse,
        entity: Option<Handle>,
        is_first: bool,
        parameters: &[u8],
    ) -> Result<()> {
        self.check_bound_lockout(session_use.handle)?;
        let session = self.state.sessions.get(session_use.handle).ok_or(ResponseCode::FAILURE)?;
        // Of a policy that doesn't ask for it the value is not tried.
        let uses_value = !session.is_policy() || session.policy.auth == PolicyAuth::AuthValue;
        let tried = entity.filter(|_| uses_value);
        let entities = Entities { state: self.state, flushed: &Flushed::NONE };
        let is_bound = match entity {
            Some(entity) => entities.is_bound(session, entity)?,
            None => false,
        };
        let auth = entities.hmac_auth(session, entity, is_bound);
        if is_bound {
            self.sessions.note_bound(session_use.handle);
        }
        let mut key = HmacKey::new(&session.key)?;
        key.append(auth)?;
        // Without any key an HMAC proves nothing, and may be left out.
        let is_left_out = key.is_empty() && session_use.hmac.is_empty();
        if !is_left_out {
            let cp_hash = self.cp_hash(session.hash, parameters)?;
            let mut expected = self.command_hmac(session_use, session, &key, is_first, &cp_hash)?;
            let is_right = bool::from(expected.as_bytes().ct_eq(session_use.hmac.as_slice()));
            expected.zeroize();
            if !is_right {
                return Err(self.note_failure(session_use, tried));
            }
        }
        match tried {
            Some(entity) => self.note_success(entity),
            None => Ok(()),
        }
    }

    /// HMAC(key, cpHash ‖ nonceCaller ‖ nonceTPM ‖ nonces of other sessions ‖ attributes).
    fn command_hmac(
        &self,
        session_use: &SessionUse,
        session: &Session,
        key: &HmacKey,
        is_first: bool,
        cp_hash: &Digest,
    ) -> Result<Digest> {
        let mut hmac = Hmac::new(session.hash, key);
        hmac.update(cp_hash);
        hmac.update(&session_use.nonce_caller);
        hmac.update(&session.nonce_tpm);
        if is_first {
            // The first session vouches for the ones that encrypt (Part 1, 19.6.5).
            let decrypting = self.sessions.decrypting().map(|other| other.handle);
            let encrypting = self.sessions.encrypting().map(|other| other.handle);
            let encrypting = encrypting.filter(|other| Some(*other) != decrypting);
            for other in [decrypting, encrypting].into_iter().flatten() {
                if other != session_use.handle {
                    let other = self.state.sessions.get(other).ok_or(ResponseCode::FAILURE)?;
                    hmac.update(&other.nonce_tpm);
                }
            }
        }
        hmac.update(&[session_use.attributes.raw()]);
        Ok(hmac.finish())
    }

    /// The authorisation value was right.
    fn note_success(&mut self, entity: Handle) -> Result<()> {
        let Some(index) = self.state.nv.get(entity) else { return Ok(()) };
        match index.public.attributes.nv_type() {
            // A success resets the count of failures.
            Some(NvType::PinFail) => self.change_pin_count(entity, |_| 0),
            Some(NvType::PinPass) => self.change_pin_count(entity, |count| count.saturating_add(1)),
            _ => {}
        }
        Ok(())
    }

    fn change_pin_count(&mut self, entity: Handle, change: impl Fn(u32) -> u32) {
        let count =
            self.state.nv.data(entity).first_chunk().map(|count| u32::from_be_bytes(*count));
        if let Some(count) = count
            && change(count) != count
            && let Some(place) = self.state.nv.change_data(entity).first_chunk_mut()
        {
            *place = change(count).to_be_bytes();
        }
    }

    /// What was given is wrong: what that costs, and the code. `entity` is the one whose value was
    /// tried, if one was.
    fn note_failure(&mut self, session_use: &SessionUse, entity: Option<Handle>) -> ResponseCode {
        let session = self.state.sessions.get(session_use.handle);
        let is_bound_to_da = session.is_some_and(|session| session.is_bound_to_da);
        let is_bound_to_lockout = session.is_some_and(|session| session.is_bound_to_lockout);
        if let Some(entity) = entity
            && let Some(index) = self.state.nv.get(entity)
            && index.public.attributes.nv_type() == Some(NvType::PinFail)
        {
            self.change_pin_count(entity, |count| count.saturating_add(1));
        }
        let is_protected = entity.is_some_and(|entity| self.state.is_da_protected(entity));
        if entity == Some(Handle::LOCKOUT) || is_bound_to_lockout {
            self.state.permanent.change().dictionary_attack.is_lockout_auth_enabled = false;
            self.state.clock.note_lockout_failure();
        } else if is_protected || is_bound_to_da {
            let attack = self.state.permanent.dictionary_attack;
            if attack.recovery_time_s != 0 {
                let failed_tries = attack.failed_tries.saturating_add(1);
                self.state.permanent.change().dictionary_attack.failed_tries = failed_tries;
                self.state.clock.note_failure();
            }
        } else {
            return ResponseCode::BAD_AUTH;
        }
        ResponseCode::AUTH_FAIL
    }
}

impl State {
    /// Whether a command with platformAuth needs physical presence (TPM2_PP_Commands).
    pub fn needs_physical_presence(&self, command: &Command) -> bool {
        command.traits.contains(Traits::PRESENCE_REQUIRED)
            || self.permanent.physical_presence_commands.contains(command.code)
    }
}

impl SessionUse {
    /// Whether the session stays after the command.
    pub(super) fn continues(&self) -> bool {
        self.is_password() || self.attributes.contains(SessionAttributes::CONTINUE)
    }
}

/// Whether an index of these attributes counts the tries of its authorisation value.
fn is_pin(attributes: NvAttributes) -> bool {
    matches!(attributes.nv_type(), Some(NvType::PinFail | NvType::PinPass))
}
