// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_SequenceComplete (Part 3, 17.5).

use super::hash::{TicketHierarchy, hash_check};
use crate::pipeline::Context;
use crate::state::object::SequenceKind;
use crate::structure::digest::MaxBuffer;
use crate::structure::response_code::ResponseCode;
use crate::structure::tag::StructureTag;
use crate::structure::ticket::Ticket;
use crate::wire::{Parameters, Result, Writer};

/// Handles: sequenceHandle. Parameters: buffer, hierarchy. The response: result, validation.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (data, TicketHierarchy(hierarchy)): (MaxBuffer, TicketHierarchy) = parameters.read()?;
    let handle = context.handle(1);
    let sequence = context.state.sequence_mut(handle).map_err(|code| code.in_handle(1))?;
    if let SequenceKind::Event(_) = sequence.kind {
        return Err(ResponseCode::MODE.in_handle(1));
    }
    // A copy, so that a command that fails leaves the sequence as it was.
    let mut sequence = sequence.clone();
    sequence.update(&data)?;
    let is_safe = sequence.is_safe();
    let tag = StructureTag::HashCheck;
    let (digest, ticket) = match sequence.kind {
        SequenceKind::Hash(hasher) => {
            let algorithm = hasher.algorithm();
            let digest = hasher.finish();
            let ticket = hash_check(context.state, hierarchy, algorithm, &digest, is_safe)
                .map_err(|code| code.in_parameter(2))?;
            (digest, ticket)
        }
        SequenceKind::Hmac(hmac) => (hmac.finish(), Ticket::null(tag)),
        SequenceKind::Cmac(cmac) => (cmac.finish()?, Ticket::null(tag)),
        SequenceKind::Event(_) => return Err(ResponseCode::MODE.in_handle(1)),
    };
    response.value(&digest)?;
    response.value(&ticket)?;
    context.state.transients.remove(handle);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::signing::test_key::{SIGN, hmac};
    use crate::crypto::hash::HashAlgorithm;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, parameters};

    const SEQUENCE: u32 = 0x8000_0000;

    fn body(data: &[u8], hierarchy: u32) -> std::vec::Vec<u8> {
        parameters(|writer| {
            writer.sized_bytes(data)?;
            writer.value(&hierarchy)
        })
    }

    #[test]
    fn an_event_sequence_is_completed_otherwise() {
        let mut machine = Machine::started();
        machine.command(0x186, &[0, 0, 0, 0x10]).unwrap();
        let refused = machine.authorised(0x13e, &[SEQUENCE], &body(b"", OWNER));
        assert_eq!(refused, Err(ResponseCode::MODE.in_handle(1)));
        let key = hmac(&mut machine, SIGN);
        let refused = machine.authorised(0x13e, &[key], &body(b"", OWNER));
        assert_eq!(refused, Err(ResponseCode::MODE.in_handle(1)), "an object is no sequence");
    }

    #[test]
    fn the_result_is_that_of_the_whole_message() {
        let mut machine = Machine::started();
        machine.command(0x186, &[0, 0, 0, 0x0b]).unwrap();
        machine.authorised(0x15c, &[SEQUENCE], &[0, 1, b'a']).unwrap();
        machine.authorised(0x15c, &[SEQUENCE], &[0, 1, b'b']).unwrap();
        let refused = machine.authorised(0x13e, &[SEQUENCE], &body(b"c", 5));
        assert_eq!(refused, Err(ResponseCode::VALUE.in_parameter(2)));
        let response = machine.authorised(0x13e, &[SEQUENCE], &body(b"c", OWNER)).unwrap();
        let digest = HashAlgorithm::Sha256.digest(&[b"abc"]);
        assert_eq!(response[2..34], *digest.as_bytes());
        assert_eq!(response[40..42], [0, 64]);
        let gone = machine.authorised(0x13e, &[SEQUENCE], &body(b"c", OWNER));
        assert_eq!(gone, Err(ResponseCode::REFERENCE_H0));
    }

    #[test]
    fn a_split_forgery_has_no_ticket() {
        let mut machine = Machine::started();
        machine.command(0x186, &[0, 0, 0, 0x0b]).unwrap();
        machine.authorised(0x15c, &[SEQUENCE], &[0, 2, 0xff, b'T']).unwrap();
        let response = machine.authorised(0x13e, &[SEQUENCE], &body(b"CG", OWNER)).unwrap();
        assert_eq!(response[34..], [0x80, 0x24, 0x40, 0, 0, 7, 0, 0]);
    }
}
