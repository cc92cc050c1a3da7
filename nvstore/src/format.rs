// SPDX-License-Identifier: MIT OR Apache-2.0
//! Formatting an empty disk, and telling an interrupted formatting from a disk that isn't ours.
//!
//! ```text
//!                      slot 0    slot 1    slot 2    slot 3    the rest
//! 1 empty              0         0         0         0         0
//! 2 marker written     marker    0         0         0         0
//! 3 generation 1       marker    0         header 1  header 1  0
//! 4 generation 2       header 2  header 2  header 1  header 1  0          the store exists
//! ```
//! A flush lies between the steps. Whatever shows step 1, 2 or 3, with any part of the step's own
//! write missing, holds nothing that anyone was promised and may be formatted again; nothing else
//! may.

use rand_core::TryCryptoRng;

use crate::anchor::{Anchor, Anchored, FreshnessRoot};
use crate::device::BlockDevice;
use crate::error::{Error, GeometryFault, Invariant};
use crate::geometry::{Capacity, Geometry, HEADER_SLOTS};
use crate::header::Header;
use crate::log::Span;
use crate::memory;
use crate::seal::{DIGEST_BYTES, MasterKey, StoreKey, WrappedKey, chain_genesis};
use crate::store::{Identity, Past, Recovery, Store, draw, draw_secret, new_state};
use crate::volume::Volume;
use crate::wire::Writer;

/// Says that a formatting is under way.
const MARKER: [u8; 16] = *b"MACADAMIA-FORMAT";
/// Read at a time while a disk is searched for anything but zeros.
const SCAN_BYTES: usize = 16 << 10;

/// A disk that holds nothing, or a formatting that was interrupted.
pub struct Unformatted<D> {
    device: D,
    geometry: Geometry,
    interrupted: bool,
}

impl<D: BlockDevice> Unformatted<D> {
    /// Looks through the part of the device that a store of this capacity would take.
    ///
    /// Gives the device back when it holds anything that isn't an empty or interrupted beginning.
    pub(crate) fn examine(mut device: D, capacity: Capacity) -> Result<Result<Self, D>, Error> {
        let geometry = Geometry::new(device.block_bytes(), capacity)?;
        if device.block_count() < geometry.total_blocks() {
            return Err(Error::Geometry(GeometryFault::TooSmall));
        }
        Ok(match scan(&mut device, &geometry)? {
            Some(interrupted) => Ok(Self { device, geometry, interrupted }),
            None => Err(device),
        })
    }

    /// Whether an earlier formatting was interrupted, rather than never begun.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// Formats the disk and opens the store. A formatting that is interrupted leaves the disk
    /// [`Unformatted`].
    ///
    /// # Errors
    /// [`Error::RolledBack`] when the anchor remembers a store: then someone emptied the disk. Else
    /// of the device, the anchor, memory or the random source.
    pub fn format<A: Anchor>(
        self,
        master: &MasterKey,
        mut anchor: A,
        random: &mut impl TryCryptoRng,
    ) -> Result<Store<D, A>, Error> {
        if let Anchored::At(root) = anchor.read()? {
            return Err(Error::RolledBack { anchored: Some(root), found: None });
        }
        let mut volume = Volume::new(self.device, self.geometry)?;
        let store_id = draw(random)?;
        let store_key = StoreKey::new(draw_secret(random)?);
        let wrapped_key = WrappedKey::wrap(master, &store_key, &store_id, &draw(random)?)?;
        let boot_nonce = draw(random)?;
        let root =
            FreshnessRoot { epoch: 0, sequence: 0, digest: chain_genesis(&store_id, &boot_nonce) };
        let header = Header {
            geometry: self.geometry,
            store_id,
            generation: 1,
            root,
            predecessor: [0; DIGEST_BYTES],
            boot_nonce,
            log_start: 0,
            body_bytes: 0,
            label: master.label(),
            wrapped_key,
        };
        write_beginning(&mut volume, &header, &store_key)?;
        let past = Past {
            identity: Identity { store_id, store_key, label: master.label(), wrapped_key },
            generation: header.generation,
            root,
            span: Span { start: 0, used: 0 },
            state: new_state(&self.geometry)?,
            recovery: Recovery { root, replayed: 0, torn_tail: false },
        };
        Store::open(volume, anchor, past, random)
    }
}

/// Steps 2 and 3.
fn write_beginning<D: BlockDevice>(
    volume: &mut Volume<D>,
    header: &Header,
    store_key: &StoreKey,
) -> Result<(), Error> {
    let mut block = memory::zeros(volume.geometry().block_bytes())?;
    Writer::new(&mut block).bytes(&MARKER).ok_or(Error::Internal(Invariant::BufferLength))?;
    volume.write_slot(0, &block)?;
    volume.flush()?;
    header.encode(store_key, &mut block)?;
    for slot in Header::slots(header.generation) {
        volume.write_slot(slot, &block)?;
    }
    volume.flush()
}

/// What the first block of slot 0 shows of a beginning.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beginning {
    Empty,
    MarkerInPart,
    Marker,
}

impl Beginning {
    fn of(block: &[u8]) -> Option<Self> {
        let (marker, rest) = block.split_first_chunk::<{ MARKER.len() }>()?;
        let in_part = marker.iter().zip(&MARKER).all(|(&byte, &mark)| byte == 0 || byte == mark);
        if !in_part || !is_zero(rest) {
            None
        } else if *marker == MARKER {
            Some(Self::Marker)
        } else if is_zero(marker) {
            Some(Self::Empty)
        } else {
            Some(Self::MarkerInPart)
        }
    }
}

/// Whether the first block of slot 0 says that a formatting is under way.
pub(crate) fn is_marker(block: &[u8]) -> bool {
    Beginning::of(block) == Some(Beginning::Marker)
}

/// `Some(interrupted)` when the disk shows step 1, 2 or 3.
fn scan<D: BlockDevice>(device: &mut D, geometry: &Geometry) -> Result<Option<bool>, Error> {
    let block_bytes = geometry.block_bytes();
    let header_blocks: [u64; HEADER_SLOTS] =
        core::array::from_fn(|slot| Geometry::header_block(block_bytes, slot));
    let mut buffer = memory::zeros(SCAN_BYTES)?;
    let mut beginning = Beginning::Empty;
    let mut block = 0;
    let total = geometry.total_blocks();
    while block < total {
        let blocks = (total - block).min((SCAN_BYTES / block_bytes) as u64);
        let bytes = usize::try_from(blocks).unwrap_or_default().saturating_mul(block_bytes);
        let part = buffer.get_mut(..bytes).ok_or(Error::Internal(Invariant::BufferLength))?;
        device.read(block, part)?;
        for (number, content) in (block..).zip(part.chunks(block_bytes)) {
            if number == 0 {
                let Some(found) = Beginning::of(content) else { return Ok(None) };
                beginning = found;
                continue;
            }
            let may_be_anything =
                beginning == Beginning::Marker && header_blocks[2..].contains(&number);
            if !may_be_anything && !is_zero(content) {
                return Ok(None);
            }
        }
        block += blocks;
    }
    Ok(Some(beginning != Beginning::Empty))
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}
