// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_Hash (Part 3, 15.4), and the ticket that says that the TPM made a digest.

use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::pipeline::Context;
use crate::state::State;
use crate::structure::attest::GENERATED_VALUE;
use crate::structure::digest::MaxBuffer;
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::structure::tag::StructureTag;
use crate::structure::ticket::Ticket;
use crate::wire::{Parameters, Reader, Result, Unmarshal, Writer};

/// TPMI_RH_HIERARCHY+ as a parameter: any other handle is TPM_RC_VALUE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::command) struct TicketHierarchy(pub(in crate::command) Handle);

impl Unmarshal for TicketHierarchy {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        match reader.value()? {
            handle @ (Handle::OWNER | Handle::ENDORSEMENT | Handle::PLATFORM | Handle::NULL) => {
                Ok(Self(handle))
            }
            _ => Err(ResponseCode::VALUE),
        }
    }
}

/// data, hashAlg, hierarchy. The response: outHash, validation.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (data, algorithm, TicketHierarchy(hierarchy)): (MaxBuffer, HashAlgorithm, TicketHierarchy) =
        parameters.read()?;
    let digest = algorithm.digest(&[&data]);
    let is_safe = !data.starts_with(&GENERATED_VALUE.to_be_bytes());
    response.value(&digest)?;
    response.value(&hash_check(context.state, hierarchy, algorithm, &digest, is_safe)?)
}

/// The hash-check ticket; the NULL ticket in the NULL hierarchy, and for a message that could
/// pass for one of the TPM's own structures.
pub(in crate::command) fn hash_check(
    state: &State,
    hierarchy: Handle,
    algorithm: HashAlgorithm,
    digest: &Digest,
    is_safe: bool,
) -> Result<Ticket> {
    if !state.is_hierarchy_enabled(hierarchy) {
        return Err(ResponseCode::HIERARCHY);
    }
    if hierarchy == Handle::NULL || !is_safe {
        return Ok(Ticket::null(StructureTag::HashCheck));
    }
    let algorithm = algorithm.id().to_be_bytes();
    Ok(state.ticket(StructureTag::HashCheck, hierarchy, &[&algorithm, digest]))
}

/// Whether a hash-check ticket is the one of this digest by this algorithm: several algorithms
/// have digests of the same length.
pub(in crate::command) fn is_hash_check(
    state: &State,
    ticket: &Ticket,
    algorithm: HashAlgorithm,
    digest: &Digest,
) -> bool {
    state.is_ticket(ticket, &[&algorithm.id().to_be_bytes(), digest])
}

#[cfg(test)]
mod tests {
    use crate::crypto::hash::HashAlgorithm;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, parameters};

    fn body(data: &[u8], algorithm: u16, hierarchy: u32) -> std::vec::Vec<u8> {
        parameters(|writer| {
            writer.sized_bytes(data)?;
            writer.value(&algorithm)?;
            writer.value(&hierarchy)
        })
    }

    #[test]
    fn refuses_unknown_hashes_and_hierarchies() {
        let mut machine = Machine::started();
        let mut hash = |body: &[u8]| machine.command(0x17d, body);
        assert_eq!(hash(&body(b"", 0x10, OWNER)), Err(ResponseCode::HASH.in_parameter(2)));
        assert_eq!(hash(&body(b"", 0x0b, 1)), Err(ResponseCode::VALUE.in_parameter(3)));
        assert_eq!(hash(&body(&[0; 1025], 0x0b, OWNER)), Err(ResponseCode::SIZE.in_parameter(1)));
    }

    #[test]
    fn the_digest_has_a_ticket_unless_it_could_be_misused() {
        let mut machine = Machine::started();
        let mut hash = |body: &[u8]| machine.command(0x17d, body).unwrap();
        let response = hash(&body(b"abc", 0x0b, OWNER));
        let digest = HashAlgorithm::Sha256.digest(&[b"abc"]);
        assert_eq!(response[2..34], *digest.as_bytes());
        assert_eq!(response[34..42], [0x80, 0x24, 0x40, 0, 0, 1, 0, 64]);
        let null = [0x80, 0x24, 0x40, 0, 0, 7, 0, 0];
        assert_eq!(hash(&body(b"abc", 0x0b, 0x4000_0007))[34..], null);
        assert_eq!(hash(&body(b"\xffTCG...", 0x0b, OWNER))[34..], null);
    }
}
