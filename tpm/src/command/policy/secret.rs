// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicySecret (Part 3, 23.4): whoever knows the authorisation value of an entity approves.

use super::timed::{Approval, Places};
use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::session::SessionKind;
use crate::structure::command_code::CommandCode;
use crate::structure::digest::Nonce;
use crate::structure::nv::NvType;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

const PLACES: Places = Places { nonce: 1, cp_hash: 2, expiration: 4 };

/// Handles: authHandle, policySession. Parameters: nonceTPM, cpHashA, policyRef, expiration. The
/// response: timeout, policyTicket.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (nonce_tpm, cp_hash, policy_ref, expiration_s): (Nonce, Digest, Nonce, i32) =
        parameters.read()?;
    let (entity, handle) = (context.handle(1), context.handle(2));
    let index_type =
        context.state.nv.get(entity).and_then(|index| index.public.attributes.nv_type());
    let is_counted = index_type == Some(NvType::PinPass);
    let approval = Approval { nonce_tpm, cp_hash, policy_ref, expiration_s, is_counted };
    let session = context.state.sessions.get(handle).ok_or(ResponseCode::HANDLE)?;
    if session.kind != SessionKind::Trial {
        let timeout_ms = approval.timeout_ms(session, context.state.clock.time_ms());
        approval.check(context.state, session, timeout_ms, PLACES)?;
    }
    let name = context.state.name(entity)?;
    let hierarchy = context.state.hierarchy_of(entity);
    let code = CommandCode::POLICY_SECRET;
    approval.grant(context, handle, code, (&name, hierarchy), response)
}

#[cfg(test)]
mod tests {
    use crate::command::policy::test_session::policy_digest;
    use crate::crypto::hash::HashAlgorithm;
    use crate::session::SessionKind;
    use crate::structure::handle::Handle;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{ENDORSEMENT, Machine, OWNER, parameters};
    use std::vec::Vec;

    fn body(nonce: &[u8], cp_hash: &[u8], expiration: i32) -> Vec<u8> {
        parameters(|writer| {
            writer.sized_bytes(nonce)?;
            writer.sized_bytes(cp_hash)?;
            writer.sized_bytes(b"")?;
            writer.value(&expiration)
        })
    }

    #[test]
    fn limits_are_checked() {
        let mut machine = Machine::started();
        let session = machine.start_session(SessionKind::Policy).0;
        machine.platform.uptime_ms += 5_000;
        let mut secret = |body: &[u8]| machine.authorised(0x151, &[OWNER, session], body);
        let nonce = secret(&body(&[1; 32], b"", 0));
        assert_eq!(nonce, Err(ResponseCode::NONCE.in_parameter(1)));
        let size = secret(&body(b"", &[1; 31], 0));
        assert_eq!(size, Err(ResponseCode::SIZE.in_parameter(2)));
        let expired = secret(&body(b"", b"", 1));
        assert_eq!(expired, Err(ResponseCode::EXPIRED.in_parameter(4)));
        secret(&body(b"", &[1; 32], 0)).unwrap();
        let other = secret(&body(b"", &[2; 32], 0));
        assert_eq!(other, Err(ResponseCode::CPHASH));
        machine.authorised(0x129, &[OWNER], &[0, 1, 7]).unwrap();
        let wrong = machine.authorised(0x151, &[OWNER, session], &body(b"", b"", 0));
        assert_eq!(wrong, Err(ResponseCode::BAD_AUTH.in_session(1)));
    }

    /// The digest of PolicyA of the EK credential profile.
    #[test]
    fn the_policy_of_endorsement_keys() {
        let mut machine = Machine::started();
        let session = machine.start_session(SessionKind::Trial);
        machine.authorised(0x151, &[ENDORSEMENT, session.0], &body(b"", b"", 0)).unwrap();
        let policy_a = [
            0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5,
            0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b,
            0x33, 0x14, 0x69, 0xaa,
        ];
        assert_eq!(policy_digest(&mut machine, session), policy_a);
    }

    #[test]
    fn the_ticket_of_a_pcr_is_the_owners() {
        let mut machine = Machine::started();
        let session = machine.start_session(SessionKind::Policy);
        let response = machine.authorised(0x151, &[20, session.0], &body(b"", b"", -10)).unwrap();
        assert_eq!(response[12..16], OWNER.to_be_bytes());
    }

    #[test]
    fn a_ticket_stands_for_the_approval_while_it_lasts() {
        let mut machine = Machine::started();
        let session = machine.start_session(SessionKind::Policy);
        let response =
            machine.authorised(0x151, &[OWNER, session.0], &body(b"", b"", -10)).unwrap();
        assert_eq!(response[..2], [0, 8]);
        let digest = policy_digest(&mut machine, session);
        let (timeout, ticket) = response.split_at(10);
        let other = machine.start_session(SessionKind::Policy);
        let redeem = |session: Handle, timeout: &[u8], ticket: &[u8]| {
            parameters(|writer| {
                writer.value(&session)?;
                writer.bytes(timeout)?;
                writer.sized_bytes(b"")?;
                writer.sized_bytes(b"")?;
                writer.sized_bytes(&OWNER.to_be_bytes())?;
                writer.bytes(ticket)
            })
        };
        let mut forged = ticket.to_vec();
        *forged.last_mut().unwrap() ^= 1;
        let refused = machine.command(0x172, &redeem(other, timeout, &forged));
        assert_eq!(refused, Err(ResponseCode::TICKET.in_parameter(5)));
        let null = [&ticket[..2], &[0x40, 0, 0, 7, 0, 0]].concat();
        let refused = machine.command(0x172, &redeem(other, timeout, &null));
        assert_eq!(refused, Err(ResponseCode::TICKET.in_parameter(5)));
        machine.command(0x172, &redeem(other, timeout, ticket)).unwrap();
        assert_eq!(policy_digest(&mut machine, other), digest);
        machine.platform.uptime_ms += 11_000;
        let expired = machine.command(0x172, &redeem(other, timeout, ticket));
        assert_eq!(expired, Err(ResponseCode::EXPIRED.in_parameter(1)));
        let wrong = [0, 7, 0, 0, 0, 0, 0, 0, 0];
        let refused = machine.command(0x172, &redeem(other, &wrong, ticket));
        assert_eq!(refused, Err(ResponseCode::SIZE.in_parameter(1)));
        let digest_of_owner = HashAlgorithm::Sha256.digest(&[
            &[0; 32],
            &0x151_u32.to_be_bytes(),
            &OWNER.to_be_bytes(),
        ]);
        let expected = HashAlgorithm::Sha256.digest(&[&digest_of_owner]);
        assert_eq!(digest, expected.as_bytes());
    }
}
