// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine for host tests: RAM with an RMP that keeps the rules of AMD 24593, 15.36, and files.

#![expect(clippy::unwrap_used, reason = "what fails here is the test")]

use super::{
    FileFault, GuestFault, HostFault, LARGE_PAGE_BYTES, Machine, MemoryKind, MemoryRange,
    PAGE_BYTES, PAGE_LENGTH as PAGE, Page, PageSize, PageState, Permissions, RmpFault, Validation,
};
use std::collections::{BTreeMap, BTreeSet};
use std::string::{String, ToString};
use std::vec::Vec;

/// End of the fake machine's RAM.
pub(crate) const MEMORY_END: u64 = 0x4000_0000;
/// The SVSM's region.
pub(crate) const SVSM_START: u64 = 0x0400_0000;
/// The SVSM's region ends here.
pub(crate) const SVSM_END: u64 = 0x0500_0000;
/// What VMSAs must carry.
pub(crate) const SEV_FEATURES: u64 = 1;
/// Number of vCPUs.
pub(crate) const VCPUS: u32 = 4;

/// One RMP entry and the page behind it.
#[derive(Clone)]
pub(crate) struct FakePage {
    pub(crate) validated: bool,
    pub(crate) permissions: [u8; 4],
    pub(crate) vmsa: bool,
    /// RMPADJUST and DELETE_VCPU must fail: the page runs on another CPU.
    pub(crate) running: bool,
    content: Vec<u8>,
}

impl FakePage {
    fn guest() -> Self {
        Self {
            validated: true,
            permissions: [0xf, 0, 0xf, 0],
            vmsa: false,
            running: false,
            content: vec![0; PAGE],
        }
    }
}

/// The machine. Every page of RAM starts validated and granted to VMPL2.
pub(crate) struct FakeMachine {
    pages: BTreeMap<u64, FakePage>,
    /// 2 MiB regions whose RMP entries are 4 KiB ones.
    small_regions: BTreeSet<u64>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) ranges: Vec<MemoryRange>,
    pub(crate) flushes: usize,
    pub(crate) reads: usize,
    pub(crate) writes: usize,
    pub(crate) log: Vec<String>,
    /// The next RMPADJUST that asks for these permissions fails.
    pub(crate) fail_rmpadjust: Option<(Permissions, RmpFault)>,
}

impl FakeMachine {
    pub(crate) fn new() -> Self {
        let range = |start, end, kind| MemoryRange { start, end, kind };
        Self {
            pages: BTreeMap::new(),
            small_regions: BTreeSet::new(),
            files: BTreeMap::new(),
            ranges: vec![
                range(0, SVSM_START, MemoryKind::GuestRam),
                range(SVSM_START, SVSM_END, MemoryKind::Reserved),
                range(SVSM_END, MEMORY_END, MemoryKind::GuestRam),
            ],
            flushes: 0,
            reads: 0,
            writes: 0,
            log: Vec::new(),
            fail_rmpadjust: None,
        }
    }

    /// The page at `address`, made on first use.
    pub(crate) fn page(&mut self, address: u64) -> &mut FakePage {
        self.pages.entry(address / PAGE_BYTES).or_insert_with(FakePage::guest)
    }

    /// What the guest's VMPL may do with the page at `address`.
    pub(crate) fn guest_permissions(&mut self, address: u64) -> u8 {
        self.page(address).permissions[2]
    }

    /// A copy of memory, whoever may see it.
    pub(crate) fn peek(&mut self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.copy(address, length, |page, at, from| {
            bytes[from..from + at.len()].copy_from_slice(&page.content[at]);
        })
        .unwrap();
        bytes
    }

    /// Writes like the guest itself.
    pub(crate) fn poke(&mut self, address: u64, bytes: &[u8]) {
        self.copy(address, bytes.len(), |page, at, from| {
            assert!(page.permissions[2] & 2 != 0, "the guest may not write here");
            let length = at.len();
            page.content[at].copy_from_slice(&bytes[from..from + length]);
        })
        .unwrap();
    }

    fn copy(
        &mut self,
        address: u64,
        length: usize,
        mut step: impl FnMut(&mut FakePage, std::ops::Range<usize>, usize),
    ) -> Result<(), GuestFault> {
        let mut done = 0;
        while done < length {
            let at = address.checked_add(done as u64).ok_or(GuestFault)?;
            if at >= MEMORY_END {
                return Err(GuestFault);
            }
            let offset = usize::try_from(at % PAGE_BYTES).unwrap();
            let part = (PAGE - offset).min(length - done);
            let page = self.page(at);
            if !page.validated {
                return Err(GuestFault);
            }
            step(page, offset..offset + part, done);
            done += part;
        }
        Ok(())
    }

    /// The 4 KiB pages behind `page`, once the RMP's page size allows the operation.
    fn small_pages(&mut self, page: Page) -> Result<Vec<u64>, RmpFault> {
        if page.end() > MEMORY_END {
            return Err(RmpFault::NotValidated);
        }
        let region = page.address() / LARGE_PAGE_BYTES;
        match page.size() {
            PageSize::Large if self.small_regions.contains(&region) => Err(RmpFault::SizeMismatch),
            PageSize::Large => Ok((page.address()..page.end()).step_by(PAGE).collect()),
            PageSize::Small => {
                self.small_regions.insert(region);
                Ok(vec![page.address()])
            }
        }
    }
}

impl Machine for FakeMachine {
    fn read_guest(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), GuestFault> {
        self.reads += 1;
        self.copy(address, buffer.len(), |page, at, from| {
            let length = at.len();
            buffer[from..from + length].copy_from_slice(&page.content[at]);
        })
    }

    fn write_guest(&mut self, address: u64, bytes: &[u8]) -> Result<(), GuestFault> {
        assert!(!(SVSM_START..SVSM_END).contains(&address), "a write to the SVSM's own memory");
        self.writes += 1;
        self.copy(address, bytes.len(), |page, at, from| {
            let length = at.len();
            page.content[at].copy_from_slice(&bytes[from..from + length]);
        })
    }

    fn zero_page(&mut self, page: Page) -> Result<(), GuestFault> {
        let length = usize::try_from(page.size().bytes()).unwrap();
        self.copy(page.address(), length, |page, at, _| page.content[at].fill(0))
    }

    fn pvalidate(&mut self, page: Page, validate: bool) -> Result<Validation, RmpFault> {
        let mut changed = false;
        for address in self.small_pages(page)? {
            let entry = self.page(address);
            changed |= entry.validated != validate;
            if !validate && entry.validated {
                assert_eq!(entry.permissions[1..], [0; 3], "invalidated with access left");
            }
            if validate && !entry.validated {
                entry.content.fill(0xa5);
            }
            entry.validated = validate;
        }
        Ok(if changed { Validation::Changed } else { Validation::Unchanged })
    }

    fn rmpadjust(
        &mut self,
        page: Page,
        vmpl: u8,
        permissions: Permissions,
        vmsa: bool,
    ) -> Result<(), RmpFault> {
        assert!((1..=3).contains(&vmpl));
        if let Some((_, fault)) =
            self.fail_rmpadjust.take_if(|(failing, _)| *failing == permissions)
        {
            return Err(fault);
        }
        for address in self.small_pages(page)? {
            let entry = self.page(address);
            if !entry.validated {
                return Err(RmpFault::NotValidated);
            }
            if entry.running {
                return Err(RmpFault::InUse);
            }
            if permissions.bits() != 0 && !vmsa {
                let zero = entry.content.iter().all(|&byte| byte != 0xa5);
                assert!(zero, "granted without being filled with zeros");
            }
            entry.permissions[usize::from(vmpl)] = permissions.bits();
            entry.vmsa = vmsa;
        }
        Ok(())
    }

    fn set_page_state(&mut self, page: Page, _state: PageState) -> Result<(), HostFault> {
        if page.end() > MEMORY_END { Err(HostFault) } else { Ok(()) }
    }

    fn flush_guest_translations(&mut self) {
        self.flushes += 1;
    }

    fn is_guest_ram(&self, start: u64, length: u64) -> bool {
        let Some(end) = start.checked_add(length) else { return false };
        length != 0
            && self.ranges.iter().any(|range| {
                range.kind == MemoryKind::GuestRam && range.start <= start && end <= range.end
            })
    }

    fn memory_range(&self, index: usize) -> Option<MemoryRange> {
        self.ranges.get(index).copied()
    }

    fn has_vcpu(&self, apic_id: u32) -> bool {
        apic_id < VCPUS
    }

    fn sev_features(&self) -> u64 {
        SEV_FEATURES
    }

    fn guest_vmpl(&self) -> u8 {
        2
    }

    fn file_size(&mut self, name: &str) -> Result<u32, FileFault> {
        let file = self.files.get(name).ok_or(FileFault::Missing)?;
        u32::try_from(file.len()).map_err(|_| FileFault::Host)
    }

    fn read_file(&mut self, name: &str, offset: u32, buffer: &mut [u8]) -> Result<(), FileFault> {
        let file = self.files.get(name).ok_or(FileFault::Missing)?;
        let start = offset as usize;
        let part = file.get(start..start + buffer.len()).ok_or(FileFault::OutOfRange)?;
        buffer.copy_from_slice(part);
        Ok(())
    }

    fn log(&mut self, line: core::fmt::Arguments<'_>) {
        self.log.push(line.to_string());
    }
}
