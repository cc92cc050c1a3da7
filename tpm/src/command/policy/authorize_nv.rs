// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyAuthorizeNV (Part 3, 23.22): the policy is the one in an NV index.

use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::session::SessionKind;
use crate::structure::command_code::CommandCode;
use crate::structure::digest::TaggedDigest;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Reader, Result, Writer};

/// Handles: authHandle, nvIndex, policySession.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    let (auth, index, handle) = (context.handle(1), context.handle(2), context.handle(3));
    let state = &mut *context.state;
    if state.sessions.policy_mut(handle)?.kind != SessionKind::Trial {
        state.check_nv_read(auth, index)?;
        let approved: TaggedDigest = Reader::new(state.nv.data(index)).value()?;
        let session = state.sessions.policy_mut(handle)?;
        if approved.algorithm != session.hash {
            return Err(ResponseCode::HASH);
        }
        if approved.digest != session.policy.digest {
            return Err(ResponseCode::VALUE);
        }
    }
    let name = state.name(index)?;
    let session = state.sessions.policy_mut(handle)?;
    let hash = session.hash;
    session.policy.digest = Digest::zero(hash);
    session.policy.extend(hash, CommandCode::POLICY_AUTHORIZE_NV, &[&name]);
    Ok(())
}
