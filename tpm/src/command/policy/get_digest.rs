// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyGetDigest (Part 3, 23.19).

use crate::pipeline::Context;
use crate::wire::{Parameters, Result, Writer};

/// Handles: policySession. The response: policyDigest.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    response.value(&context.state.sessions.policy_mut(context.handle(1))?.policy.digest)
}
