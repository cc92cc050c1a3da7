// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyNvWritten (Part 3, 23.20).

use crate::pipeline::Context;
use crate::structure::command_code::CommandCode;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: policySession. Parameters: writtenSet. Checked at use.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (is_written,): (bool,) = parameters.read()?;
    let session = context.state.sessions.policy_mut(context.handle(1))?;
    if session.policy.nv_written.is_some_and(|before| before != is_written) {
        return Err(ResponseCode::VALUE.in_parameter(1));
    }
    let hash = session.hash;
    session.policy.extend(hash, CommandCode::POLICY_NV_WRITTEN, &[&[u8::from(is_written)]]);
    session.policy.nv_written = Some(is_written);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::policy::test_session::step;
    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn cannot_be_both() {
        let mut machine = Machine::started();
        let session = machine.start_session(SessionKind::Policy);
        assert_eq!(step(&mut machine, 0x18f, session, &[1]), Ok(()));
        let both = step(&mut machine, 0x18f, session, &[0]);
        assert_eq!(both, Err(ResponseCode::VALUE.in_parameter(1)));
        assert_eq!(step(&mut machine, 0x18f, session, &[1]), Ok(()));
    }
}
