// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyPassword (Part 3, 23.18).

use super::auth_value::demand;
use crate::pipeline::Context;
use crate::session::PolicyAuth;
use crate::wire::{Parameters, Result, Writer};

/// Handles: policySession. The authorisation value itself is given at use.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    demand(context, PolicyAuth::Password)
}
