// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_NV_ReadPublic (Part 3, 31.6).

use crate::pipeline::Context;
use crate::structure::nv::SizedNvPublic;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: nvIndex. The response: nvPublic, nvName.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    let index = context.state.nv.get(context.handle(1)).ok_or(ResponseCode::HANDLE)?;
    response.value(&SizedNvPublic(index.public))?;
    response.value(&index.public.name()?)
}
