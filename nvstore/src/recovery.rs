// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a disk that nobody vouches for to an open store, by way of types: what wasn't recovered
//! can't be used.
//!
//! Recovery reads and decides before it writes. It takes the newest authentic checkpoint, replays
//! the log from there to the first record that isn't its predecessor's authentic successor, looks
//! whether anything later is on the disk (then a commit was lost, which no loss of power explains),
//! asks the anchor, and only then opens a new epoch.

use core::cmp::Reverse;

use rand_core::TryCryptoRng;

use crate::anchor::{Anchor, Anchored, FreshnessRoot};
use crate::checkpoint::read_body;
use crate::device::BlockDevice;
use crate::error::{Error, Evidence, GeometryFault, Invariant};
use crate::format::{Unformatted, is_marker};
use crate::geometry::{Capacity, Geometry, HEADER_SLOTS};
use crate::header::{Allegation, Authenticity, Header, Slot};
use crate::log::{self, Opened, RecordHeader, Span, ring_block};
use crate::memory;
use crate::records::{Records, is_well_formed};
use crate::seal::{DIGEST_BYTES, KeyLabel, MasterKey, StoreKey};
use crate::store::{Identity, Past, Recovery, Store, apply, new_state};
use crate::volume::Volume;

/// A device about which nothing is known.
pub struct Unrecovered<D> {
    device: D,
}

/// What a device turned out to hold.
#[expect(clippy::large_enum_variant, reason = "there is one, on the stack, for a moment")]
pub enum Examined<D> {
    /// Nothing, or an interrupted formatting.
    Unformatted(Unformatted<D>),
    /// Something that claims to be a store.
    Formatted(Formatted<D>),
}

/// A disk that claims to hold a store.
pub struct Formatted<D> {
    device: D,
    slots: [Slot; HEADER_SLOTS],
}

impl<D: BlockDevice> Unrecovered<D> {
    /// Takes a device; reads nothing yet.
    pub fn new(device: D) -> Self {
        Self { device }
    }

    /// Looks at the disk without changing it. `capacity` is what it would be formatted with if it
    /// turns out to be empty; a formatted disk has its own.
    ///
    /// # Errors
    /// [`Error::Foreign`] when the disk holds something else; [`Error::Geometry`] or
    /// [`Error::Capacity`] when device or capacity won't do; [`Error::Device`].
    pub fn examine(mut self, capacity: Capacity) -> Result<Examined<D>, Error> {
        let (slots, marked) = read_slots(&mut self.device)?;
        let claimed = slots.iter().any(|slot| !matches!(slot, Slot::Other));
        // While the marker of a formatting is there, headers alone do not make a store.
        if claimed && !marked {
            return Ok(Examined::Formatted(Formatted { device: self.device, slots }));
        }
        match Unformatted::examine(self.device, capacity)? {
            Ok(unformatted) => Ok(Examined::Unformatted(unformatted)),
            Err(device) if claimed => Ok(Examined::Formatted(Formatted { device, slots })),
            Err(_) => Err(Error::Foreign),
        }
    }
}

/// The header slots, and whether the first holds the marker of a formatting.
fn read_slots<D: BlockDevice>(device: &mut D) -> Result<([Slot; HEADER_SLOTS], bool), Error> {
    let block_bytes = device.block_bytes();
    if block_bytes != 512 && block_bytes != crate::geometry::UNIT_BYTES {
        return Err(Error::Geometry(GeometryFault::BlockSize));
    }
    let mut slots = [Slot::Other, Slot::Other, Slot::Other, Slot::Other];
    let mut marked = false;
    let mut block = memory::zeros(block_bytes)?;
    for (number, slot) in slots.iter_mut().enumerate() {
        let first = Geometry::header_block(block_bytes, number);
        if first >= device.block_count() {
            return Err(Error::Geometry(GeometryFault::TooSmall));
        }
        device.read(first, &mut block)?;
        *slot = Slot::parse(number, &block);
        marked |= number == 0 && is_marker(&block);
    }
    Ok((slots, marked))
}

impl<D: BlockDevice> Formatted<D> {
    /// What the whole headers say about the master key that they take, the newest first. Nobody has
    /// vouched for any of them yet. There may be two while a key is being changed.
    pub fn labels(&self) -> impl Iterator<Item = KeyLabel> {
        let mut newest_first: [Option<(u64, KeyLabel)>; HEADER_SLOTS] =
            self.slots.each_ref().map(|slot| match slot {
                Slot::Intact(allegation) => {
                    let header = allegation.alleged();
                    Some((header.generation, header.label))
                }
                Slot::Other | Slot::Version(_) | Slot::Torn => None,
            });
        newest_first.sort_by_key(|entry| Reverse(entry.map(|(generation, _)| generation)));
        let mut last = None;
        newest_first.into_iter().flatten().filter_map(move |(_, label)| {
            let is_new = last.replace(label) != Some(label);
            is_new.then_some(label)
        })
    }

    /// Whether this is the key of the header from which a recovery would start.
    ///
    /// # Errors
    /// Those of a recovery that have to do with headers and key, [`Error::WrongKey`] first of all.
    pub fn check_key(&self, master: &MasterKey) -> Result<(), Error> {
        newest_authentic(&self.slots, master).map(|_| ())
    }

    /// Recovers the store and opens a new epoch on it.
    ///
    /// # Errors
    /// Every error that tells about the disk, its key or its freshness comes before the first
    /// write. After an error of the device or the anchor the recovery may be tried again.
    pub fn recover<A: Anchor>(
        self,
        master: &MasterKey,
        mut anchor: A,
        random: &mut impl TryCryptoRng,
    ) -> Result<Store<D, A>, Error> {
        let (header, store_key) = newest_authentic(&self.slots, master)?;
        let mut volume = Volume::new(self.device, header.geometry)?;
        let mut state = new_state(&header.geometry)?;
        read_body(&mut volume, &header, &store_key, &mut state)?;
        let mut replay = Replay {
            header: &header,
            root: header.root,
            predecessor: header.predecessor,
            span: Span { start: header.log_start, used: 0 },
            state,
            replayed: 0,
        };
        replay.run(&mut volume, &store_key)?;
        let torn_tail = replay.look_beyond(&mut volume)?;
        let Replay { root, predecessor, span, state, replayed, .. } = replay;
        check_freshness(&mut anchor, &root, &predecessor)?;
        let Header { store_id, generation, label, wrapped_key, .. } = header;
        let identity = Identity { store_id, store_key, label, wrapped_key };
        let recovery = Recovery { root, replayed, torn_tail };
        let past = Past { identity, generation, root, span, state, recovery };
        Store::open(volume, anchor, past, random)
    }
}

/// Why a whole header was not believed.
struct Disbelieved<'a> {
    header: &'a Header,
    other_master: bool,
}

/// The header to recover from, and the store key that it yields.
fn newest_authentic(
    slots: &[Slot; HEADER_SLOTS],
    master: &MasterKey,
) -> Result<(Header, StoreKey), Error> {
    let mut newest: Option<(Header, StoreKey)> = None;
    let mut disbelieved: Option<Disbelieved<'_>> = None;
    let mut previous: Option<&Allegation> = None;
    for slot in slots {
        let allegation = match slot {
            Slot::Version(found) => return Err(Error::UnsupportedVersion { found: *found }),
            Slot::Other | Slot::Torn => continue,
            Slot::Intact(allegation) => allegation,
        };
        // Twins are equal as a rule, and judging one costs several key derivations.
        if previous == Some(allegation) {
            continue;
        }
        previous = Some(allegation);
        let header = allegation.alleged();
        let other_master = match allegation.authenticate(master)? {
            Authenticity::Authentic(key) => {
                if newest.as_ref().is_none_or(|(best, _)| header.generation > best.generation) {
                    newest = Some((*header, key));
                }
                continue;
            }
            Authenticity::OtherMaster => true,
            Authenticity::Forged => false,
        };
        let known = disbelieved.as_ref();
        if known.is_none_or(|known| header.generation > known.header.generation) {
            disbelieved = Some(Disbelieved { header, other_master });
        }
    }
    match (newest, disbelieved) {
        (None, None) => Err(Error::Tampered(Evidence::Headers)),
        (None, Some(Disbelieved { other_master: true, .. })) => Err(Error::WrongKey),
        (None, Some(_)) => Err(Error::Tampered(Evidence::HeaderAuthentication)),
        (Some((best, _)), Some(Disbelieved { header, other_master }))
            if header.generation > best.generation =>
        {
            // A key that was replaced must not open what is left from its time.
            if other_master && header.store_id == best.store_id {
                Err(Error::WrongKey)
            } else {
                Err(Error::Tampered(Evidence::NewerHeader))
            }
        }
        (Some(newest), _) => Ok(newest),
    }
}

/// The state as it grows from the checkpoint to the end of the log.
struct Replay<'h> {
    header: &'h Header,
    root: FreshnessRoot,
    predecessor: [u8; DIGEST_BYTES],
    span: Span,
    state: Records,
    replayed: u32,
}

impl Replay<'_> {
    /// Applies every record that is its predecessor's authentic successor.
    fn run<D: BlockDevice>(
        &mut self,
        volume: &mut Volume<D>,
        store_key: &StoreKey,
    ) -> Result<(), Error> {
        let Header { geometry, store_id, boot_nonce, .. } = self.header;
        let cipher = store_key.log_cipher(store_id, self.root.epoch, boot_nonce)?;
        let block_bytes = geometry.block_bytes();
        let mut buffer =
            memory::zeros((geometry.largest_record_blocks() as usize).saturating_mul(block_bytes))?;
        let mut changes = Records::new(geometry.transaction_bytes())?;
        // A record takes at least one block, so there are at most so many.
        for _ in 0..geometry.log_blocks() {
            let Some((header, record)) = self.read_record(volume, &mut buffer)? else {
                break;
            };
            let opened = log::open(record, header, &cipher, &self.root.digest)?;
            let Some(Opened { changes: text, digest }) = opened else { break };
            if !is_well_formed(text, true) {
                return Err(Error::Internal(Invariant::AuthenticNonsense));
            }
            changes.clear();
            changes.append(text).map_err(|_| Error::Internal(Invariant::AuthenticNonsense))?;
            apply(&mut self.state, &changes, geometry.state_bytes())?;
            self.predecessor = self.root.digest;
            self.root = FreshnessRoot { sequence: header.sequence, digest, ..self.root };
            self.span.used = self.span.used.saturating_add(u32::from(header.blocks));
            self.replayed = self.replayed.saturating_add(1);
        }
        Ok(())
    }

    /// Reads what should be the next record, if its front says so.
    fn read_record<'b, D: BlockDevice>(
        &self,
        volume: &mut Volume<D>,
        buffer: &'b mut [u8],
    ) -> Result<Option<(RecordHeader, &'b mut [u8])>, Error> {
        let geometry = &self.header.geometry;
        let free = self.span.free(geometry);
        if free == 0 {
            return Ok(None);
        }
        let broken = Error::Internal(Invariant::BufferLength);
        let block_bytes = geometry.block_bytes();
        let end = self.span.end(geometry);
        let first = buffer.get_mut(..block_bytes).ok_or(broken)?;
        volume.read_log(end, first)?;
        let Some(header) = RecordHeader::parse(first) else { return Ok(None) };
        let blocks = u32::from(header.blocks);
        let successor = header.store_id == self.header.store_id
            && header.epoch == self.root.epoch
            && Some(header.sequence) == self.root.sequence.checked_add(1)
            && (1..=geometry.largest_record_blocks().min(free)).contains(&blocks);
        if !successor {
            return Ok(None);
        }
        let bytes = usize::from(header.blocks).saturating_mul(block_bytes);
        let record = buffer.get_mut(..bytes).ok_or(broken)?;
        let rest = record.get_mut(block_bytes..).ok_or(broken)?;
        if !rest.is_empty() {
            volume.read_log(ring_block(geometry, end, 1), rest)?;
        }
        Ok(Some((header, record)))
    }

    /// Searches the free part of the log for a record that comes after the end, and says whether
    /// the end looks like a commit that was not completed.
    fn look_beyond<D: BlockDevice>(&self, volume: &mut Volume<D>) -> Result<bool, Error> {
        let geometry = self.header.geometry;
        let block_bytes = geometry.block_bytes();
        let chunk_blocks = geometry.largest_record_blocks().clamp(8, 64);
        let mut buffer = memory::zeros((chunk_blocks as usize).saturating_mul(block_bytes))?;
        let mut torn_tail = false;
        let mut distance = self.span.used;
        while distance < geometry.log_blocks() {
            let blocks = chunk_blocks.min(geometry.log_blocks().saturating_sub(distance));
            let bytes = (blocks as usize).saturating_mul(block_bytes);
            let chunk = buffer.get_mut(..bytes).ok_or(Error::Internal(Invariant::BufferLength))?;
            volume.read_log(ring_block(&geometry, self.span.start, distance), chunk)?;
            for (at, block) in (distance..).zip(chunk.chunks(block_bytes.max(1))) {
                torn_tail |= self.judge_beyond(at == self.span.used, block)?;
            }
            distance = distance.saturating_add(blocks);
        }
        Ok(torn_tail)
    }

    /// Whether a free block holds the beginning of an incomplete commit; an error when it holds a
    /// later one.
    fn judge_beyond(&self, at_end: bool, block: &[u8]) -> Result<bool, Error> {
        let recovered = self.root.sequence;
        match RecordHeader::parse(block) {
            Some(header)
                if header.store_id == self.header.store_id && header.sequence > recovered =>
            {
                if at_end && Some(header.sequence) == recovered.checked_add(1) {
                    return Ok(true);
                }
                let found = header.sequence;
                Err(Error::Tampered(Evidence::LostCommit { recovered, found }))
            }
            _ => Ok(false),
        }
    }
}

/// Compares what was recovered with the anchor. The disk may be one step ahead: that step was
/// durable and not yet anchored when the power went. It is anchored now, before anything follows
/// it.
fn check_freshness<A: Anchor>(
    anchor: &mut A,
    found: &FreshnessRoot,
    predecessor: &[u8; DIGEST_BYTES],
) -> Result<(), Error> {
    let rolled_back = |anchored| Err(Error::RolledBack { anchored, found: Some(*found) });
    match anchor.read()? {
        Anchored::Nowhere => Ok(()),
        // Formatting and the first opening promise nothing before the anchor knows of them.
        Anchored::Unset if found.sequence <= 1 => Ok(anchor.advance(found)?),
        Anchored::Unset => rolled_back(None),
        Anchored::At(anchored) if anchored == *found => Ok(()),
        Anchored::At(anchored) => {
            let ahead = found.sequence.checked_sub(anchored.sequence);
            match ahead {
                Some(1) if *predecessor == anchored.digest => Ok(anchor.advance(found)?),
                None | Some(0 | 1) => rolled_back(Some(anchored)),
                Some(_) => Err(Error::AnchorBehind { anchored, found: *found }),
            }
        }
    }
}
