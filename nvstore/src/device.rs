// SPDX-License-Identifier: MIT OR Apache-2.0
//! The block device under the store, and what is assumed of it.
//!
//! Next to nothing is assumed. Until [`BlockDevice::flush`] returns, each block that was written
//! may hold, after a loss of power, its old bytes, its new bytes or any mixture of the two,
//! independently of every other block. Once `flush` has returned, what was written before it stays.
//! A write never changes a block outside its range. Blocks that were read are an allegation of the
//! host: the store copies them once into its own memory and authenticates them there.

/// A disk made of equal blocks.
pub trait BlockDevice {
    /// Bytes in a block: 512 or 4096. Must not change while the store uses the device.
    fn block_bytes(&self) -> usize;

    /// How many blocks the device has. Must not change while the store uses the device.
    fn block_count(&self) -> u64;

    /// Fills `into`, a whole number of blocks, from `first_block` on.
    ///
    /// # Errors
    /// Any error leaves the content of `into` unspecified.
    fn read(&mut self, first_block: u64, into: &mut [u8]) -> Result<(), DeviceError>;

    /// Writes `from`, a whole number of blocks, from `first_block` on.
    ///
    /// # Errors
    /// After an error each block of the range may hold old, new or mixed bytes.
    fn write(&mut self, first_block: u64, from: &[u8]) -> Result<(), DeviceError>;

    /// Makes every earlier write durable.
    ///
    /// # Errors
    /// After an error nothing is known about the writes since the last successful flush.
    fn flush(&mut self) -> Result<(), DeviceError>;
}

impl<D: BlockDevice + ?Sized> BlockDevice for &mut D {
    fn block_bytes(&self) -> usize {
        (**self).block_bytes()
    }
    fn block_count(&self) -> u64 {
        (**self).block_count()
    }
    fn read(&mut self, first_block: u64, into: &mut [u8]) -> Result<(), DeviceError> {
        (**self).read(first_block, into)
    }
    fn write(&mut self, first_block: u64, from: &[u8]) -> Result<(), DeviceError> {
        (**self).write(first_block, from)
    }
    fn flush(&mut self) -> Result<(), DeviceError> {
        (**self).flush()
    }
}

/// Why a device did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// The range does not lie on the device, or is not a whole number of blocks.
    OutOfRange,
    /// The device reported that the operation failed.
    Failed,
    /// The device did not answer in the time that its driver allows.
    TimedOut,
    /// The device can't be written.
    ReadOnly,
}
