// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where things lie on the disk, and how big they may be. `docs/nvstore-format.md`, "Layout".

use crate::error::{Error, GeometryFault, Limit};
use crate::log;

/// Bytes in a unit, the grain of everything but the log: 8 blocks of 512 bytes or 1 block of 4096.
pub(crate) const UNIT_BYTES: usize = 4096;
/// Bytes of state in a sealed unit; the rest is its authentication tag.
pub(crate) const UNIT_PAYLOAD_BYTES: usize = UNIT_BYTES - crate::seal::TAG_BYTES;
/// Header slots at the front of the disk: twins for each of two areas.
pub(crate) const HEADER_SLOTS: usize = 4;

/// The largest state that the format allows; bounds what a recovery may allocate.
pub const MAX_STATE_BYTES: u32 = 1 << 20;
/// The largest transaction that the format allows.
pub const MAX_TRANSACTION_BYTES: u32 = 1 << 18;
/// The longest log that the format allows; bounds the time of a recovery.
pub const MAX_LOG_BLOCKS: u32 = 1 << 13;
/// The log holds at least so many of the largest transactions.
const MIN_LOG_RECORDS: u32 = 8;

/// How much a store can hold; fixed when it is formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Bytes of all records together: for each its name, its value and 4 bytes more.
    pub state_bytes: u32,
    /// Bytes of all changes in one transaction, counted likewise; a deletion has no value.
    pub transaction_bytes: u32,
    /// Blocks of the log; at least eight of the largest transactions.
    pub log_blocks: u32,
}

impl Capacity {
    /// What a TPM needs, on a disk with blocks of `block_bytes` bytes: 448 KiB of records, 192 KiB
    /// in a transaction (TPM2_NV_GlobalWriteLock may change every index), 2 MiB of log. The disk
    /// must have 3 MiB.
    #[must_use]
    pub fn for_tpm(block_bytes: usize) -> Self {
        let log_blocks = if block_bytes == UNIT_BYTES { 512 } else { 4096 };
        Self { state_bytes: 448 << 10, transaction_bytes: 192 << 10, log_blocks }
    }
}

/// A capacity that was checked, with the block size it was checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    block_bytes: usize,
    capacity: Capacity,
}

impl Geometry {
    /// Checks a capacity against the limits of the format.
    pub(crate) fn new(block_bytes: usize, capacity: Capacity) -> Result<Self, Error> {
        if block_bytes != 512 && block_bytes != UNIT_BYTES {
            return Err(Error::Geometry(GeometryFault::BlockSize));
        }
        let geometry = Self { block_bytes, capacity };
        let within = (1..=MAX_STATE_BYTES).contains(&capacity.state_bytes)
            && (1..=MAX_TRANSACTION_BYTES).contains(&capacity.transaction_bytes)
            && capacity.log_blocks <= MAX_LOG_BLOCKS
            && capacity.log_blocks / MIN_LOG_RECORDS >= geometry.largest_record_blocks();
        if within { Ok(geometry) } else { Err(Error::Capacity(Limit::Format)) }
    }

    pub(crate) fn capacity(&self) -> Capacity {
        self.capacity
    }

    pub(crate) fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    pub(crate) fn state_bytes(&self) -> usize {
        self.capacity.state_bytes as usize
    }

    pub(crate) fn transaction_bytes(&self) -> usize {
        self.capacity.transaction_bytes as usize
    }

    pub(crate) fn log_blocks(&self) -> u32 {
        self.capacity.log_blocks
    }

    /// Blocks of the record for `change_bytes` bytes of changes.
    pub(crate) fn record_blocks(&self, change_bytes: usize) -> u32 {
        let bytes = change_bytes.saturating_add(log::OVERHEAD_BYTES);
        u32::try_from(bytes.div_ceil(self.block_bytes.max(1))).unwrap_or(u32::MAX)
    }

    pub(crate) fn largest_record_blocks(&self) -> u32 {
        self.record_blocks(self.transaction_bytes())
    }

    fn unit_blocks(&self) -> u64 {
        (UNIT_BYTES / self.block_bytes.max(1)) as u64
    }

    fn area_units(&self) -> u64 {
        self.state_bytes().div_ceil(UNIT_PAYLOAD_BYTES) as u64
    }

    /// First block of a header slot, 0 to 3.
    pub(crate) fn header_block(block_bytes: usize, slot: usize) -> u64 {
        (slot * (UNIT_BYTES / block_bytes.max(1))) as u64
    }

    /// First block of unit `index` in the body of area `area`, 0 or 1.
    pub(crate) fn unit_block(&self, area: u64, index: u32) -> u64 {
        (HEADER_SLOTS as u64 + area * self.area_units() + u64::from(index)) * self.unit_blocks()
    }

    /// First block of the log.
    pub(crate) fn log_block(&self) -> u64 {
        self.unit_block(2, 0)
    }

    /// Blocks of the whole store.
    pub(crate) fn total_blocks(&self) -> u64 {
        self.log_block() + u64::from(self.log_blocks())
    }
}

#[cfg(test)]
mod tests {
    use super::{Capacity, Geometry, MAX_STATE_BYTES, MAX_TRANSACTION_BYTES};
    use crate::error::{Error, GeometryFault, Limit};

    const SMALL: Capacity = Capacity { state_bytes: 5000, transaction_bytes: 900, log_blocks: 16 };

    #[test]
    fn odd_block_sizes_are_refused() {
        for block_bytes in [0, 1, 511, 513, 1024, 2048, 8192] {
            let refused = Geometry::new(block_bytes, SMALL);
            assert_eq!(refused, Err(Error::Geometry(GeometryFault::BlockSize)), "{block_bytes}");
        }
    }

    #[test]
    fn capacities_beyond_the_format_are_refused() {
        let beyond = [
            Capacity { state_bytes: 0, ..SMALL },
            Capacity { state_bytes: MAX_STATE_BYTES + 1, ..SMALL },
            Capacity { transaction_bytes: 0, ..SMALL },
            Capacity { transaction_bytes: MAX_TRANSACTION_BYTES + 1, ..SMALL },
            Capacity { transaction_bytes: u32::MAX, log_blocks: u32::MAX, ..SMALL },
            Capacity { log_blocks: 15, ..SMALL },
            Capacity { log_blocks: u32::MAX, ..SMALL },
        ];
        for capacity in beyond {
            let refused = Geometry::new(512, capacity);
            assert_eq!(refused, Err(Error::Capacity(Limit::Format)), "{capacity:?}");
        }
    }

    #[test]
    fn areas_lie_one_after_the_other() {
        let geometry = Geometry::new(512, SMALL).unwrap();
        assert_eq!(geometry.unit_block(0, 0), 32);
        assert_eq!(geometry.unit_block(0, 1), 40);
        assert_eq!(geometry.unit_block(1, 0), 48);
        assert_eq!(geometry.log_block(), 64);
        assert_eq!(geometry.total_blocks(), 80);
        let coarse = Geometry::new(4096, SMALL).unwrap();
        assert_eq!(coarse.unit_block(1, 0), 6);
        assert_eq!(coarse.total_blocks(), 24);
    }

    #[test]
    fn the_capacity_for_a_tpm_fits_both_block_sizes() {
        for block_bytes in [512, 4096] {
            let geometry = Geometry::new(block_bytes, Capacity::for_tpm(block_bytes)).unwrap();
            assert!(geometry.total_blocks() * (block_bytes as u64) <= 3 << 20);
        }
    }
}
