// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ChangePPS (Part 3, 24.4): another platform primary seed.

use super::control::flush;
use crate::pipeline::Context;
use crate::state::hierarchy::EntityPolicy;
use crate::structure::handle::Handle;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    let state = &mut *context.state;
    state.renew_seed(Handle::PLATFORM)?;
    state.renew_proof(Handle::PLATFORM)?;
    state.clear.change().platform_policy = EntityPolicy::default();
    flush(state, Handle::PLATFORM);
    state.persistents.remove_if(|entry| entry.object.hierarchy == Handle::PLATFORM);
    Ok(())
}
