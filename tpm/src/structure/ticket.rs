// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tickets (Part 2, 10.7): HMACs with a hierarchy's proof by which the TPM knows its own work.

use super::handle::Handle;
use super::response_code::ResponseCode;
use super::tag::StructureTag;
use crate::crypto::hash::Digest;
use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer};

/// Any TPMT_TK_*: which tags a command accepts is the command's to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// What the ticket says.
    pub tag: StructureTag,
    /// The hierarchy whose proof made it; TPM_RH_NULL and an empty digest are the NULL ticket.
    pub hierarchy: Handle,
    /// The HMAC.
    pub digest: Digest,
}

impl Ticket {
    /// The ticket that says nothing.
    pub const fn null(tag: StructureTag) -> Self {
        Self { tag, hierarchy: Handle::NULL, digest: Digest::EMPTY }
    }

    /// Whether it says nothing.
    pub fn is_null(&self) -> bool {
        self.hierarchy == Handle::NULL && self.digest.is_empty()
    }

    /// Refuses a ticket with another tag (TPM_RC_TAG).
    pub fn expect(self, tags: &[StructureTag]) -> Result<Self> {
        if tags.contains(&self.tag) { Ok(self) } else { Err(ResponseCode::TAG) }
    }
}

/// The hierarchy is TPMI_RH_HIERARCHY+: any other handle is TPM_RC_VALUE.
impl Unmarshal for Ticket {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let tag = reader.value()?;
        let hierarchy = reader.value()?;
        if !matches!(
            hierarchy,
            Handle::OWNER | Handle::ENDORSEMENT | Handle::PLATFORM | Handle::NULL
        ) {
            return Err(ResponseCode::VALUE);
        }
        Ok(Self { tag, hierarchy, digest: reader.value()? })
    }
}

impl Marshal for Ticket {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.tag)?;
        writer.value(&self.hierarchy)?;
        writer.value(&self.digest)
    }
}
