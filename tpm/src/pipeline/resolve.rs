// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handle area (Part 3, 5.4): each handle is of the type that the command wants, and what it
//! names is there and enabled.

use crate::command::{Command, HandleType};
use crate::state::State;
use crate::state::capacity::{HANDLES_MAX, TIMERS};
use crate::structure::handle::{Handle, HandleKind};
use crate::structure::nv::NvAttributes;
use crate::structure::pcr_selection::PCR_COUNT;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Reader, Result};

/// Reads and resolves the handles of a command; unused places are TPM_RH_UNASSIGNED.
pub(super) fn handles(
    state: &State,
    command: &Command,
    body: &[u8],
) -> Result<[Handle; HANDLES_MAX]> {
    let mut handles = [Handle::UNASSIGNED; HANDLES_MAX];
    let mut reader = Reader::new(body);
    let places = (1..).zip(&mut handles);
    // First all types, then what they name: a wrong type is said before something missing.
    for ((number, place), slot) in places.zip(command.handles) {
        let read = reader.value().and_then(|handle| {
            if has_type(handle, slot.kind) { Ok(handle) } else { Err(ResponseCode::VALUE) }
        });
        *place = read.map_err(|code| code.in_handle(number))?;
    }
    for ((number, handle), _) in (1..).zip(handles).zip(command.handles) {
        check_present(state, handle, number).map_err(|code| code.in_handle(number))?;
    }
    Ok(handles)
}

/// Whether a handle is of an interface type (Part 2, 9).
fn has_type(handle: Handle, kind: HandleType) -> bool {
    use HandleKind as Kind;
    let is_null = handle == Handle::NULL;
    let is_object = matches!(handle.kind(), Some(Kind::Transient | Kind::Persistent));
    let is_index = handle.kind() == Some(Kind::NvIndex);
    let is_pcr = handle.kind() == Some(Kind::Pcr) && handle.index() < PCR_COUNT;
    let is_provision = matches!(handle, Handle::OWNER | Handle::PLATFORM);
    let is_hierarchy = is_provision || handle == Handle::ENDORSEMENT;
    let is_entity = is_object || is_index || is_pcr || is_hierarchy || handle == Handle::LOCKOUT;
    match kind {
        HandleType::Object => is_object,
        HandleType::ObjectOrNull => is_object || is_null,
        HandleType::Parent => is_object || is_hierarchy || is_null,
        HandleType::Entity => is_entity || is_timer(handle),
        HandleType::EntityOrNull => is_entity || is_timer(handle) || is_null,
        HandleType::Pcr => is_pcr,
        HandleType::PcrOrNull => is_pcr || is_null,
        HandleType::Context => handle.kind() == Some(Kind::Transient) || handle.is_session(),
        HandleType::HmacSession => handle.kind() == Some(Kind::HmacSession),
        HandleType::PolicySession => handle.kind() == Some(Kind::PolicySession),
        HandleType::Hierarchy | HandleType::BaseHierarchy => is_hierarchy,
        HandleType::HierarchyOrNull => is_hierarchy || is_null,
        HandleType::HierarchyAuth => is_hierarchy || handle == Handle::LOCKOUT,
        HandleType::HierarchyPolicy => {
            is_hierarchy || handle == Handle::LOCKOUT || is_timer(handle)
        }
        HandleType::Platform => handle == Handle::PLATFORM,
        HandleType::Endorsement => handle == Handle::ENDORSEMENT,
        HandleType::Provision => is_provision,
        HandleType::Clear => matches!(handle, Handle::LOCKOUT | Handle::PLATFORM),
        HandleType::NvAuth => is_provision || is_index,
        HandleType::Lockout => handle == Handle::LOCKOUT,
        HandleType::NvIndex => is_index,
        HandleType::Attached => handle.kind() == Some(Kind::Attached),
        HandleType::Timer => is_timer(handle),
    }
}

fn is_timer(handle: Handle) -> bool {
    handle.timer_index().is_some_and(|place| place < TIMERS)
}

/// Whether what a handle names is there (Part 3, 5.4).
fn check_present(state: &State, handle: Handle, number: u8) -> Result<()> {
    match handle.kind() {
        Some(HandleKind::Transient) => match state.transients.get(handle) {
            Some(_) => Ok(()),
            None => Err(ResponseCode::reference_handle(number)),
        },
        Some(HandleKind::HmacSession | HandleKind::PolicySession) => {
            match state.sessions.get(handle) {
                Some(_) => Ok(()),
                None => Err(ResponseCode::reference_handle(number)),
            }
        }
        Some(HandleKind::Persistent) => match state.persistents.get(handle) {
            Some(object) if state.is_hierarchy_enabled(object.hierarchy) => Ok(()),
            _ => Err(ResponseCode::HANDLE),
        },
        Some(HandleKind::NvIndex) => match state.nv.get(handle) {
            Some(index) if is_nv_enabled(state, index.public.attributes) => Ok(()),
            _ => Err(ResponseCode::HANDLE),
        },
        Some(HandleKind::Permanent) => {
            if state.is_hierarchy_enabled(handle) {
                Ok(())
            } else {
                Err(ResponseCode::HIERARCHY)
            }
        }
        // Whether a component is attached is for its commands to say.
        Some(HandleKind::Attached | HandleKind::Pcr) => Ok(()),
        None => Err(ResponseCode::VALUE),
    }
}

/// An index of the platform is there while phEnableNV is set, another one while shEnable is.
fn is_nv_enabled(state: &State, attributes: NvAttributes) -> bool {
    if attributes.contains(NvAttributes::PLATFORM_CREATE) {
        state.clear.is_platform_nv_enabled
    } else {
        state.clear.is_owner_enabled
    }
}
