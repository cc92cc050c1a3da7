// SPDX-License-Identifier: MIT OR Apache-2.0
//! The [`Machine`] of the real world: what protocols and payload ask for, done with the kernel's
//! means. An address goes to the machine only if it is the guest's RAM and, for copies, if every
//! page of it is validated.

#![forbid(unsafe_code)]

use super::memory_map::GuestMemoryMap;
use super::vcpu_list::VcpuList;
use crate::device::fw_cfg::FwCfg;
use crate::device::fw_cfg_dma::DmaTransfer;
use crate::log;
use crate::machine::{
    FileFault, GuestFault, HostFault, Machine, MemoryRange, Page, PageState, Permissions, RmpFault,
    Validation,
};
use crate::memory::guest;
use crate::memory::validated::ValidatedPages;
use crate::snp::page_state;
use spin::Mutex;

/// What all CPUs share.
pub(super) struct World {
    /// Whose memory is whose.
    pub(super) map: GuestMemoryMap,
    /// Which of the guest's pages are private and validated.
    pub(super) validated: ValidatedPages,
    /// The guest's vCPUs.
    pub(super) vcpus: VcpuList,
    /// The vCPU that is not the guest's, if there is one.
    pub(super) service_vcpu: Option<u32>,
    /// SEV_STATUS >> 2.
    pub(super) sev_features: u64,
    /// The guest's VMPL.
    pub(super) guest_vmpl: u8,
    /// The firmware configuration device, while the payload is fetched.
    pub(super) files: Mutex<Option<FwCfg<DmaTransfer>>>,
}

/// The machine as one CPU uses it.
pub(super) struct KernelMachine<'world> {
    world: &'world World,
}

impl<'world> KernelMachine<'world> {
    /// The machine.
    pub(super) const fn new(world: &'world World) -> Self {
        Self { world }
    }

    /// A range that may be touched: the guest's RAM, all of it private and validated.
    fn check(&self, address: u64, length: usize) -> Result<(), GuestFault> {
        let length = u64::try_from(length).map_err(|_| GuestFault)?;
        if self.world.map.is_ram(address, length) && self.world.validated.covers(address, length) {
            Ok(())
        } else {
            Err(GuestFault)
        }
    }

    fn check_ram(&self, page: Page) -> Result<(), RmpFault> {
        let is_ram = self.world.map.is_ram(page.address(), page.size().bytes());
        if is_ram { Ok(()) } else { Err(RmpFault::Input) }
    }
}

impl Machine for KernelMachine<'_> {
    fn read_guest(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), GuestFault> {
        if buffer.is_empty() {
            return Ok(());
        }
        self.check(address, buffer.len())?;
        guest::read(address, buffer)
    }

    fn write_guest(&mut self, address: u64, bytes: &[u8]) -> Result<(), GuestFault> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.check(address, bytes.len())?;
        guest::write(address, bytes)
    }

    fn zero_page(&mut self, page: Page) -> Result<(), GuestFault> {
        let length = usize::try_from(page.size().bytes()).map_err(|_| GuestFault)?;
        self.check(page.address(), length)?;
        guest::zero(page)
    }

    fn pvalidate(&mut self, page: Page, validate: bool) -> Result<Validation, RmpFault> {
        self.check_ram(page)?;
        self.world.validated.pvalidate(page, validate, || guest::pvalidate(page, validate))
    }

    fn rmpadjust(
        &mut self,
        page: Page,
        vmpl: u8,
        permissions: Permissions,
        vmsa: bool,
    ) -> Result<(), RmpFault> {
        self.check_ram(page)?;
        // What isn't validated has no permissions to speak of.
        if !self.world.validated.covers(page.address(), page.size().bytes()) {
            return Err(RmpFault::NotValidated);
        }
        guest::rmpadjust(page, vmpl, permissions, vmsa)
    }

    fn set_page_state(&mut self, page: Page, state: PageState) -> Result<(), HostFault> {
        if self.check_ram(page).is_err() {
            return Err(HostFault);
        }
        page_state::set_guest_page_state(page, state).map_err(|_| HostFault)
    }

    fn flush_guest_translations(&mut self) {
        page_state::flush_guest_translations();
    }

    fn is_guest_ram(&self, start: u64, length: u64) -> bool {
        self.world.map.is_ram(start, length)
    }

    fn memory_range(&self, index: usize) -> Option<MemoryRange> {
        self.world.map.range(index)
    }

    fn has_vcpu(&self, apic_id: u32) -> bool {
        self.world.vcpus.ids().contains(&apic_id)
    }

    fn sev_features(&self) -> u64 {
        self.world.sev_features
    }

    fn guest_vmpl(&self) -> u8 {
        self.world.guest_vmpl
    }

    fn file_size(&mut self, name: &str) -> Result<u32, FileFault> {
        self.world.files.lock().as_ref().ok_or(FileFault::Missing)?.size(name)
    }

    fn read_file(&mut self, name: &str, offset: u32, buffer: &mut [u8]) -> Result<(), FileFault> {
        self.world.files.lock().as_mut().ok_or(FileFault::Missing)?.read(name, offset, buffer)
    }

    fn log(&mut self, line: core::fmt::Arguments<'_>) {
        log::write(log::Level::Information, line);
    }
}
