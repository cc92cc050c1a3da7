// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checkpoint headers: the root of everything on the disk. `docs/nvstore-format.md`, "Header".
//!
//! A header comes in twins so that one can be rewritten in place (see `Store::rewrap`) while the
//! other is intact. Twins of a generation differ at most in the wrapped key and its label.

use crate::anchor::FreshnessRoot;
use crate::error::{Error, Invariant};
use crate::geometry::{Capacity, Geometry};
use crate::seal::{
    BootNonce, DIGEST_BYTES, KeyLabel, MasterKey, StoreId, StoreKey, Unwrapped, WrappedKey,
    checksum,
};
use crate::wire::{Reader, Writer};

const MAGIC: [u8; 8] = *b"MCDMNVST";
/// Bytes that the header's HMAC covers.
const AUTHENTICATED_BYTES: usize = 192;
const RESERVED_BYTES: usize = 8;
/// Bytes that the header's checksum covers: those, the HMAC, and the wrapped key.
const CHECKED_BYTES: usize = AUTHENTICATED_BYTES + DIGEST_BYTES + WrappedKey::BYTES;
/// Bytes of a header.
const HEADER_BYTES: usize = CHECKED_BYTES + DIGEST_BYTES;

/// Checkpoint number `generation`: which state, and where the log goes on from there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) geometry: Geometry,
    pub(crate) store_id: StoreId,
    /// Grows by one with each checkpoint; its parity names the area.
    pub(crate) generation: u64,
    /// The history that the checkpoint stands for.
    pub(crate) root: FreshnessRoot,
    /// The chain digest one step earlier.
    pub(crate) predecessor: [u8; DIGEST_BYTES],
    /// Makes the keys of this epoch fresh.
    pub(crate) boot_nonce: BootNonce,
    /// The ring's block where the first record after the checkpoint goes.
    pub(crate) log_start: u32,
    /// Bytes of state in the body.
    pub(crate) body_bytes: u32,
    /// Which master key the wrapping takes.
    pub(crate) label: KeyLabel,
    pub(crate) wrapped_key: WrappedKey,
}

impl Header {
    /// The area, 0 or 1, of a generation.
    pub(crate) fn area(generation: u64) -> u64 {
        generation & 1
    }

    /// The two header slots of a generation.
    pub(crate) fn slots(generation: u64) -> [usize; 2] {
        if Self::area(generation) == 0 { [0, 1] } else { [2, 3] }
    }

    /// Fills a block; its rest becomes zero.
    pub(crate) fn encode(&self, store_key: &StoreKey, block: &mut [u8]) -> Result<(), Error> {
        let broken = Error::Internal(Invariant::BufferLength);
        let mut bytes = [0; HEADER_BYTES];
        let (authenticated, rest) = bytes.split_at_mut(AUTHENTICATED_BYTES);
        self.write_fields(authenticated).ok_or(broken)?;
        let mac = store_key.authenticate(&self.store_id, authenticated)?;
        let mut writer = Writer::new(rest);
        writer
            .bytes(&mac)
            .and_then(|()| writer.bytes(self.wrapped_key.as_bytes()))
            .ok_or(broken)?;
        let (checked, sum) = bytes.split_at_mut(CHECKED_BYTES);
        sum.copy_from_slice(&checksum(checked));
        let mut writer = Writer::new(block);
        writer.bytes(&bytes).ok_or(broken)?;
        writer.zero_rest();
        Ok(())
    }

    fn write_fields(&self, place: &mut [u8]) -> Option<()> {
        let capacity = self.geometry.capacity();
        let mut writer = Writer::new(place);
        writer.bytes(&MAGIC)?;
        writer.bytes(&crate::FORMAT_VERSION.to_le_bytes())?;
        writer.bytes(&u16::try_from(self.geometry.block_bytes()).ok()?.to_le_bytes())?;
        writer.bytes(&capacity.state_bytes.to_le_bytes())?;
        writer.bytes(&capacity.transaction_bytes.to_le_bytes())?;
        writer.bytes(&capacity.log_blocks.to_le_bytes())?;
        writer.bytes(&self.store_id)?;
        writer.bytes(&self.generation.to_le_bytes())?;
        writer.bytes(&self.root.to_bytes())?;
        writer.bytes(&self.predecessor)?;
        writer.bytes(&self.boot_nonce)?;
        writer.bytes(&self.log_start.to_le_bytes())?;
        writer.bytes(&self.body_bytes.to_le_bytes())?;
        writer.bytes(&self.label)?;
        writer.bytes(&[0; RESERVED_BYTES])
    }
}

/// What the first block of a header slot turned out to hold.
#[expect(clippy::large_enum_variant, reason = "there are four, on the stack, for a moment")]
pub(crate) enum Slot {
    /// Nothing that claims to be a header.
    Other,
    /// A header of another version.
    Version(u16),
    /// A header that was not written whole, or was damaged since.
    Torn,
    /// A whole header; whose, isn't known yet.
    Intact(Allegation),
}

/// A whole header that nobody has vouched for.
#[derive(PartialEq, Eq)]
pub(crate) struct Allegation {
    header: Header,
    authenticated: [u8; AUTHENTICATED_BYTES],
    mac: [u8; DIGEST_BYTES],
}

/// Who vouches for a header.
pub(crate) enum Authenticity {
    Authentic(StoreKey),
    OtherMaster,
    Forged,
}

impl Slot {
    /// Reads a slot's first block. `slot` is its number, since a header names its area.
    pub(crate) fn parse(slot: usize, block: &[u8]) -> Self {
        let mut reader = Reader::new(block);
        if reader.array() != Some(MAGIC) {
            return Self::Other;
        }
        let Some(allegation) = Allegation::parse(block) else {
            // The version's place and the checksum are the same in all versions to come.
            return match (is_whole(block), reader.u16()) {
                (true, Some(version)) if version != crate::FORMAT_VERSION => Self::Version(version),
                _ => Self::Torn,
            };
        };
        if Header::slots(allegation.header.generation).contains(&slot) {
            Self::Intact(allegation)
        } else {
            Self::Torn
        }
    }
}

/// Whether the checksum holds.
fn is_whole(block: &[u8]) -> bool {
    let mut reader = Reader::new(block);
    let checked = reader.bytes(CHECKED_BYTES);
    checked.is_some_and(|checked| reader.array() == Some(checksum(checked)))
}

impl Allegation {
    fn parse(block: &[u8]) -> Option<Self> {
        if !is_whole(block) {
            return None;
        }
        let mut reader = Reader::new(block);
        let authenticated = reader.array()?;
        let mac = reader.array()?;
        let wrapped_key = WrappedKey::from_bytes(reader.array()?);
        let header = Self::parse_fields(&authenticated, wrapped_key)?;
        Some(Self { header, authenticated, mac })
    }

    fn parse_fields(bytes: &[u8; AUTHENTICATED_BYTES], wrapped_key: WrappedKey) -> Option<Header> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != MAGIC || reader.u16()? != crate::FORMAT_VERSION {
            return None;
        }
        let block_bytes = usize::from(reader.u16()?);
        let capacity = Capacity {
            state_bytes: reader.u32()?,
            transaction_bytes: reader.u32()?,
            log_blocks: reader.u32()?,
        };
        let geometry = Geometry::new(block_bytes, capacity).ok()?;
        let header = Header {
            geometry,
            store_id: reader.array()?,
            generation: reader.u64()?,
            root: FreshnessRoot::from_bytes(&reader.array()?),
            predecessor: reader.array()?,
            boot_nonce: reader.array()?,
            log_start: reader.u32()?,
            body_bytes: reader.u32()?,
            label: reader.array()?,
            wrapped_key,
        };
        let within = header.log_start < geometry.log_blocks()
            && header.body_bytes <= capacity.state_bytes
            && reader.array()? == [0; RESERVED_BYTES];
        within.then_some(header)
    }

    /// What the header says, before anyone vouched for it.
    pub(crate) fn alleged(&self) -> &Header {
        &self.header
    }

    /// Unwraps the store key and checks the header with it.
    pub(crate) fn authenticate(&self, master: &MasterKey) -> Result<Authenticity, Error> {
        let store_id = &self.header.store_id;
        let store_key = match self.header.wrapped_key.unwrap(master, store_id)? {
            Unwrapped::Key(key) => key,
            Unwrapped::OtherMaster => return Ok(Authenticity::OtherMaster),
            Unwrapped::NotAuthentic => return Ok(Authenticity::Forged),
        };
        if store_key.verifies(store_id, &self.authenticated, &self.mac)? {
            Ok(Authenticity::Authentic(store_key))
        } else {
            Ok(Authenticity::Forged)
        }
    }
}
