// SPDX-License-Identifier: MIT OR Apache-2.0
//! The response (Part 3, 5.9): new nonces, encryption, audit, HMACs, and the end of sessions.

use zeroize::Zeroize;

use super::area::{SessionUse, SessionUses};
use super::audit::Audits;
use super::authorise::HmacKey;
use super::frame::HEADER_SIZE;
use super::hash;
use super::value::{Entities, Flushed};
use crate::command::Command;
use crate::crypto::hmac::Hmac;
use crate::session::{PolicyAuth, Session};
use crate::state::State;
use crate::state::capacity::HANDLES_MAX;
use crate::structure::attributes::SessionAttributes;
use crate::structure::digest::{Auth, Nonce};
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::structure::tag::StructureTag;
use crate::wire::{Reader, Result, Writer};

/// What is known of a command that succeeded.
pub(super) struct Outcome<'a> {
    pub(super) tag: StructureTag,
    pub(super) command: &'static Command,
    pub(super) handles: [Handle; HANDLES_MAX],
    pub(super) response_handle: Option<Handle>,
    /// Octets of the response parameters.
    pub(super) size: usize,
    pub(super) audits: &'a Audits,
    /// What the command flushed.
    pub(super) flushed: Flushed,
}

/// Where the response parameters begin.
pub(super) const fn parameters_start(tag: StructureTag, has_handle: bool) -> usize {
    let handle = if has_handle { 4 } else { 0 };
    let size = if matches!(tag, StructureTag::Sessions) { 4 } else { 0 };
    HEADER_SIZE.saturating_add(handle).saturating_add(size)
}

/// A response that says only what is wrong: its octets.
pub(super) fn error(code: ResponseCode, response: &mut [u8]) -> usize {
    let tag = if code == ResponseCode::BAD_TAG {
        StructureTag::ResponseCommand
    } else {
        StructureTag::NoSessions
    };
    let mut writer = Writer::new(response);
    let written =
        writer.value(&tag).and_then(|()| writer.value(&10_u32)).and_then(|()| writer.value(&code));
    match written {
        Ok(()) => writer.len(),
        // Not even room for an error.
        Err(_) => 0,
    }
}

/// Completes the response around its parameters, which stand in place already: its octets.
pub(super) fn success(
    state: &mut State,
    outcome: &Outcome<'_>,
    sessions: &SessionUses,
    response: &mut [u8],
) -> Result<usize> {
    let start = parameters_start(outcome.tag, outcome.response_handle.is_some());
    let end = start.saturating_add(outcome.size);
    let (front, rest) = response.split_at_mut_checked(start).ok_or(ResponseCode::FAILURE)?;
    let (parameters, back) =
        rest.split_at_mut_checked(outcome.size).ok_or(ResponseCode::FAILURE)?;

    let mut area = Writer::new(back);
    if outcome.tag == StructureTag::Sessions {
        renew_nonces(state, sessions)?;
        encrypt(state, outcome, sessions, parameters)?;
    }
    outcome.audits.record(state, outcome.command, sessions, parameters)?;
    if outcome.tag == StructureTag::Sessions {
        write_area(state, outcome, sessions, parameters, &mut area)?;
        end_sessions(state, sessions);
    }

    let total = end.saturating_add(area.len());
    let mut header = Writer::new(front);
    header.value(&outcome.tag)?;
    header.value(&u32::try_from(total).map_err(|_| ResponseCode::FAILURE)?)?;
    header.value(&0_u32)?;
    if let Some(handle) = outcome.response_handle {
        header.value(&handle)?;
    }
    if outcome.tag == StructureTag::Sessions {
        header.value(&u32::try_from(outcome.size).map_err(|_| ResponseCode::FAILURE)?)?;
    }
    Ok(total)
}

/// Every session gets a new nonce, as long as the one before.
fn renew_nonces(state: &mut State, sessions: &SessionUses) -> Result<()> {
    for session_use in sessions.iter().filter(|session_use| !session_use.is_password()) {
        let size = state.sessions.get(session_use.handle).map(|session| session.nonce_tpm.len());
        let Some(size) = size else { continue };
        let mut nonce = Nonce::zeroed(size)?;
        state.fill_random(nonce.as_mut_slice())?;
        if let Some(session) = state.sessions.get_mut(session_use.handle) {
            session.nonce_tpm = nonce;
        }
    }
    Ok(())
}

fn encrypt(
    state: &State,
    outcome: &Outcome<'_>,
    sessions: &SessionUses,
    parameters: &mut [u8],
) -> Result<()> {
    let Some(session_use) = sessions.encrypting() else { return Ok(()) };
    let session = state.sessions.get(session_use.handle).ok_or(ResponseCode::FAILURE)?;
    let size: u16 = Reader::new(parameters).value().map_err(|_| ResponseCode::FAILURE)?;
    let (_, data) = parameters.split_at_mut_checked(2).ok_or(ResponseCode::FAILURE)?;
    let data = data.get_mut(..usize::from(size)).ok_or(ResponseCode::FAILURE)?;
    let entities = Entities { state, flushed: &outcome.flushed };
    let auth = entities.encryption_auth(session_use.entity(&outcome.handles));
    crate::session::encrypt_parameter(session, auth, &session_use.nonce_caller, data)
}

fn write_area(
    state: &State,
    outcome: &Outcome<'_>,
    sessions: &SessionUses,
    parameters: &[u8],
    area: &mut Writer<'_>,
) -> Result<()> {
    for session_use in sessions.iter() {
        let session = state.sessions.get(session_use.handle);
        let Some(session) = session.filter(|_| !session_use.is_password()) else {
            area.value(&Nonce::EMPTY)?;
            area.value(&SessionAttributes::CONTINUE)?;
            area.value(&Auth::EMPTY)?;
            continue;
        };
        let is_exclusive = session_use.attributes.contains(SessionAttributes::AUDIT)
            && state.sessions.exclusive == Some(session_use.handle);
        let attributes = session_use
            .attributes
            .without(SessionAttributes::AUDIT_RESET)
            .with_if(is_exclusive, SessionAttributes::AUDIT_EXCLUSIVE);
        area.value(&session.nonce_tpm)?;
        area.value(&attributes)?;
        let hmac = response_hmac(state, outcome, session_use, session, attributes, parameters)?;
        area.value(&hmac)?;
    }
    Ok(())
}

/// HMAC(key, rpHash ‖ nonceTPM ‖ nonceCaller ‖ attributes); empty if there is no key and the
/// caller sent none either.
fn response_hmac(
    state: &State,
    outcome: &Outcome<'_>,
    session_use: &SessionUse,
    session: &Session,
    attributes: SessionAttributes,
    parameters: &[u8],
) -> Result<Auth> {
    // A policy by which the value itself was given has no HMAC in either direction.
    if session.is_policy() && session.policy.auth == PolicyAuth::Password {
        return Ok(Auth::EMPTY);
    }
    let entities = Entities { state, flushed: &outcome.flushed };
    let entity = session_use.entity(&outcome.handles);
    let auth = entities.hmac_auth(session, entity, session_use.is_bound);
    let mut key = HmacKey::new(&session.key)?;
    key.append(auth)?;
    if key.is_empty() && session_use.hmac.is_empty() {
        return Ok(Auth::EMPTY);
    }
    let mut hmac = Hmac::new(session.hash, &key);
    hmac.update(&hash::rp_hash(session.hash, outcome.command.code, parameters));
    hmac.update(&session.nonce_tpm);
    hmac.update(&session_use.nonce_caller);
    hmac.update(&[attributes.raw()]);
    let mut digest = hmac.finish();
    let written = Auth::new(&digest);
    digest.zeroize();
    written
}

/// Ends the sessions that aren't to continue; a policy session that stays begins anew.
fn end_sessions(state: &mut State, sessions: &SessionUses) {
    for session_use in sessions.iter() {
        if !session_use.continues() {
            state.sessions.remove(session_use.handle);
        } else if let Some(session) = state.sessions.get_mut(session_use.handle)
            && session.is_policy()
        {
            session.begin_anew(state.clock.time_ms(), state.clock.epoch);
        }
    }
}
