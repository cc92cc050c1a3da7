// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyCommandCode (Part 3, 23.11).

use crate::command::find;
use crate::pipeline::Context;
use crate::structure::command_code::CommandCode;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: policySession. Parameters: code.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (code,): (CommandCode,) = parameters.read()?;
    let session = context.state.sessions.policy_mut(context.handle(1))?;
    if session.policy.command_code.is_some_and(|before| before != code) {
        return Err(ResponseCode::VALUE.in_parameter(1));
    }
    if !find(code).is_some_and(crate::command::Command::is_implemented) {
        return Err(ResponseCode::POLICY_CC.in_parameter(1));
    }
    let hash = session.hash;
    session.policy.extend(hash, CommandCode::POLICY_COMMAND_CODE, &[&code.0.to_be_bytes()]);
    session.policy.command_code = Some(code);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::policy::test_session::step;
    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn only_one_command_and_one_that_exists() {
        let mut machine = Machine::started();
        let session = machine.start_session(SessionKind::Policy);
        let missing = step(&mut machine, 0x16c, session, &0x179_u32.to_be_bytes());
        assert_eq!(missing, Err(ResponseCode::POLICY_CC.in_parameter(1)));
        assert_eq!(step(&mut machine, 0x16c, session, &0x15e_u32.to_be_bytes()), Ok(()));
        assert_eq!(step(&mut machine, 0x16c, session, &0x15e_u32.to_be_bytes()), Ok(()));
        let other = step(&mut machine, 0x16c, session, &0x14b_u32.to_be_bytes());
        assert_eq!(other, Err(ResponseCode::VALUE.in_parameter(1)));
    }
}
