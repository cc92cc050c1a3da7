// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyTemplate (Part 3, 23.21).

use super::cp_hash::bind;
use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::session::PolicyBinding;
use crate::structure::command_code::CommandCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: policySession. Parameters: templateHash.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (digest,): (Digest,) = parameters.read()?;
    bind(context, CommandCode::POLICY_TEMPLATE, digest, PolicyBinding::TemplateHash(digest))
}
