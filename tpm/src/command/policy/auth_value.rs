// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyAuthValue (Part 3, 23.17).

use crate::pipeline::Context;
use crate::session::PolicyAuth;
use crate::structure::command_code::CommandCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: policySession. The HMAC at use includes the authorisation value.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    demand(context, PolicyAuth::AuthValue)
}

/// TPM2_PolicyAuthValue and TPM2_PolicyPassword are the same in the digest: the caller chooses
/// how to prove that the value is known.
pub(super) fn demand(context: &mut Context<'_>, auth: PolicyAuth) -> Result<()> {
    let session = context.state.sessions.policy_mut(context.handle(1))?;
    let hash = session.hash;
    session.policy.extend(hash, CommandCode::POLICY_AUTH_VALUE, &[]);
    session.policy.auth = auth;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::policy::test_session::{policy_digest, step};
    use crate::session::SessionKind;
    use crate::testing::Machine;

    #[test]
    fn password_and_value_are_the_same_policy() {
        let mut machine = Machine::started();
        let first = machine.start_session(SessionKind::Trial);
        let second = machine.start_session(SessionKind::Trial);
        step(&mut machine, 0x16b, first, &[]).unwrap();
        step(&mut machine, 0x18c, second, &[]).unwrap();
        let digest = policy_digest(&mut machine, first);
        assert_eq!(digest, policy_digest(&mut machine, second));
        assert_eq!(digest[..4], [0x8f, 0xcd, 0x21, 0x69]);
    }
}
