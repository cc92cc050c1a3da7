// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_StirRandom (Part 3, 16.2).

use crate::pipeline::Context;
use crate::structure::buffer::Buffer;
use crate::wire::{Parameters, Result, Writer};

/// Octets of a TPM2B_SENSITIVE_DATA here.
const DATA_SIZE_MAX: usize = 128;

/// inData; it is mixed in and never relied on.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (data,): (Buffer<DATA_SIZE_MAX>,) = parameters.read()?;
    context.state.random()?.stir(&data);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn takes_a_limited_amount() {
        let mut machine = Machine::started();
        let mut long = std::vec![0; 131];
        long[1] = 129;
        assert_eq!(machine.command(0x146, &long), Err(ResponseCode::SIZE.in_parameter(1)));
        assert_eq!(
            machine.command(0x146, &[0, 2, 1]),
            Err(ResponseCode::INSUFFICIENT.in_parameter(1))
        );
        let mut other = Machine::started();
        machine.command(0x146, &[0, 2, 1, 2]).unwrap();
        let stirred = machine.command(0x17b, &[0, 32]).unwrap();
        assert_ne!(stirred, other.command(0x17b, &[0, 32]).unwrap());
    }
}
