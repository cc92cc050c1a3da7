// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_SelfTest (Part 3, 10.2).

use super::known_answer;
use super::known_key_answer::{self, Extent};
use crate::pipeline::Context;
use crate::state::Fault;
use crate::wire::{Parameters, Result, Writer};

/// fullTest: whether every curve is tested, or one. Everything else is tested each time.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (is_full,): (bool,) = parameters.read()?;
    run(context, if is_full { Extent::Full } else { Extent::Brief })
}

/// Makes the tests; a failed one is failure mode, and so is a source of keys that isn't sound.
pub(super) fn run(context: &mut Context<'_>, extent: Extent) -> Result<()> {
    let power = context.platform.power();
    let is_sound = context.platform.keys().is_sound();
    let random = context.state.random()?;
    let pass = known_answer::all_pass() && known_key_answer::pass(extent, power, random);
    if pass && is_sound { Ok(()) } else { Err(context.state.fail(Fault::SelfTest)) }
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
