// SPDX-License-Identifier: MIT OR Apache-2.0
//! The firmware configuration device's DMA interface, over shared pages: the access structure at
//! the start of the first, data in those behind it.

use super::fw_cfg::Transfer;
use crate::cpu::per_cpu;
use crate::machine::FileFault;
use crate::memory::shared::SharedPages;
use crate::memory::{PAGE_BYTES, PAGE_SIZE};
use crate::snp::page_state::{PageStateError, allocate_shared};
use snp_abi::fw_cfg::{DmaAccess, DmaControl, PORT_DMA_HIGH, PORT_DMA_LOW};
use snp_abi::ghcb::PortSize;
use zerocopy::IntoBytes;
use zerocopy::big_endian::{U32, U64};

/// Pages for data: 64 KiB in one transfer.
const DATA_PAGES: usize = 16;
/// Looks at the control word before the device counts as dead. QEMU is done at the first.
const POLLS_MAX: usize = 10_000;

/// The interface.
#[derive(Debug)]
pub struct DmaTransfer {
    pages: SharedPages,
}

impl DmaTransfer {
    /// Takes the shared pages that it needs.
    ///
    /// # Errors
    /// No memory, or the hypervisor does not share it.
    pub fn new() -> Result<Self, PageStateError> {
        Ok(Self { pages: allocate_shared(1 + DATA_PAGES)? })
    }

    fn control(&self) -> Result<u32, FileFault> {
        let mut word = [0; 4];
        self.pages.read(0, &mut word).map_err(|_| FileFault::Host)?;
        Ok(u32::from_be_bytes(word))
    }
}

impl Transfer for DmaTransfer {
    fn capacity(&self) -> usize {
        self.pages.size() - PAGE_BYTES
    }

    fn run(&mut self, control: u32, length: u32) -> Result<(), FileFault> {
        let access = DmaAccess {
            control: U32::new(control),
            length: U32::new(length),
            address: U64::new(self.pages.address() + PAGE_SIZE),
        };
        self.pages.write(0, access.as_bytes()).map_err(|_| FileFault::Host)?;
        // Both halves are big endian in the registers.
        let address = self.pages.address();
        let high = ((address >> 32) as u32).swap_bytes();
        let low = ((address & 0xffff_ffff) as u32).swap_bytes();
        let ghcb = &per_cpu::current().ghcb;
        ghcb.port_write(PORT_DMA_HIGH, PortSize::Long, high).map_err(|_| FileFault::Host)?;
        ghcb.port_write(PORT_DMA_LOW, PortSize::Long, low).map_err(|_| FileFault::Host)?;
        for _ in 0..POLLS_MAX {
            match self.control()? {
                0 => return Ok(()),
                word if word & DmaControl::ERROR.bits() != 0 => return Err(FileFault::Host),
                _ => core::hint::spin_loop(),
            }
        }
        Err(FileFault::Host)
    }

    fn copy_out(&self, buffer: &mut [u8]) -> Result<(), FileFault> {
        self.pages.read(PAGE_BYTES, buffer).map_err(|_| FileFault::Host)
    }
}
