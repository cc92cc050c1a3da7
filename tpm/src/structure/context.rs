// SPDX-License-Identifier: MIT OR Apache-2.0
//! Saved contexts on the wire (Part 2, 14).

use super::buffer::Buffer;
use super::handle::Handle;
use super::response_code::ResponseCode;
use crate::crypto::hash::DIGEST_SIZE_MAX;
use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer};

/// Octets of the longest contextBlob, integrity included. A loaded object is the longest thing
/// that is saved; `state::context` asserts at compile time that it fits.
pub const CONTEXT_SIZE_MAX: usize = 1536;

/// Octets of the longest content of a context, without integrity.
pub const CONTENT_SIZE_MAX: usize = CONTEXT_SIZE_MAX - (2 + DIGEST_SIZE_MAX);

/// Octets of the longest TPMS_CONTEXT (TPM_PT_MAX_OBJECT_CONTEXT and TPM_PT_MAX_SESSION_CONTEXT).
pub const SAVED_CONTEXT_SIZE_MAX: usize = 8 + 4 + 4 + 2 + CONTEXT_SIZE_MAX;

/// TPMS_CONTEXT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedContext {
    /// Different for every saved context of a kind.
    pub sequence: u64,
    /// A session's handle, or one of three that say what kind of object it is.
    pub saved_handle: Handle,
    /// The hierarchy of the object; TPM_RH_NULL for a session.
    pub hierarchy: Handle,
    /// Integrity and the encrypted context.
    pub blob: Buffer<CONTEXT_SIZE_MAX>,
}

/// A saved handle that isn't a session, or 0x80000000 to 0x80000002, and a hierarchy that isn't
/// one are TPM_RC_VALUE.
impl Unmarshal for SavedContext {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let sequence = reader.value()?;
        let saved_handle: Handle = reader.value()?;
        if !saved_handle.is_session() && !matches!(saved_handle.0, 0x8000_0000..=0x8000_0002) {
            return Err(ResponseCode::VALUE);
        }
        let hierarchy = reader.value()?;
        if !matches!(
            hierarchy,
            Handle::OWNER | Handle::ENDORSEMENT | Handle::PLATFORM | Handle::NULL
        ) {
            return Err(ResponseCode::VALUE);
        }
        Ok(Self { sequence, saved_handle, hierarchy, blob: reader.value()? })
    }
}

impl Marshal for SavedContext {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.sequence)?;
        writer.value(&self.saved_handle)?;
        writer.value(&self.hierarchy)?;
        writer.value(&self.blob)
    }
}
