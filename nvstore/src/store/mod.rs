// SPDX-License-Identifier: MIT OR Apache-2.0
//! An open store: how it is opened, and what it knows.
//!
//! Reads come from memory alone. `commit` has what writes to the log and compacts it,
//! `key_change` what replaces the master key.

mod commit;
mod key_change;

pub use commit::Maintenance;
pub(crate) use commit::apply;

extern crate alloc;
use alloc::vec::Vec;

use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

use crate::anchor::{Anchor, FreshnessRoot};
use crate::checkpoint::Checkpoint;
use crate::device::BlockDevice;
use crate::error::{Error, Invariant};
use crate::geometry::{Capacity, Geometry};
use crate::header::Header;
use crate::log::Span;
use crate::memory;
use crate::records::{Change, Records};
use crate::seal::{
    BootNonce, Cipher, DIGEST_BYTES, KeyLabel, StoreId, StoreKey, WrappedKey, chain_epoch,
};
use crate::transaction::Transaction;
use crate::volume::Volume;

/// An open store. All of its memory was allocated when it was opened.
///
/// The first error of the device or of the anchor stops it: what became durable is then known only
/// to a recovery, and a second attempt could seal two texts under one nonce.
pub struct Store<D, A> {
    volume: Volume<D>,
    anchor: A,
    identity: Identity,
    epoch: Epoch,
    root: FreshnessRoot,
    predecessor: [u8; DIGEST_BYTES],
    generation: u64,
    /// The checkpoint that a recovery would start from; there is one from the first flush on.
    active: Option<Header>,
    span: Span,
    pub(crate) state: Records,
    pub(crate) staged: Records,
    checkpoint: Checkpoint,
    record: Zeroizing<Vec<u8>>,
    stopped: bool,
    recovery: Recovery,
}

/// What stays the same from epoch to epoch, until keys are changed.
pub(crate) struct Identity {
    pub(crate) store_id: StoreId,
    pub(crate) store_key: StoreKey,
    pub(crate) label: KeyLabel,
    pub(crate) wrapped_key: WrappedKey,
}

/// An opening of the store, from recovery to power-off.
struct Epoch {
    boot_nonce: BootNonce,
    cipher: Cipher,
}

/// The end of what a recovery (or formatting) found, from which a store goes on.
pub(crate) struct Past {
    pub(crate) identity: Identity,
    pub(crate) generation: u64,
    pub(crate) root: FreshnessRoot,
    pub(crate) span: Span,
    pub(crate) state: Records,
    pub(crate) recovery: Recovery,
}

/// What a recovery found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The history that was on the disk, before this opening became part of it.
    pub root: FreshnessRoot,
    /// Commits that were read from the log.
    pub replayed: u32,
    /// Whether the log ended in a commit that was never acknowledged, or in damage that looks
    /// alike.
    pub torn_tail: bool,
}

impl<D: BlockDevice, A: Anchor> Store<D, A> {
    /// Opens a new epoch on what was recovered: a fresh boot nonce, and a checkpoint that makes it
    /// durable before the first record is sealed.
    pub(crate) fn open(
        volume: Volume<D>,
        anchor: A,
        past: Past,
        random: &mut impl TryCryptoRng,
    ) -> Result<Self, Error> {
        let Past { identity, generation, root, span, state, recovery } = past;
        let geometry = *volume.geometry();
        let epoch = Epoch::draw(&identity, root.epoch, random)?;
        let mut store = Self {
            anchor,
            identity,
            epoch,
            root,
            predecessor: root.digest,
            generation,
            active: None,
            span,
            state,
            staged: Records::new(geometry.transaction_bytes())?,
            checkpoint: Checkpoint::new(&geometry)?,
            record: memory::zeros(
                geometry.largest_record_blocks() as usize * geometry.block_bytes(),
            )?,
            stopped: false,
            recovery,
            volume,
        };
        store.begin_epoch()?;
        Ok(store)
    }

    /// The value of a record, as of the last commit.
    #[must_use]
    pub fn value(&self, name: &[u8]) -> Option<&[u8]> {
        match self.state.find(name)? {
            Change::Put(value) => Some(value),
            Change::Delete => None,
        }
    }

    /// All records by ascending name, as of the last commit.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.state.iter().filter_map(|located| match located.change {
            Change::Put(value) => Some((located.name, value)),
            Change::Delete => None,
        })
    }

    /// The history up to the last commit: what attestation carries.
    #[must_use]
    pub fn root(&self) -> FreshnessRoot {
        self.root
    }

    /// What the recovery that opened this store found.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// How much the store can hold.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        self.volume.geometry().capacity()
    }

    /// Bytes that the records take, counted as [`Capacity::state_bytes`] counts.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.state.bytes()
    }

    /// Starts a transaction. It changes nothing until it is committed.
    pub fn transaction(&mut self) -> Transaction<'_, D, A> {
        self.staged.clear();
        Transaction::new(self)
    }

    /// Goes on with the transaction that was suspended; without one, starts one.
    pub fn resume(&mut self) -> Transaction<'_, D, A> {
        Transaction::new(self)
    }

    /// Which master key the disk's copy of the store key takes, as its supplier noted it.
    #[must_use]
    pub fn label(&self) -> KeyLabel {
        self.identity.label
    }

    /// The device underneath.
    pub fn device(&self) -> &D {
        self.volume.device()
    }

    /// Ends the use of the store and gives the device back. Nothing is written: every commit is
    /// durable already.
    pub fn into_device(self) -> D {
        self.volume.into_device()
    }

    /// Runs an operation that writes; its first failure stops the store.
    fn guarded<T>(
        &mut self,
        operation: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.stopped {
            return Err(Error::Stopped);
        }
        self.stopped = true;
        let result = operation(self)?;
        self.stopped = false;
        Ok(result)
    }

    /// Makes the epoch that was drawn the current one.
    fn begin_epoch(&mut self) -> Result<(), Error> {
        let epoch = next(self.root.epoch)?;
        let root = FreshnessRoot {
            epoch,
            sequence: next(self.root.sequence)?,
            digest: chain_epoch(&self.root.digest, epoch, &self.epoch.boot_nonce),
        };
        self.predecessor = self.root.digest;
        self.root = root;
        self.start_checkpoint()?;
        self.finish_checkpoint()?;
        Ok(self.anchor.advance(&root)?)
    }
}

impl Epoch {
    /// Draws the boot nonce of the epoch after `previous`.
    fn draw(
        identity: &Identity,
        previous: u64,
        random: &mut impl TryCryptoRng,
    ) -> Result<Self, Error> {
        let boot_nonce = draw::<32>(random)?;
        let Identity { store_id, store_key, .. } = identity;
        let cipher = store_key.log_cipher(store_id, next(previous)?, &boot_nonce)?;
        Ok(Self { boot_nonce, cipher })
    }
}

/// The state's memory: its limit, and as much again as a transaction may add before it deletes.
pub(crate) fn new_state(geometry: &Geometry) -> Result<Records, Error> {
    Records::new(geometry.state_bytes().saturating_add(geometry.transaction_bytes()))
}

fn next(counter: u64) -> Result<u64, Error> {
    counter.checked_add(1).ok_or(Error::Internal(Invariant::CounterExhausted))
}

/// Bytes that need to be fresh, not secret.
pub(crate) fn draw<const N: usize>(random: &mut impl TryCryptoRng) -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    random.try_fill_bytes(&mut bytes).map_err(|_| Error::Randomness)?;
    Ok(bytes)
}

/// Bytes of a key.
pub(crate) fn draw_secret(random: &mut impl TryCryptoRng) -> Result<Zeroizing<[u8; 32]>, Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    random.try_fill_bytes(&mut *bytes).map_err(|_| Error::Randomness)?;
    Ok(bytes)
}
