// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyCpHash (Part 3, 23.13), and how a policy is tied to a use by any digest.

use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::session::PolicyBinding;
use crate::structure::command_code::CommandCode;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: policySession. Parameters: cpHashA.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (digest,): (Digest,) = parameters.read()?;
    bind(context, CommandCode::POLICY_CP_HASH, digest, PolicyBinding::CpHash(digest))
}

/// Ties the policy to a digest of the session's hash. TPM_RC_SIZE for a digest of another length,
/// TPM_RC_CPHASH if the policy is tied to something else.
pub(super) fn bind(
    context: &mut Context<'_>,
    code: CommandCode,
    digest: Digest,
    binding: PolicyBinding,
) -> Result<()> {
    let session = context.state.sessions.policy_mut(context.handle(1))?;
    let hash = session.hash;
    if digest.len() != hash.digest_size() {
        return Err(ResponseCode::SIZE.in_parameter(1));
    }
    session.policy.bind(binding)?;
    session.policy.extend(hash, code, &[&digest]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::policy::test_session::step;
    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn only_one_tie_at_a_time() {
        let sized = |octet: u8| [&[0, 32][..], &[octet; 32]].concat();
        let ties = [0x16e, 0x170, 0x190, 0x19c];
        for first in ties {
            for second in ties {
                let mut machine = Machine::started();
                let session = machine.start_session(SessionKind::Policy);
                let short = step(&mut machine, first, session, &[0, 1, 1]);
                assert_eq!(short, Err(ResponseCode::SIZE.in_parameter(1)));
                step(&mut machine, first, session, &sized(1)).unwrap();
                let other = step(&mut machine, second, session, &sized(2));
                assert_eq!(other, Err(ResponseCode::CPHASH));
                let same = step(&mut machine, second, session, &sized(1));
                assert_eq!(same.is_ok(), first == second);
            }
        }
    }
}
