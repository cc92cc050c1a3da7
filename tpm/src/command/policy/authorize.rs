// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyAuthorize (Part 3, 23.16): a key has signed that this policy will do.

use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::pipeline::Context;
use crate::session::SessionKind;
use crate::structure::command_code::CommandCode;
use crate::structure::digest::{Name, Nonce};
use crate::structure::response_code::ResponseCode;
use crate::structure::tag::StructureTag;
use crate::structure::ticket::Ticket;
use crate::wire::{Parameters, Reader, Result, Writer};

/// Handles: policySession. Parameters: approvedPolicy, policyRef, keySign, checkTicket.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (approved, policy_ref, key, ticket): (Digest, Nonce, Name, Ticket) = parameters.read()?;
    if ticket.tag != StructureTag::Verified {
        return Err(ResponseCode::TAG.in_parameter(4));
    }
    let handle = context.handle(1);
    // The key's Name says with which hash it signed.
    let hash: HashAlgorithm =
        Reader::new(&key).value().map_err(|code: ResponseCode| code.in_parameter(3))?;
    if key.len() != hash.digest_size().saturating_add(2) {
        return Err(ResponseCode::SIZE.in_parameter(3));
    }
    let session = context.state.sessions.policy_mut(handle)?;
    if session.kind != SessionKind::Trial {
        if approved != session.policy.digest {
            return Err(ResponseCode::VALUE.in_parameter(1));
        }
        let signed = hash.digest(&[&approved, &policy_ref]);
        if !context.state.is_ticket(&ticket, &[&signed, &key]) {
            return Err(ResponseCode::VALUE.in_parameter(4));
        }
    }
    let session = context.state.sessions.policy_mut(handle)?;
    let hash = session.hash;
    session.policy.digest = Digest::zero(hash);
    session.policy.update(hash, CommandCode::POLICY_AUTHORIZE, &key, &policy_ref);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::policy::test_session::step;
    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, NULL, OWNER, parameters};
    use std::vec::Vec;

    fn body(key: &[u8], tag: u16, hierarchy: u32, ticket: &[u8]) -> Vec<u8> {
        parameters(|writer| {
            writer.sized_bytes(&[0; 32])?;
            writer.sized_bytes(b"")?;
            writer.sized_bytes(key)?;
            writer.value(&tag)?;
            writer.value(&hierarchy)?;
            writer.sized_bytes(ticket)
        })
    }

    /// A from-scratch TPM accepted a ticket of zeros, or none at all.
    #[test]
    fn a_ticket_that_says_nothing_is_none() {
        let mut machine = Machine::started();
        let session = machine.start_session(SessionKind::Policy);
        let key = [&[0, 0x0b][..], &[1; 32]].concat();
        let mut authorize = |body: &[u8]| step(&mut machine, 0x16a, session, body);
        let wrong = Err(ResponseCode::VALUE.in_parameter(4));
        assert_eq!(authorize(&body(&key, 0x8022, NULL, &[])), wrong);
        assert_eq!(authorize(&body(&key, 0x8022, OWNER, &[])), wrong);
        assert_eq!(authorize(&body(&key, 0x8022, OWNER, &[0; 64])), wrong);
        assert_eq!(authorize(&body(&key, 0x8022, NULL, &[0; 32])), wrong);
        let tag = Err(ResponseCode::TAG.in_parameter(4));
        assert_eq!(authorize(&body(&key, 0x8021, OWNER, &[0; 64])), tag);
        let name = Err(ResponseCode::INSUFFICIENT.in_parameter(3));
        assert_eq!(authorize(&body(&[0], 0x8022, OWNER, &[0; 64])), name);
        let name = Err(ResponseCode::SIZE.in_parameter(3));
        assert_eq!(authorize(&body(&[0, 0x0b, 1], 0x8022, OWNER, &[0; 64])), name);
    }
}
