// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_Policy_AC_SendSelect (Part 3, 32.4): only to this attached component. A policy can be
//! computed for a component that isn't there.

use crate::pipeline::Context;
use crate::session::PolicyBinding;
use crate::structure::command_code::CommandCode;
use crate::structure::digest::Name;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: policySession. Parameters: objectName, authHandleName, acName, includeObject.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (object, auth, component, includes_object): (Name, Name, Name, bool) = parameters.read()?;
    let session = context.state.sessions.policy_mut(context.handle(1))?;
    if session.policy.binding != PolicyBinding::None {
        return Err(ResponseCode::CPHASH);
    }
    let send = CommandCode::AC_SEND;
    if session.policy.command_code.is_some_and(|before| before != send) {
        return Err(ResponseCode::COMMAND_CODE);
    }
    let hash = session.hash;
    let names = hash.digest(&[&object, &auth, &component]);
    let included: &[u8] = if includes_object { &object } else { &[] };
    let parts: [&[u8]; 4] = [included, &auth, &component, &[u8::from(includes_object)]];
    session.policy.extend(hash, CommandCode::POLICY_AC_SEND_SELECT, &parts);
    session.policy.bind(PolicyBinding::NameHash(names))?;
    session.policy.command_code = Some(send);
    session.policy.includes_object = includes_object;
    Ok(())
}
