// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_NV_SetBits (Part 3, 31.10).

use crate::pipeline::Context;
use crate::structure::nv::{NvAttributes, NvType};
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle, nvIndex. Parameters: bits.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (bits,): (u64,) = parameters.read()?;
    let (auth, index) = (context.handle(1), context.handle(2));
    context.state.check_nv_write(auth, index)?;
    let attributes = context.state.nv_attributes(index)?;
    if attributes.nv_type() != Some(NvType::Bits) {
        return Err(ResponseCode::ATTRIBUTES.in_handle(2));
    }
    let is_written = attributes.contains(NvAttributes::WRITTEN);
    let before = if is_written { context.state.nv.number(index) } else { 0 };
    context.state.write_nv(index, 0, &(before | bits).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use crate::command::nv::test_index::{INDEX, OPEN, define, read};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER};

    #[test]
    fn bits_are_set_and_stay() {
        let mut machine = Machine::started();
        define(&mut machine, OPEN, 8).unwrap();
        let refused = machine.authorised(0x135, &[INDEX, INDEX], &[0; 8]);
        assert_eq!(refused, Err(ResponseCode::ATTRIBUTES.in_handle(2)));
        machine.authorised(0x122, &[OWNER, INDEX], &[]).unwrap();
        define(&mut machine, OPEN | 0x20, 8).unwrap();
        machine.authorised(0x135, &[INDEX, INDEX], &[0, 0, 0, 0, 0, 0, 0, 5]).unwrap();
        machine.authorised(0x135, &[INDEX, INDEX], &[1, 0, 0, 0, 0, 0, 0, 2]).unwrap();
        assert_eq!(read(&mut machine, 8, 0).unwrap(), [1, 0, 0, 0, 0, 0, 0, 7]);
    }
}
