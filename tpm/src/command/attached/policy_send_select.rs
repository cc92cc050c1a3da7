// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_Policy_AC_SendSelect (Part 3, 32.4): only to this attached component. A policy can be
//! computed for a component that isn't there.

use crate::pipeline::Context;
use crate::session::PolicyBinding;
use crate::structure::command_code::CommandCode;
use crate::structure::digest::Name;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: policySession. Parameters: objectName, authHandleName, acName, includeObject.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (object, auth, component, includes_object): (Name, Name, Name, bool) = parameters.read()?;
    let session = context.state.sessions.policy_mut(context.handle(1))?;
    if session.policy.binding != PolicyBinding::None {
        return Err(ResponseCode::CPHASH);
    }
    // Also when that is TPM2_AC_Send: this command says so itself.
    if session.policy.command_code.is_some() {
        return Err(ResponseCode::COMMAND_CODE);
    }
    let hash = session.hash;
    let names = hash.digest(&[&object, &auth, &component]);
    let included: &[u8] = if includes_object { &object } else { &[] };
    let parts: [&[u8]; 4] = [included, &auth, &component, &[u8::from(includes_object)]];
    session.policy.extend(hash, CommandCode::POLICY_AC_SEND_SELECT, &parts);
    session.policy.bind(PolicyBinding::NameHash(names))?;
    session.policy.command_code = Some(CommandCode::AC_SEND);
    session.policy.includes_object = includes_object;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, parameters};

    const SELECT: u32 = 0x196;
    const COMMAND_CODE: u32 = 0x16c;

    fn body(session: u32, includes_object: u8) -> Vec<u8> {
        parameters(|writer| {
            writer.value(&session)?;
            writer.sized(|inner| inner.bytes(&[&[0, 0x0b][..], &[1; 32]].concat()))?;
            writer.sized_bytes(&[0x40, 0, 0, 1])?;
            writer.sized_bytes(&[0x90, 0, 0, 0])?;
            writer.value(&includes_object)
        })
    }

    /// SHA-256 of 32 zeros, the command code, the object's Name if it is included, the other two
    /// Names and the flag, computed elsewhere.
    #[test]
    fn golden_digests() {
        let without = [
            0x85, 0x8c, 0x68, 0x8c, 0xea, 0xf7, 0xf6, 0xf6, 0xec, 0x2f, 0xe2, 0x77, 0x27, 0x5c,
            0x8f, 0x1e, 0x8a, 0x98, 0x74, 0xc7, 0xc9, 0x9e, 0xf2, 0xec, 0xe4, 0x5f, 0xc1, 0x06,
            0xa1, 0x2a, 0x1d, 0xcc,
        ];
        let with = [
            0x36, 0xe4, 0x3a, 0xfa, 0x32, 0x3e, 0xd6, 0xd9, 0xaa, 0x55, 0x5f, 0x25, 0xd3, 0xe8,
            0x09, 0xa2, 0x82, 0xfc, 0x74, 0x2a, 0x7a, 0xad, 0xca, 0x7b, 0x4e, 0x20, 0xf6, 0x76,
            0x9c, 0x84, 0x90, 0xb3,
        ];
        for (includes_object, expected) in [(0, without), (1, with)] {
            let mut machine = Machine::started();
            let session = machine.start_session(SessionKind::Trial).0;
            machine.command(SELECT, &body(session, includes_object)).unwrap();
            let digest = machine.command(0x189, &session.to_be_bytes()).unwrap();
            assert_eq!(digest[2..], expected);
        }
    }

    #[test]
    fn a_policy_selects_once() {
        let mut machine = Machine::started();
        let session = machine.start_session(SessionKind::Policy).0;
        let wrong = machine.command(SELECT, &body(session, 2));
        assert_eq!(wrong, Err(ResponseCode::VALUE.in_parameter(4)));
        machine.command(SELECT, &body(session, 0)).unwrap();
        let again = machine.command(SELECT, &body(session, 0));
        assert_eq!(again, Err(ResponseCode::CPHASH));
        let session = machine.start_session(SessionKind::Policy).0;
        let send = [session, 0x195].map(u32::to_be_bytes).concat();
        machine.command(COMMAND_CODE, &send).unwrap();
        let again = machine.command(SELECT, &body(session, 0));
        assert_eq!(again, Err(ResponseCode::COMMAND_CODE));
    }
}
