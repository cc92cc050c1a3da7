// SPDX-License-Identifier: MIT OR Apache-2.0
//! The disk that the host names for the TPM's state.

use super::kernel_machine::World;
use super::start::uptime_ms;
use crate::device::host_registers::{HostConfigSpace, HostRegisters};
use crate::device::virtio::block::VirtioBlock;
use crate::device::virtio::mmio::MmioTransport;
use crate::device::virtio::pci::PciTransport;
use crate::device::virtio::{Transport, VirtioError};
use crate::memory::shared::SharedPages;
use crate::snp::page_state::allocate_shared;
use alloc::boxed::Box;
use core::ops::Range;
use snp_abi::disk::{DISK_FILE, DISK_FILE_BYTES_MAX, DiskPlace};

/// A disk, wherever its registers are.
pub(super) type Disk = VirtioBlock<Box<dyn Transport + Send>, SharedPages>;

/// Shared pages: one for the queue, sixteen for data.
const PAGES: usize = 17;

/// The disk; `None` when the host names none.
///
/// # Errors
/// It named one that can't be used.
pub(super) fn find(world: &World) -> Result<Option<Disk>, VirtioError> {
    let Some(place) = place(world)? else { return Ok(None) };
    let transport: Box<dyn Transport + Send> = match place {
        DiskPlace::Pci { device, function } => {
            let mut config = HostConfigSpace::new(device, function);
            Box::new(PciTransport::find(&mut config, hole(world), HostRegisters)?)
        }
        DiskPlace::Mmio { address } => Box::new(MmioTransport::find(address, HostRegisters)?),
    };
    let pages = allocate_shared(PAGES).map_err(|error| {
        crate::error!("disk: {error:?}");
        VirtioError::Host
    })?;
    VirtioBlock::start(transport, pages, uptime_ms).map(Some)
}

/// Addresses that a PC's host leaves to PCI: behind its window to configuration spaces, and before
/// the interrupt controllers.
const HOLE: Range<u64> = 0xe000_0000..0xfc00_0000;

/// Where registers that have no address yet can go: not on memory.
fn hole(world: &World) -> Range<u64> {
    let below = world.map.ram().filter(|(start, _)| *start < HOLE.end).map(|(_, end)| end);
    below.max().unwrap_or(0).max(HOLE.start)..HOLE.end
}

/// What the host's file says.
fn place(world: &World) -> Result<Option<DiskPlace>, VirtioError> {
    let mut files = world.files.lock();
    let Some(files) = files.as_mut() else { return Ok(None) };
    let Ok(size) = files.size(DISK_FILE) else { return Ok(None) };
    let mut text = [0; DISK_FILE_BYTES_MAX];
    let length = usize::try_from(size).map_err(|_| VirtioError::NotADisk)?;
    let text = text.get_mut(..length).ok_or(VirtioError::NotADisk)?;
    files.read(DISK_FILE, 0, text).map_err(|_| VirtioError::Host)?;
    DiskPlace::parse(text).map(Some).ok_or(VirtioError::NotADisk)
}
