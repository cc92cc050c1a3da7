// SPDX-License-Identifier: MIT OR Apache-2.0
//! A disk of the host's by virtio (OASIS Virtual I/O Device, version 1.2), without interrupts and
//! with one request at a time.
//!
//! ```text
//! block   requests, sizes, the store's block device          5.2
//! queue   one split virtqueue in shared pages                2.7
//! pci, mmio   where the registers are                        4.1, 4.2
//! bars    addresses for them where nobody has given any
//! ```
//! The host owns the device and may answer anything at any time. Nothing it writes is used as an
//! index, an address or a length; each number is read once and compared with the one value that is
//! right; a device that breaks the rules or does not answer in time is never spoken to again. What
//! was read from the disk is an allegation that the store checks.

#![forbid(unsafe_code)]

mod bars;
pub mod block;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod fake_registers;
pub mod mmio;
pub mod pci;
mod queue;

use crate::machine::HostFault;

/// Why a device is not used, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VirtioError {
    /// The hypervisor refuses an access to the device's registers.
    Host,
    /// It is not a virtio disk of version 1.
    NotADisk,
    /// The registers are not where they may be: a malformed or missing capability.
    Capability,
    /// The device's registers have no address, and there is no room to give them one.
    Unassigned,
    /// It lacks what the driver needs: version 1, flush.
    Features,
    /// The disk can't be written.
    ReadOnly,
    /// Blocks of a size that the store can't use, or fewer than one.
    Geometry,
    /// It broke the rules of the queue.
    Protocol,
    /// It did not answer in time.
    TimedOut,
    /// A range leaves the shared memory: a mistake of the driver's.
    OutOfRange,
}

impl From<HostFault> for VirtioError {
    fn from(_: HostFault) -> Self {
        Self::Host
    }
}

/// Width of a register in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named by their sizes")]
pub enum Width {
    Byte = 1,
    Half = 2,
    Word = 4,
}

/// Device registers by guest-physical address. All of them are the host's.
pub trait Registers {
    /// Reads a register.
    ///
    /// # Errors
    /// The hypervisor's.
    fn read(&mut self, address: u64, width: Width) -> Result<u32, HostFault>;

    /// Writes a register.
    ///
    /// # Errors
    /// The hypervisor's.
    fn write(&mut self, address: u64, width: Width, value: u32) -> Result<(), HostFault>;
}

/// Memory that the device reads and writes too.
pub trait DeviceMemory {
    /// Its address for the device; page aligned.
    fn address(&self) -> u64;

    /// Bytes in all.
    fn size(&self) -> usize;

    /// Copies out, each byte once.
    ///
    /// # Errors
    /// `OutOfRange`.
    fn read(&self, offset: usize, buffer: &mut [u8]) -> Result<(), VirtioError>;

    /// Copies in.
    ///
    /// # Errors
    /// `OutOfRange`.
    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), VirtioError>;

    /// Reads two bytes, little endian, in one access; `offset` is even.
    ///
    /// # Errors
    /// `OutOfRange`.
    fn read_half(&self, offset: usize) -> Result<u16, VirtioError>;

    /// Writes two bytes in one access; `offset` is even.
    ///
    /// # Errors
    /// `OutOfRange`.
    fn write_half(&mut self, offset: usize, value: u16) -> Result<(), VirtioError>;
}

/// Where the parts of a queue are, for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueAddresses {
    /// Descriptor table.
    pub descriptors: u64,
    /// What the driver offers.
    pub available: u64,
    /// What the device has used.
    pub used: u64,
}

/// A device's registers, wherever they are (4.1.4.3, 4.2.2). There is one queue, number 0.
pub trait Transport {
    /// Bits 31:0 (`half` 0) or 63:32 (1) of what the device offers.
    ///
    /// # Errors
    /// `Host`.
    fn device_features(&mut self, half: u32) -> Result<u32, VirtioError>;

    /// Says what the driver takes of it.
    ///
    /// # Errors
    /// `Host`.
    fn set_driver_features(&mut self, half: u32, features: u32) -> Result<(), VirtioError>;

    /// The device status (2.1).
    ///
    /// # Errors
    /// `Host`.
    fn status(&mut self) -> Result<u32, VirtioError>;

    /// Sets the device status; 0 resets the device.
    ///
    /// # Errors
    /// `Host`.
    fn set_status(&mut self, status: u8) -> Result<(), VirtioError>;

    /// The largest size of the queue.
    ///
    /// # Errors
    /// `Host`.
    fn queue_size_max(&mut self) -> Result<u32, VirtioError>;

    /// Puts the queue into use.
    ///
    /// # Errors
    /// `Host`; `Capability` when it can't be notified.
    fn start_queue(&mut self, size: u16, addresses: QueueAddresses) -> Result<(), VirtioError>;

    /// Says that there is something in the queue.
    ///
    /// # Errors
    /// `Host`.
    fn notify(&mut self) -> Result<(), VirtioError>;

    /// A field of the device's configuration, at a multiple of 4 below 24.
    ///
    /// # Errors
    /// `Host`.
    fn config(&mut self, offset: u8) -> Result<u32, VirtioError>;

    /// Changes whenever the configuration does.
    ///
    /// # Errors
    /// `Host`.
    fn config_generation(&mut self) -> Result<u32, VirtioError>;
}

impl<T: Transport + ?Sized> Transport for alloc::boxed::Box<T> {
    fn device_features(&mut self, half: u32) -> Result<u32, VirtioError> {
        (**self).device_features(half)
    }
    fn set_driver_features(&mut self, half: u32, features: u32) -> Result<(), VirtioError> {
        (**self).set_driver_features(half, features)
    }
    fn status(&mut self) -> Result<u32, VirtioError> {
        (**self).status()
    }
    fn set_status(&mut self, status: u8) -> Result<(), VirtioError> {
        (**self).set_status(status)
    }
    fn queue_size_max(&mut self) -> Result<u32, VirtioError> {
        (**self).queue_size_max()
    }
    fn start_queue(&mut self, size: u16, addresses: QueueAddresses) -> Result<(), VirtioError> {
        (**self).start_queue(size, addresses)
    }
    fn notify(&mut self) -> Result<(), VirtioError> {
        (**self).notify()
    }
    fn config(&mut self, offset: u8) -> Result<u32, VirtioError> {
        (**self).config(offset)
    }
    fn config_generation(&mut self) -> Result<u32, VirtioError> {
        (**self).config_generation()
    }
}

/// Bytes of a disk's configuration that the driver looks at (5.2.4).
const CONFIG_BYTES: u32 = 24;
