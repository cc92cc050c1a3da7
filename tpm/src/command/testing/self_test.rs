// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_SelfTest (Part 3, 10.2).

use super::known_answer;
use crate::pipeline::Context;
use crate::state::Fault;
use crate::wire::{Parameters, Result, Writer};

/// fullTest: the tests are fast enough to be made in full each time.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (_is_full,): (bool,) = parameters.read()?;
    run(context)
}

/// Makes all tests; a failed one is failure mode.
pub(super) fn run(context: &mut Context<'_>) -> Result<()> {
    if known_answer::all_pass() { Ok(()) } else { Err(context.state.fail(Fault::SelfTest)) }
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn takes_yes_or_no() {
        let mut machine = Machine::started();
        assert_eq!(machine.command(0x143, &[2]), Err(ResponseCode::VALUE.in_parameter(1)));
        assert_eq!(machine.command(0x143, &[1]), Ok(std::vec![]));
        assert_eq!(machine.command(0x143, &[0]), Ok(std::vec![]));
    }

    #[test]
    fn needs_a_startup() {
        assert_eq!(Machine::powered().command(0x143, &[1]), Err(ResponseCode::INITIALIZE));
    }
}
