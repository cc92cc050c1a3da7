// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_GetTestResult (Part 3, 10.4): in failure mode it tells why.

use crate::pipeline::Context;
use crate::state::Mode;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// The response: outData with the number of the fault, and testResult.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    match context.state.mode {
        Mode::Failure(fault) => {
            response.sized_value(&fault.number())?;
            response.value(&ResponseCode::FAILURE)
        }
        Mode::Initialized | Mode::Operational => {
            response.sized_bytes(&[])?;
            response.value(&0_u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn all_is_well() {
        let result = Machine::started().command(0x17c, &[]);
        assert_eq!(result, Ok(std::vec![0; 6]));
    }

    #[test]
    fn failure_mode_tells_why_and_does_nothing_else() {
        let mut machine = Machine::started();
        machine.platform.storage.is_broken = true;
        machine.extend_pcr(3, &[1; 32]);
        let change = machine.command(0x145, &[0, 0]);
        assert_eq!(change, Err(ResponseCode::FAILURE));
        machine.platform.storage.is_broken = false;
        assert_eq!(machine.command(0x17b, &[0, 4]), Err(ResponseCode::FAILURE));
        assert_eq!(machine.command(0xffff, &[]), Err(ResponseCode::FAILURE));
        let result = machine.command(0x17c, &[]);
        assert_eq!(result, Ok(std::vec![0, 4, 0, 0, 0, 2, 0, 0, 1, 1]));
        assert!(machine.command(0x17a, &[0, 0, 0, 6, 0, 0, 1, 5, 0, 0, 0, 1]).is_ok());
        machine.power_cycle();
        assert_eq!(machine.command(0x144, &[0, 0]), Ok(std::vec![]));
    }
}
