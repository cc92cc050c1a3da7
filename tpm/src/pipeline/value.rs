// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which authorisation value goes into a session's HMAC and into its encryption key.

use super::area::SessionUse;
use crate::session::{PolicyAuth, Session};
use crate::state::State;
use crate::state::capacity::HANDLES_MAX;
use crate::structure::handle::Handle;
use crate::wire::Result;

/// The authorisation value of the entity that a session authorises, for the encryption key
/// (Part 1, 21.2): always included when there is such an entity.
pub(super) fn encryption_auth<'a>(
    state: &'a State,
    session_use: &SessionUse,
    handles: &[Handle; HANDLES_MAX],
) -> &'a [u8] {
    let entity = session_use.entity(handles);
    entity.and_then(|entity| state.auth_value(entity)).map_or(&[], |auth| auth.as_slice())
}

/// The authorisation value that goes into an HMAC (Part 1, 19.6.5): none when the session
/// authorises nothing, is bound to the entity, or is a policy that doesn't ask for it.
pub(super) fn hmac_auth<'a>(
    state: &'a State,
    session: &Session,
    entity: Option<Handle>,
) -> Result<&'a [u8]> {
    let Some(entity) = entity else { return Ok(&[]) };
    let is_included = if session.is_policy() {
        session.policy.auth == PolicyAuth::AuthValue
    } else {
        !is_bound_to(state, session, entity)?
    };
    let auth = state.auth_value(entity).filter(|_| is_included);
    Ok(auth.map_or(&[], |auth| auth.as_slice()))
}

/// Whether a session is bound to an entity as it is now.
pub(super) fn is_bound_to(state: &State, session: &Session, entity: Handle) -> Result<bool> {
    let Some(bound) = &session.bound else { return Ok(false) };
    let name = state.name(entity)?;
    let auth = state.auth_value(entity).map_or(&[][..], |auth| auth.as_slice());
    Ok(*bound == Session::binding_of(&name, auth))
}
