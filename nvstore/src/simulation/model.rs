// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a store should hold: a map, and random changes to it.

use std::collections::BTreeMap;
use std::vec::Vec;

use super::disk::SimulatedDisk;
use super::random::SimulatedRandom;
use crate::{
    Anchor, BlockDevice, Capacity, Error, Examined, FreshnessRoot, MasterKey, Store, Transaction,
    Unrecovered,
};

/// Records by name.
pub type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Changes that belong together: a value to put, or none to delete.
pub type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// The shape of a store under test.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Bytes in a block.
    pub block_bytes: usize,
    /// What it is formatted with.
    pub capacity: Capacity,
    /// Blocks of the device.
    pub blocks: usize,
    /// How many names random changes choose from.
    pub names: usize,
}

impl Shape {
    /// Fine blocks, records of one to three blocks, checkpoints of up to two units.
    pub const FINE: Self = Self {
        block_bytes: 512,
        capacity: Capacity { state_bytes: 6000, transaction_bytes: 1400, log_blocks: 24 },
        blocks: 88,
        names: 16,
    };
    /// Coarse blocks, records of one block, checkpoints of one unit.
    pub const COARSE: Self = Self {
        block_bytes: 4096,
        capacity: Capacity { state_bytes: 3000, transaction_bytes: 1400, log_blocks: 8 },
        blocks: 14,
        names: 8,
    };
    /// Records of up to eight blocks, checkpoints of up to six units.
    pub const WIDE: Self = Self {
        block_bytes: 512,
        capacity: Capacity { state_bytes: 24_000, transaction_bytes: 4000, log_blocks: 64 },
        blocks: 192,
        names: 64,
    };
    /// A log so short for the state that compaction has to hurry.
    pub const SHORT: Self = Self {
        block_bytes: 4096,
        capacity: Capacity { state_bytes: 24_000, transaction_bytes: 4000, log_blocks: 8 },
        blocks: 24,
        names: 64,
    };
    /// As small as it gets: records of one block, checkpoints of one unit.
    pub const TINY: Self = Self {
        block_bytes: 512,
        capacity: Capacity { state_bytes: 1200, transaction_bytes: 400, log_blocks: 8 },
        blocks: 56,
        names: 8,
    };

    /// An empty disk of this shape.
    #[must_use]
    pub fn blank(&self) -> SimulatedDisk {
        SimulatedDisk::blank(self.block_bytes, self.blocks)
    }
}

/// A master key for tests.
#[must_use]
pub fn master_key(number: u8) -> MasterKey {
    MasterKey::new([number; 32].into())
}

/// Opens a disk, formatting it if it is empty.
///
/// # Errors
/// Whatever the store answers.
pub fn open<D: BlockDevice, A: Anchor>(
    disk: D,
    capacity: Capacity,
    master: &MasterKey,
    anchor: A,
    random: &mut SimulatedRandom,
) -> Result<Store<D, A>, Error> {
    match Unrecovered::new(disk).examine(capacity)? {
        Examined::Unformatted(disk) => disk.format(master, anchor, random),
        Examined::Formatted(disk) => disk.recover(master, anchor, random),
    }
}

/// Whether the store holds exactly this.
pub fn holds<D: BlockDevice, A: Anchor>(store: &Store<D, A>, model: &Model) -> bool {
    let expected = model.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    store.iter().eq(expected)
}

/// Random changes that nearly always fit a transaction of this shape.
pub fn draw_changes(random: &mut SimulatedRandom, shape: &Shape) -> Changes {
    let value_bytes = shape.capacity.transaction_bytes as usize * 3 / 10;
    let count = 1 + random.below(3);
    let mut changes = Changes::new();
    for _ in 0..count {
        let number = random.below(shape.names);
        let name = std::format!("record-{number}").into_bytes();
        let length = if random.one_in(2) { value_bytes } else { 1 + value_bytes / 4 };
        let length = random.below(length + 1);
        let value = (!random.one_in(5)).then(|| random.bytes(length));
        changes.push((name, value));
    }
    changes
}

/// The model after the changes.
#[must_use]
pub fn after(model: &Model, changes: &Changes) -> Model {
    let mut next = model.clone();
    for (name, value) in changes {
        match value {
            Some(value) => next.insert(name.clone(), value.clone()),
            None => next.remove(name),
        };
    }
    next
}

/// Commits the changes as one transaction.
///
/// # Errors
/// Whatever the store answers.
pub fn commit<D: BlockDevice, A: Anchor>(
    store: &mut Store<D, A>,
    changes: &Changes,
) -> Result<FreshnessRoot, Error> {
    let mut transaction: Transaction<'_, D, A> = store.transaction();
    for (name, value) in changes {
        match value {
            Some(value) => transaction.put(name, value)?,
            None => transaction.delete(name)?,
        }
    }
    transaction.commit()
}
