// SPDX-License-Identifier: MIT OR Apache-2.0
//! Log records: one commit each, sealed and bound to its predecessor. `docs/nvstore-format.md`,
//! "Log record".

use crate::error::{Error, Invariant};
use crate::geometry::Geometry;
use crate::seal::{Cipher, DIGEST_BYTES, FrontCheck, StoreId, TAG_BYTES, chain, front_check};
use crate::wire::{Reader, Writer};

const MAGIC: [u8; 4] = *b"MNVR";
/// Bytes of a record's front that its check value covers.
const CHECKED_BYTES: usize = 40;
/// Bytes in clear at a record's front.
const HEADER_BYTES: usize = CHECKED_BYTES + size_of::<FrontCheck>();
/// Bytes of the sealed text before the changes: their length.
const LENGTH_BYTES: usize = 4;
/// Bytes of a record beside its changes and the padding.
pub(crate) const OVERHEAD_BYTES: usize = HEADER_BYTES + LENGTH_BYTES + TAG_BYTES;

/// What a record says of itself in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) blocks: u16,
    pub(crate) store_id: StoreId,
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
}

impl RecordHeader {
    /// Reads the front of a block. `None` for whatever isn't a record's first block, and for a
    /// mixture of two that a torn write left: its sequence would mean nothing.
    pub(crate) fn parse(block: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(block);
        if reader.array::<4>()? != MAGIC || reader.u16()? != crate::FORMAT_VERSION {
            return None;
        }
        let header = Self {
            blocks: reader.u16()?,
            store_id: reader.array()?,
            epoch: reader.u64()?,
            sequence: reader.u64()?,
        };
        (reader.array()? == front_check(block.get(..CHECKED_BYTES)?)).then_some(header)
    }

    fn to_bytes(self) -> Option<[u8; HEADER_BYTES]> {
        let mut bytes = [0; HEADER_BYTES];
        let (checked, check) = bytes.split_at_mut(CHECKED_BYTES);
        let mut writer = Writer::new(checked);
        writer.bytes(&MAGIC)?;
        writer.bytes(&crate::FORMAT_VERSION.to_le_bytes())?;
        writer.bytes(&self.blocks.to_le_bytes())?;
        writer.bytes(&self.store_id)?;
        writer.bytes(&self.epoch.to_le_bytes())?;
        writer.bytes(&self.sequence.to_le_bytes())?;
        check.copy_from_slice(&front_check(checked));
        Some(bytes)
    }

    /// What a record's tag covers beside its text: its own header, and through its predecessor's
    /// digest the whole history.
    fn associated(
        header: &[u8; HEADER_BYTES],
        predecessor: &[u8; DIGEST_BYTES],
    ) -> [u8; HEADER_BYTES + DIGEST_BYTES] {
        let mut associated = [0; HEADER_BYTES + DIGEST_BYTES];
        let (front, back) = associated.split_at_mut(HEADER_BYTES);
        front.copy_from_slice(header);
        back.copy_from_slice(predecessor);
        associated
    }
}

/// Fills `record`, whole blocks, with a sealed record of `changes`, and gives the chain digest
/// after it.
pub(crate) fn seal(
    record: &mut [u8],
    header: RecordHeader,
    cipher: &Cipher,
    predecessor: &[u8; DIGEST_BYTES],
    changes: &[u8],
) -> Result<[u8; DIGEST_BYTES], Error> {
    let broken = Error::Internal(Invariant::BufferLength);
    let clear = header.to_bytes().ok_or(broken)?;
    let length = u32::try_from(changes.len()).map_err(|_| broken)?;
    let (front, rest) = record.split_first_chunk_mut::<HEADER_BYTES>().ok_or(broken)?;
    let (text, tag) = rest.split_last_chunk_mut::<TAG_BYTES>().ok_or(broken)?;
    *front = clear;
    let mut writer = Writer::new(text);
    writer.bytes(&length.to_le_bytes()).and_then(|()| writer.bytes(changes)).ok_or(broken)?;
    writer.zero_rest();
    let associated = RecordHeader::associated(&clear, predecessor);
    *tag = cipher.seal(header.sequence, &associated, text)?;
    Ok(chain(predecessor, record))
}

/// An authentic record.
pub(crate) struct Opened<'r> {
    /// A list of changes, not yet checked for its form.
    pub(crate) changes: &'r [u8],
    /// The chain digest after the record.
    pub(crate) digest: [u8; DIGEST_BYTES],
}

/// Opens a record in place; `None` when it isn't
/// authentic or isn't this predecessor's successor.
pub(crate) fn open<'r>(
    record: &'r mut [u8],
    header: RecordHeader,
    cipher: &Cipher,
    predecessor: &[u8; DIGEST_BYTES],
) -> Result<Option<Opened<'r>>, Error> {
    let broken = Error::Internal(Invariant::BufferLength);
    let digest = chain(predecessor, record);
    let (front, rest) = record.split_first_chunk_mut::<HEADER_BYTES>().ok_or(broken)?;
    let (text, tag) = rest.split_last_chunk_mut::<TAG_BYTES>().ok_or(broken)?;
    let associated = RecordHeader::associated(front, predecessor);
    if !cipher.open(header.sequence, &associated, text, tag) {
        return Ok(None);
    }
    let mut reader = Reader::new(text);
    let changes = reader
        .u32()
        .and_then(|length| reader.bytes(usize::try_from(length).ok()?))
        .ok_or(Error::Internal(Invariant::AuthenticNonsense))?;
    Ok(Some(Opened { changes, digest }))
}

/// The part of the ring that holds live records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// First live block, counted from the ring's first.
    pub(crate) start: u32,
    /// How many blocks are live.
    pub(crate) used: u32,
}

impl Span {
    /// The block after the last live one, where the next record goes.
    pub(crate) fn end(self, geometry: &Geometry) -> u32 {
        ring_block(geometry, self.start, self.used)
    }

    /// How many blocks are free.
    pub(crate) fn free(self, geometry: &Geometry) -> u32 {
        geometry.log_blocks().saturating_sub(self.used)
    }
}

/// The block `distance` after `block` in the ring; both are less than twice the ring's length.
pub(crate) fn ring_block(geometry: &Geometry, block: u32, distance: u32) -> u32 {
    block.wrapping_add(distance).checked_rem(geometry.log_blocks()).unwrap_or_default()
}
