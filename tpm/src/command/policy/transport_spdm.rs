// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyTransportSPDM (Part 3, 23.25): only through a secure channel. Whether the command
//! that the policy authorises came through one is checked when the policy is used; this TPM has no
//! such channel, so until then the policy can be computed, and then it is TPM_RC_CHANNEL.

use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::pipeline::Context;
use crate::structure::command_code::CommandCode;
use crate::structure::digest::Name;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: policySession. Parameters: reqKeyName, tpmKeyName, which may be empty. A second time
/// is TPM_RC_VALUE.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (requester, responder): (Name, Name) = parameters.read()?;
    let session = context.state.sessions.policy_mut(context.handle(1))?;
    if session.policy.needs_secure_channel {
        return Err(ResponseCode::VALUE);
    }
    check_name(&requester).map_err(|code| code.in_parameter(1))?;
    check_name(&responder).map_err(|code| code.in_parameter(2))?;
    let hash = session.hash;
    let keys = if requester.is_empty() && responder.is_empty() {
        Digest::EMPTY
    } else {
        let size = |name: &Name| u16::try_from(name.len()).unwrap_or_default().to_be_bytes();
        hash.digest(&[&size(&requester), &requester, &size(&responder), &responder])
    };
    session.policy.extend(hash, CommandCode::POLICY_TRANSPORT_SPDM, &[&keys]);
    session.policy.needs_secure_channel = true;
    Ok(())
}

/// A key's Name, or nothing: TPM_RC_HASH for an unknown algorithm, TPM_RC_SIZE for a digest of
/// another length.
fn check_name(name: &Name) -> Result<()> {
    let (algorithm, digest) = match name.as_slice() {
        [] => return Ok(()),
        [high, low, digest @ ..] => (u16::from_be_bytes([*high, *low]), digest),
        _ => return Err(ResponseCode::SIZE),
    };
    let algorithm = HashAlgorithm::from_id(algorithm).ok_or(ResponseCode::HASH)?;
    if digest.len() == algorithm.digest_size() { Ok(()) } else { Err(ResponseCode::SIZE) }
}

#[cfg(test)]
mod tests {
    use crate::command::policy::test_session::{policy_digest, step};
    use crate::crypto::hash::HashAlgorithm;
    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, frame, parameters, split};
    use std::vec::Vec;

    const CODE: [u8; 4] = 0x1a1_u32.to_be_bytes();

    fn body(requester: &[u8], responder: &[u8]) -> Vec<u8> {
        parameters(|writer| {
            writer.sized_bytes(requester)?;
            writer.sized_bytes(responder)
        })
    }

    #[test]
    fn a_name_has_an_algorithm_and_its_digest() {
        let mut machine = Machine::started();
        let session = machine.start_session(SessionKind::Trial);
        let mut step = |body: &[u8]| step(&mut machine, 0x1a1, session, body);
        let name = [&[0, 0x0b][..], &[1; 32]].concat();
        assert_eq!(step(&body(&[0], b"")), Err(ResponseCode::SIZE.in_parameter(1)));
        assert_eq!(step(&body(&name[..33], b"")), Err(ResponseCode::SIZE.in_parameter(1)));
        assert_eq!(step(&body(&name, &[0, 0x10])), Err(ResponseCode::HASH.in_parameter(2)));
        assert_eq!(step(&body(&name, &[0, 0x0c])), Err(ResponseCode::SIZE.in_parameter(2)));
        assert_eq!(step(&body(&name, b"")), Ok(()));
        assert_eq!(step(&body(&name, b"")), Err(ResponseCode::VALUE), "only once");
    }

    #[test]
    fn the_digest_has_the_names_if_there_are_any() {
        let mut machine = Machine::started();
        let name = [&[0, 0x0b][..], &[1; 32]].concat();
        let session = machine.start_session(SessionKind::Trial);
        step(&mut machine, 0x1a1, session, &body(b"", &name)).unwrap();
        let keys = HashAlgorithm::Sha256.digest(&[&[0, 0, 0, 34], &name]);
        let expected = HashAlgorithm::Sha256.digest(&[&[0; 32], &CODE, &keys]);
        assert_eq!(policy_digest(&mut machine, session), expected.as_bytes());
        let session = machine.start_session(SessionKind::Trial);
        step(&mut machine, 0x1a1, session, &body(b"", b"")).unwrap();
        let expected = HashAlgorithm::Sha256.digest(&[&[0; 32], &CODE]);
        assert_eq!(policy_digest(&mut machine, session), expected.as_bytes());
    }

    /// The owner's policy demands a channel, also of a session that was saved meanwhile.
    #[test]
    fn no_command_comes_through_a_channel() {
        let mut machine = Machine::started();
        let policy = HashAlgorithm::Sha256.digest(&[&[0; 32], &CODE]);
        let set = parameters(|writer| {
            writer.value(&policy)?;
            writer.value(&0x0b_u16)
        });
        machine.authorised(0x12e, &[OWNER], &set).unwrap();
        let session = machine.start_session(SessionKind::Policy);
        step(&mut machine, 0x1a1, session, &body(b"", b"")).unwrap();
        let saved = machine.command(0x162, &session.0.to_be_bytes()).unwrap();
        machine.command(0x161, &saved).unwrap();
        let clock = parameters(|writer| {
            writer.value(&OWNER)?;
            writer.value(&9_u32)?;
            writer.value(&session)?;
            writer.bytes(&[0, 0, 1, 0, 0])?;
            writer.value(&u64::MAX)
        });
        let response = machine.raw(&frame(0x8002, 0x128, &clock));
        assert_eq!(split(&response), Err(ResponseCode::CHANNEL.in_session(1)));
    }
}
