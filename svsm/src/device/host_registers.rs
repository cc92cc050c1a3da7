// SPDX-License-Identifier: MIT OR Apache-2.0
//! Device memory and PCI configuration space through the GHCB. Both are used before the guest runs;
//! afterwards only device memory is, so that the configuration ports are the guest's.

use super::virtio::pci::ConfigSpace;
use super::virtio::{DeviceMemory, Registers, VirtioError, Width};
use crate::cpu::per_cpu;
use crate::machine::HostFault;
use crate::memory::shared::SharedPages;
use snp_abi::ghcb::PortSize;

/// PCI configuration mechanism 1.
const CONFIG_ADDRESS: u16 = 0xcf8;
const CONFIG_DATA: u16 = 0xcfc;
const CONFIG_ENABLE: u32 = 1 << 31;

/// Device registers by MMIO events.
#[derive(Clone, Copy, Debug)]
pub struct HostRegisters;

impl Registers for HostRegisters {
    fn read(&mut self, address: u64, width: Width) -> Result<u32, HostFault> {
        per_cpu::current().ghcb.mmio_read(address, width as usize).map_err(|_| HostFault)
    }

    fn write(&mut self, address: u64, width: Width, value: u32) -> Result<(), HostFault> {
        per_cpu::current().ghcb.mmio_write(address, width as usize, value).map_err(|_| HostFault)
    }
}

/// The configuration space of a function on bus 0.
#[derive(Clone, Copy, Debug)]
pub struct HostConfigSpace {
    select: u32,
}

impl HostConfigSpace {
    /// Device 0 to 31, function 0 to 7.
    pub const fn new(device: u8, function: u8) -> Self {
        let number = (device as u32 & 31) << 3 | function as u32 & 7;
        Self { select: CONFIG_ENABLE | number << 8 }
    }

    fn select(self, offset: u8) -> Result<(), HostFault> {
        let address = self.select | u32::from(offset & 0xfc);
        let ghcb = &per_cpu::current().ghcb;
        ghcb.port_write(CONFIG_ADDRESS, PortSize::Long, address).map_err(|_| HostFault)
    }
}

impl ConfigSpace for HostConfigSpace {
    fn read(&mut self, offset: u8) -> Result<u32, HostFault> {
        self.select(offset)?;
        per_cpu::current().ghcb.port_read(CONFIG_DATA, PortSize::Long).map_err(|_| HostFault)
    }

    fn write(&mut self, offset: u8, value: u32) -> Result<(), HostFault> {
        self.select(offset)?;
        let ghcb = &per_cpu::current().ghcb;
        ghcb.port_write(CONFIG_DATA, PortSize::Long, value).map_err(|_| HostFault)
    }
}

impl DeviceMemory for SharedPages {
    fn address(&self) -> u64 {
        self.address()
    }

    fn size(&self) -> usize {
        self.size()
    }

    fn read(&self, offset: usize, buffer: &mut [u8]) -> Result<(), VirtioError> {
        self.read(offset, buffer).map_err(|_| VirtioError::OutOfRange)
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), VirtioError> {
        self.write(offset, bytes).map_err(|_| VirtioError::OutOfRange)
    }

    fn read_half(&self, offset: usize) -> Result<u16, VirtioError> {
        self.read_half(offset).map_err(|_| VirtioError::OutOfRange)
    }

    fn write_half(&mut self, offset: usize, value: u16) -> Result<(), VirtioError> {
        self.write_half(offset, value).map_err(|_| VirtioError::OutOfRange)
    }
}
