// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyOR (Part 3, 23.6): one of several policies.

use crate::crypto::hash::{Digest, Hasher};
use crate::pipeline::Context;
use crate::session::SessionKind;
use crate::structure::command_code::CommandCode;
use crate::structure::digest::DigestList;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Fewest policies to choose from.
const POLICIES_MIN: usize = 2;

/// Handles: policySession. Parameters: pHashList.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (policies,): (DigestList,) = parameters.read()?;
    if policies.len() < POLICIES_MIN {
        return Err(ResponseCode::SIZE.in_parameter(1));
    }
    let session = context.state.sessions.policy_mut(context.handle(1))?;
    let is_there = policies.contains(&session.policy.digest);
    if session.kind != SessionKind::Trial && !is_there {
        return Err(ResponseCode::VALUE.in_parameter(1));
    }
    let mut hasher = Hasher::new(session.hash);
    hasher.update(&Digest::zero(session.hash));
    hasher.update(&CommandCode::POLICY_OR.0.to_be_bytes());
    policies.iter().for_each(|policy| hasher.update(policy));
    session.policy.digest = hasher.finish();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::policy::test_session::policy_digest;
    use crate::crypto::hash::HashAlgorithm;
    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, parameters};

    #[test]
    fn the_policy_so_far_must_be_among_them() {
        let mut machine = Machine::started();
        let session = machine.start_session(SessionKind::Policy);
        let body = |policies: &[&[u8]]| {
            parameters(|writer| {
                writer.value(&session)?;
                writer.value(&u32::try_from(policies.len()).unwrap())?;
                policies.iter().try_for_each(|policy| writer.sized_bytes(policy))
            })
        };
        let few = machine.command(0x171, &body(&[&[0; 32]]));
        assert_eq!(few, Err(ResponseCode::SIZE.in_parameter(1)));
        let absent = machine.command(0x171, &body(&[&[1; 32], &[2; 32]]));
        assert_eq!(absent, Err(ResponseCode::VALUE.in_parameter(1)));
        machine.command(0x171, &body(&[&[0; 32], &[2; 32]])).unwrap();
        let code = 0x171_u32.to_be_bytes();
        let expected = HashAlgorithm::Sha256.digest(&[&[0; 32], &code, &[0; 32], &[2; 32]]);
        assert_eq!(policy_digest(&mut machine, session), expected.as_bytes());
    }
}
