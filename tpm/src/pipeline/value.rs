// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which authorisation value goes into a session's HMAC and into its encryption key.

use crate::command::{Command, Traits};
use crate::session::{PolicyAuth, Session};
use crate::state::State;
use crate::state::capacity::HANDLES_MAX;
use crate::structure::digest::Auth;
use crate::structure::handle::{Handle, HandleKind};
use crate::wire::Result;

/// The authorisation value of a transient entity that the command flushes: the response is still
/// authenticated with it.
#[derive(Debug)]
pub(super) struct Flushed(Option<(Handle, Auth)>);

impl Flushed {
    /// Nothing is flushed.
    pub(super) const NONE: Self = Self(None);

    /// Keeps the value of what the command will flush.
    pub(super) fn keep(state: &State, command: &Command, handles: &[Handle; HANDLES_MAX]) -> Self {
        if !command.traits.contains(Traits::FLUSHED) {
            return Self::NONE;
        }
        let is_transient = |handle: &&Handle| handle.kind() == Some(HandleKind::Transient);
        let handle = handles.iter().find(is_transient);
        Self(handle.and_then(|handle| Some((*handle, state.auth_value(*handle)?.clone()))))
    }
}

/// The entities that sessions authorise, as they are now or, if flushed, as they were.
#[derive(Clone, Copy)]
pub(super) struct Entities<'a> {
    /// The state.
    pub(super) state: &'a State,
    /// What the command flushed.
    pub(super) flushed: &'a Flushed,
}

impl<'a> Entities<'a> {
    fn auth_value(&self, entity: Handle) -> &'a [u8] {
        let kept = self.flushed.0.as_ref().filter(|(handle, _)| *handle == entity);
        let auth = self.state.auth_value(entity).or(kept.map(|(_, auth)| auth));
        auth.map_or(&[], |auth| auth.as_slice())
    }

    /// The authorisation value for the encryption key (Part 1, 21.2): always included when the
    /// session authorises an entity.
    pub(super) fn encryption_auth(&self, entity: Option<Handle>) -> &'a [u8] {
        entity.map_or(&[], |entity| self.auth_value(entity))
    }

    /// The authorisation value that goes into an HMAC (Part 1, 19.6.5): none when the session
    /// authorises nothing, is bound to the entity, or is a policy that doesn't ask for it. Whether
    /// it is bound is decided once for command and response: the command may change the value or
    /// the Name of the entity.
    pub(super) fn hmac_auth(
        &self,
        session: &Session,
        entity: Option<Handle>,
        is_bound: bool,
    ) -> &'a [u8] {
        let Some(entity) = entity else { return &[] };
        let is_included = if session.is_policy() {
            session.policy.auth == PolicyAuth::AuthValue
        } else {
            !is_bound
        };
        if is_included { self.auth_value(entity) } else { &[] }
    }

    /// Whether a session is bound to an entity as it is now.
    pub(super) fn is_bound(&self, session: &Session, entity: Handle) -> Result<bool> {
        let Some(bound) = &session.bound else { return Ok(false) };
        let name = self.state.name(entity)?;
        Ok(*bound == Session::binding_of(&name, self.auth_value(entity)))
    }
}
