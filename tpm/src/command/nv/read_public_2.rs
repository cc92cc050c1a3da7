// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_NV_ReadPublic2 (Part 3, 31.18).

use crate::pipeline::Context;
use crate::structure::nv::NvPublic2;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: nvIndex. The response: nvPublic with the type of the handle in front, nvName.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    let index = context.state.nv.get(context.handle(1)).ok_or(ResponseCode::HANDLE.in_handle(1))?;
    response.value(&NvPublic2(index.public))?;
    response.value(&index.public.name()?)
}
