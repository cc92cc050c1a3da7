// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes and checks tickets (Part 2, 10.7): an HMAC over the tag and what the ticket says, keyed
//! with the proof of a hierarchy.

use super::State;
use crate::crypto::hash::HashAlgorithm;
use crate::crypto::hmac::Hmac;
use crate::structure::handle::Handle;
use crate::structure::tag::StructureTag;
use crate::structure::ticket::Ticket;

/// The hash of tickets and of saved contexts (TPM_PT_CONTEXT_HASH).
pub const CONTEXT_HASH: HashAlgorithm = HashAlgorithm::Sha512;

impl State {
    /// The ticket of a hierarchy that says `parts` under `tag`.
    pub fn ticket(&self, tag: StructureTag, hierarchy: Handle, parts: &[&[u8]]) -> Ticket {
        let mut hmac = Hmac::new(CONTEXT_HASH, self.proof(hierarchy));
        hmac.update(&tag.raw().to_be_bytes());
        parts.iter().for_each(|part| hmac.update(part));
        Ticket { tag, hierarchy, digest: hmac.finish() }
    }

    /// Whether a ticket is the one that says `parts`; in constant time. The NULL ticket never is.
    pub fn is_ticket(&self, ticket: &Ticket, parts: &[&[u8]]) -> bool {
        !ticket.digest.is_empty() && self.ticket(ticket.tag, ticket.hierarchy, parts) == *ticket
    }
}
