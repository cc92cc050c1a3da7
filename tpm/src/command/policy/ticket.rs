// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyTicket (Part 3, 23.5): an approval that was given before.

use super::timed::{Limits, Places, add, check_limits, check_ticket, timeout_of};
use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::session::SessionKind;
use crate::structure::buffer::Buffer;
use crate::structure::command_code::CommandCode;
use crate::structure::digest::{Name, Nonce};
use crate::structure::response_code::ResponseCode;
use crate::structure::tag::StructureTag;
use crate::structure::ticket::Ticket;
use crate::wire::{Parameters, Result, Writer};

const PLACES: Places = Places { nonce: 0, cp_hash: 2, expiration: 1 };

/// TPM2B_TIMEOUT.
type Timeout = Buffer<8>;

/// Handles: policySession. Parameters: timeout, cpHashA, policyRef, authName, ticket.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (timeout, cp_hash, policy_ref, name, ticket): (Timeout, Digest, Nonce, Name, Ticket) =
        parameters.read()?;
    let code = match ticket.tag {
        StructureTag::AuthSigned => CommandCode::POLICY_SIGNED,
        StructureTag::AuthSecret => CommandCode::POLICY_SECRET,
        _ => return Err(ResponseCode::TAG.in_parameter(5)),
    };
    let handle = context.handle(1);
    let state = &mut *context.state;
    let session = state.sessions.get(handle).ok_or(ResponseCode::HANDLE)?;
    // A trial needs no ticket, and would not check it.
    if session.kind == SessionKind::Trial {
        return Err(ResponseCode::ATTRIBUTES.in_handle(1));
    }
    let timeout = timeout.as_slice().try_into().map(u64::from_be_bytes);
    let timeout = timeout.map_err(|_| ResponseCode::SIZE.in_parameter(1))?;
    let timeout_ms = timeout_of(timeout);
    check_limits(state, session, timeout_ms, &cp_hash, PLACES)?;
    check_ticket(state, &ticket, timeout, (&cp_hash, &policy_ref, &name))
        .map_err(|code| code.in_parameter(5))?;
    add(state, handle, code, &name, &policy_ref, Limits { cp_hash: &cp_hash, timeout_ms })
}
