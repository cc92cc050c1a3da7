// SPDX-License-Identifier: MIT OR Apache-2.0
//! The parts of the disk by name: header slots, checkpoint units, the ring of the log.

use crate::device::BlockDevice;
use crate::error::{Error, GeometryFault, Invariant};
use crate::geometry::{Geometry, UNIT_BYTES};
use crate::header::Header;
use crate::log::ring_block;

/// A device that has the blocks its geometry needs.
pub(crate) struct Volume<D> {
    device: D,
    geometry: Geometry,
}

impl<D: BlockDevice> Volume<D> {
    pub(crate) fn new(device: D, geometry: Geometry) -> Result<Self, Error> {
        if device.block_bytes() != geometry.block_bytes() {
            return Err(Error::Geometry(GeometryFault::BlockSize));
        }
        if device.block_count() < geometry.total_blocks() {
            return Err(Error::Geometry(GeometryFault::TooSmall));
        }
        Ok(Self { device, geometry })
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    pub(crate) fn device(&self) -> &D {
        &self.device
    }

    pub(crate) fn into_device(self) -> D {
        self.device
    }

    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        Ok(self.device.flush()?)
    }

    /// Writes one block to a header slot.
    pub(crate) fn write_slot(&mut self, slot: usize, block: &[u8]) -> Result<(), Error> {
        Ok(self.device.write(Geometry::header_block(self.geometry.block_bytes(), slot), block)?)
    }

    pub(crate) fn read_unit(
        &mut self,
        generation: u64,
        index: u32,
        unit: &mut [u8; UNIT_BYTES],
    ) -> Result<(), Error> {
        let block = self.geometry.unit_block(Header::area(generation), index);
        Ok(self.device.read(block, unit)?)
    }

    pub(crate) fn write_unit(
        &mut self,
        generation: u64,
        index: u32,
        unit: &[u8; UNIT_BYTES],
    ) -> Result<(), Error> {
        let block = self.geometry.unit_block(Header::area(generation), index);
        Ok(self.device.write(block, unit)?)
    }

    /// Reads whole blocks of the ring from block `first` on, around its end if need be.
    pub(crate) fn read_log(&mut self, first: u32, into: &mut [u8]) -> Result<(), Error> {
        let broken = Error::Internal(Invariant::BufferLength);
        let before_end = self.bytes_before_end(first, into.len());
        let (front, back) = into.split_at_mut_checked(before_end).ok_or(broken)?;
        let log = self.geometry.log_block();
        self.device.read(log + u64::from(ring_block(&self.geometry, first, 0)), front)?;
        if !back.is_empty() {
            self.device.read(log, back)?;
        }
        Ok(())
    }

    /// Writes whole blocks of the ring from block `first` on, around its end if need be.
    pub(crate) fn write_log(&mut self, first: u32, from: &[u8]) -> Result<(), Error> {
        let broken = Error::Internal(Invariant::BufferLength);
        let before_end = self.bytes_before_end(first, from.len());
        let (front, back) = from.split_at_checked(before_end).ok_or(broken)?;
        let log = self.geometry.log_block();
        self.device.write(log + u64::from(ring_block(&self.geometry, first, 0)), front)?;
        if !back.is_empty() {
            self.device.write(log, back)?;
        }
        Ok(())
    }

    /// How many of `bytes` bytes from ring block `first` on lie before the ring's end.
    fn bytes_before_end(&self, first: u32, bytes: usize) -> usize {
        let blocks =
            self.geometry.log_blocks().saturating_sub(ring_block(&self.geometry, first, 0));
        (blocks as usize).saturating_mul(self.geometry.block_bytes()).min(bytes)
    }
}
