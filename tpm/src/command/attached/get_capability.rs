// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_AC_GetCapability (Part 3, 32.2).

use crate::pipeline::Context;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: ac. Parameters: capability (a TPM_AT) and count. TPM_RC_HANDLE, since there is no
/// component to ask.
pub fn execute(
    _context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (_capability, _count): (u32, u32) = parameters.read()?;
    Err(ResponseCode::HANDLE.in_handle(1))
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER};

    #[test]
    fn no_component_is_there() {
        let mut machine = Machine::started();
        let mut ask = |handle: u32, body: &[u8]| {
            machine.command(0x194, &[&handle.to_be_bytes(), body].concat())
        };
        assert_eq!(ask(OWNER, &[0; 8]), Err(ResponseCode::VALUE.in_handle(1)));
        assert_eq!(ask(0x9000_0000, &[0; 7]), Err(ResponseCode::INSUFFICIENT.in_parameter(2)));
        assert_eq!(ask(0x9000_0000, &[0; 9]), Err(ResponseCode::SIZE));
        assert_eq!(ask(0x9000_0000, &[0; 8]), Err(ResponseCode::HANDLE.in_handle(1)));
    }

    /// TPM2_GetCapability lists no handle of a component.
    #[test]
    fn none_is_listed() {
        let listed =
            Machine::started().command(0x17a, &[0, 0, 0, 1, 0x90, 0, 0, 0, 0, 0, 0, 8]).unwrap();
        assert_eq!(listed, [0, 0, 0, 0, 1, 0, 0, 0, 0]);
    }
}
