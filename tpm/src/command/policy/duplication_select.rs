// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyDuplicationSelect (Part 3, 23.15): only to this new parent.

use crate::pipeline::Context;
use crate::session::PolicyBinding;
use crate::structure::command_code::CommandCode;
use crate::structure::digest::Name;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: policySession. Parameters: objectName, newParentName, includeObject.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (object, new_parent, includes_object): (Name, Name, bool) = parameters.read()?;
    let session = context.state.sessions.policy_mut(context.handle(1))?;
    if session.policy.binding != PolicyBinding::None {
        return Err(ResponseCode::CPHASH);
    }
    // Also when that is TPM2_Duplicate: this command says so itself.
    if session.policy.command_code.is_some() {
        return Err(ResponseCode::COMMAND_CODE);
    }
    let hash = session.hash;
    let names = hash.digest(&[&object, &new_parent]);
    let included: &[u8] = if includes_object { &object } else { &[] };
    let parts: [&[u8]; 3] = [included, &new_parent, &[u8::from(includes_object)]];
    session.policy.extend(hash, CommandCode::POLICY_DUPLICATION_SELECT, &parts);
    session.policy.bind(PolicyBinding::NameHash(names))?;
    session.policy.command_code = Some(CommandCode::DUPLICATE);
    session.policy.includes_object = includes_object;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::policy::test_session::{policy_digest, step};
    use crate::crypto::hash::HashAlgorithm;
    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn goes_with_no_other_tie_or_command() {
        let mut machine = Machine::started();
        let session = machine.start_session(SessionKind::Policy);
        let select = [0, 1, b'o', 0, 1, b'p', 1];
        for code in [0x15e_u32, 0x14b] {
            step(&mut machine, 0x16c, session, &code.to_be_bytes()).unwrap();
            let refused = step(&mut machine, 0x188, session, &select);
            assert_eq!(refused, Err(ResponseCode::COMMAND_CODE));
            step(&mut machine, 0x180, session, &[]).unwrap();
        }
        step(&mut machine, 0x188, session, &select).unwrap();
        let code = 0x188_u32.to_be_bytes();
        let expected = HashAlgorithm::Sha256.digest(&[&[0; 32], &code, b"op", &[1]]);
        assert_eq!(policy_digest(&mut machine, session), expected.as_bytes());
        assert_eq!(step(&mut machine, 0x188, session, &select), Err(ResponseCode::CPHASH));
    }
}
