// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is always true of the state between two commands. Tests and fuzzers ask after each one.

use crate::protect::key::rsa_public;
use crate::session::Active;
use crate::state::State;
use crate::state::capacity::{CONTEXT_GAP_MAX, LOADED_SESSIONS};
use crate::state::object::{Object, Transient};
use crate::structure::handle::{Handle, HandleKind};

/// The first invariant that doesn't hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation(pub &'static str);

/// Checks the whole state.
///
/// # Errors
/// The first [`Violation`].
pub fn check(state: &State) -> Result<(), Violation> {
    sessions(state)?;
    objects(state)?;
    prepared(state)?;
    nv(state)
}

fn holds(condition: bool, what: &'static str) -> Result<(), Violation> {
    if condition { Ok(()) } else { Err(Violation(what)) }
}

fn sessions(state: &State) -> Result<(), Violation> {
    let mut used = [false; LOADED_SESSIONS];
    for active in state.sessions.active() {
        match active {
            Active::Free => {}
            Active::Loaded(slot) => {
                let place = used.get_mut(usize::from(*slot)).ok_or(Violation("session slot"))?;
                holds(!*place, "a slot holds one session")?;
                *place = true;
            }
            Active::Saved(counter) => {
                let next = state.reset.session_context_count;
                holds(*counter < next, "a saved session was counted")?;
                holds(next.saturating_sub(*counter) <= CONTEXT_GAP_MAX, "the context gap")?;
            }
        }
    }
    holds(state.sessions.loaded() <= LOADED_SESSIONS, "loaded sessions")?;
    let counted = used.iter().filter(|used| **used).count();
    holds(state.sessions.loaded() == counted, "each loaded session has a number")?;
    if let Some(handle) = state.sessions.exclusive {
        holds(state.sessions.is_active(handle), "the exclusive session is active")?;
    }
    Ok(())
}

fn objects(state: &State) -> Result<(), Violation> {
    for transient in state.transients.iter() {
        if let Transient::Object(object) = transient {
            let same = |name| name == object.name;
            holds(object.public.name().is_ok_and(same), "the Name belongs to the public area")?;
        }
    }
    for entry in state.persistents.iter() {
        holds(entry.handle.kind() == Some(HandleKind::Persistent), "a persistent handle")?;
        let is_platform = entry.handle >= Handle::PLATFORM_PERSISTENT_FIRST;
        let of_platform = entry.object.hierarchy == Handle::PLATFORM;
        holds(is_platform == of_platform, "each hierarchy has its persistent handles")?;
        let same = state.persistents.iter().filter(|other| other.handle == entry.handle).count();
        holds(same == 1, "a persistent handle names one object")?;
    }
    Ok(())
}

fn prepared(state: &State) -> Result<(), Violation> {
    for key in state.prepared.iter() {
        let is_of = |object: &Object| {
            rsa_public(&object.public).as_ref() == Ok(key.public())
                && object.sensitive.as_ref().is_some_and(|it| *it.secret == *key.prime())
        };
        let is_loaded = state.transients.iter().any(|transient| match transient {
            Transient::Object(object) => is_of(object),
            Transient::Sequence(_) => false,
        });
        let is_persistent = state.persistents.iter().any(|entry| is_of(&entry.object));
        holds(is_loaded || is_persistent, "a key that is ready belongs to an object")?;
    }
    Ok(())
}

fn nv(state: &State) -> Result<(), Violation> {
    holds(state.nv.is_compact(), "no index is beyond where indices are looked for")?;
    for index in state.nv.iter() {
        let handle = index.public.index;
        holds(handle.kind() == Some(HandleKind::NvIndex), "an NV index handle")?;
        holds(
            state.nv.data(handle).len() == usize::from(index.public.data_size),
            "an index has its data",
        )?;
        let same = state.nv.iter().filter(|other| other.public.index == handle).count();
        holds(same == 1, "a handle names one index")?;
    }
    Ok(())
}
