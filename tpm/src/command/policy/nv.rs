// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyNV (Part 3, 23.9): the contents of an NV index compare to something.

use super::comparison::Comparison;
use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::session::SessionKind;
use crate::structure::command_code::CommandCode;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle, nvIndex, policySession. Parameters: operandB, offset, operation.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (operand, offset, operation): (Digest, u16, Comparison) = parameters.read()?;
    let (auth, index, handle) = (context.handle(1), context.handle(2), context.handle(3));
    let state = &mut *context.state;
    if state.sessions.policy_mut(handle)?.kind != SessionKind::Trial {
        state.check_nv_read(auth, index)?;
        let data = state.nv.data(index);
        let start = usize::from(offset);
        let rest = data.get(start..).ok_or(ResponseCode::VALUE.in_parameter(2))?;
        let compared = rest.get(..operand.len()).ok_or(ResponseCode::SIZE.in_parameter(1))?;
        if !operation.holds(compared, &operand) {
            return Err(ResponseCode::POLICY);
        }
    }
    let name = state.name(index)?;
    let session = state.sessions.policy_mut(handle)?;
    let hash = session.hash;
    let arguments = operation.arguments(hash, &operand, offset);
    session.policy.extend(hash, CommandCode::POLICY_NV, &[&arguments, &name]);
    Ok(())
}
