// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_CertifyCreation (Part 3, 18.3).

use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::protect::attestation::Signer;
use crate::structure::attest::Attested;
use crate::structure::digest::Data;
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::SignatureScheme;
use crate::structure::tag::StructureTag;
use crate::structure::ticket::Ticket;
use crate::wire::{Parameters, Result, Writer};

/// Handles: signHandle, objectHandle. Parameters: qualifyingData, creationHash, inScheme,
/// creationTicket. The response: certifyInfo, signature.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (qualifying, creation_hash, wanted, ticket): (
        Data,
        Digest,
        Option<SignatureScheme>,
        Ticket,
    ) = parameters.read()?;
    let ticket = ticket.expect(&[StructureTag::Creation]).map_err(|code| code.in_parameter(4))?;
    let signer = Signer::select(context, 1, wanted, 3)?;
    let name = context.state.object(context.handle(2))?.name.clone();
    if !context.state.is_ticket(&ticket, &[&name, &creation_hash]) {
        return Err(ResponseCode::TICKET.in_parameter(4));
    }
    signer.attest(context, qualifying, Attested::Creation(name, creation_hash), response)
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests::{body as create_body, storage_key};
    use crate::command::signing::test_key::{SIGN, ecc, verify_body};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, parameters};
    use std::vec::Vec;

    fn body(hash: &[u8], ticket: &[u8]) -> Vec<u8> {
        parameters(|writer| {
            writer.sized_bytes(b"q")?;
            writer.bytes(hash)?;
            writer.value(&0x10_u16)?;
            writer.bytes(ticket)
        })
    }

    /// A defect of another TPM: the order of Name and creation hash in the ticket.
    #[test]
    fn the_ticket_is_of_this_object_and_this_creation() {
        let mut machine = Machine::started();
        let made = create_body(b"", b"", &storage_key());
        let made = machine.authorised(0x131, &[OWNER], &made).unwrap();
        let object = u32::from_be_bytes(*made.first_chunk().unwrap());
        let key = ecc(&mut machine, SIGN, &[0x18, 0x0b]);
        // outPublic, creationData, creationHash, creationTicket, name.
        let mut places = Vec::new();
        let mut rest = &made[4..];
        for _ in 0..2 {
            let size = usize::from(u16::from_be_bytes(*rest.first_chunk().unwrap()));
            rest = &rest[2 + size..];
        }
        places.push(&rest[..34]);
        places.push(&rest[34..34 + 8 + 64]);
        let (hash, ticket) = (places[0], places[1]);
        let mut certify = |object: u32, hash: &[u8], ticket: &[u8]| {
            machine.authorised(0x14a, &[key, object], &body(hash, ticket))
        };
        let wrong = Err(ResponseCode::TICKET.in_parameter(4));
        assert_eq!(certify(key, hash, ticket), wrong, "another object");
        assert_eq!(certify(object, &[&[0, 32][..], &[1; 32]].concat(), ticket), wrong);
        assert_eq!(certify(object, hash, &[0x80, 0x21, 0x40, 0, 0, 7, 0, 0]), wrong);
        let mut tag = ticket.to_vec();
        tag[1] = 0x22;
        assert_eq!(certify(object, hash, &tag), Err(ResponseCode::TAG.in_parameter(4)));
        let response = certify(object, hash, ticket).unwrap();
        let size = usize::from(u16::from_be_bytes(*response.first_chunk().unwrap()));
        let (certified, signature) = response[2..].split_at(size);
        assert_eq!(certified[4..6], [0x80, 0x1a]);
        assert_eq!(certified[size - 34..], *hash);
        assert!(machine.command(0x177, &verify_body(key, certified, signature)).is_ok());
    }
}
