// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyPhysicalPresence (Part 3, 23.12).

use crate::pipeline::Context;
use crate::structure::command_code::CommandCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: policySession. Checked at use.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    let session = context.state.sessions.policy_mut(context.handle(1))?;
    let hash = session.hash;
    session.policy.extend(hash, CommandCode::POLICY_PHYSICAL_PRESENCE, &[]);
    session.policy.needs_physical_presence = true;
    Ok(())
}
