// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_SequenceUpdate (Part 3, 17.4).

use crate::pipeline::Context;
use crate::structure::digest::MaxBuffer;
use crate::wire::{Parameters, Result, Writer};

/// Handles: sequenceHandle. Parameters: buffer.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let data = parameters.read_octets(MaxBuffer::CAPACITY)?;
    let handle = context.handle(1);
    let sequence = context.state.sequence_mut(handle).map_err(|code| code.in_handle(1))?;
    sequence.update(data)
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn needs_a_sequence_and_its_authorisation() {
        let mut machine = Machine::started();
        let missing = machine.authorised(0x15c, &[0x8000_0000], &[0, 0]);
        assert_eq!(missing, Err(ResponseCode::REFERENCE_H0));
        machine.command(0x186, &[0, 1, 9, 0, 0x0b]).unwrap();
        let wrong = machine.authorised(0x15c, &[0x8000_0000], &[0, 0]);
        assert_eq!(wrong, Err(ResponseCode::BAD_AUTH.in_session(1)));
        let long = machine.with_password(0x15c, &[0x8000_0000], &[9], &[4, 1]);
        assert_eq!(long, Err(ResponseCode::SIZE.in_parameter(1)));
        let right = machine.with_password(0x15c, &[0x8000_0000], &[9], &[0, 1, 7]);
        assert_eq!(right, Ok(std::vec![]));
    }
}
