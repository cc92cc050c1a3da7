// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the launch put into the region's first pages, each copied once and checked.

use crate::cpu::cpuid::CpuidTable;
use crate::memory::kernel_space::launch_page;
use crate::snp::termination::Reason;
use alloc::boxed::Box;
use snp_abi::PAGE_SIZE;
use snp_abi::config::{
    CONFIG_OFFSET, CPUID_OFFSET, LaunchConfig, LaunchConfigPage, MEMORY_MAP_OFFSET, SECRETS_OFFSET,
    VP_COUNT_OFFSET, check_vcpu_count,
};
use snp_abi::cpuid::CpuidPage;
use snp_abi::secrets::SecretsPage;
use spin::Once;
use zerocopy::FromBytes;
use zeroize::Zeroize;

static CONFIG: Once<LaunchConfig> = Once::new();
static CPUID: Once<CpuidTable> = Once::new();

/// Reads what the kernel needs before it can do anything.
///
/// # Errors
/// Which page is malformed.
pub(super) fn read() -> Result<(&'static LaunchConfig, &'static CpuidTable), Reason> {
    let mut bytes = Page([0; PAGE_SIZE]);
    copy_to(CPUID_OFFSET, &mut bytes);
    let page = CpuidPage::ref_from_bytes(&bytes.0).map_err(|_| Reason::Cpuid)?;
    let table = CpuidTable::new(page).map_err(|_| Reason::Cpuid)?;
    copy_to(CONFIG_OFFSET, &mut bytes);
    let page = LaunchConfigPage::ref_from_bytes(&bytes.0).map_err(|_| Reason::LaunchConfig)?;
    let config = page.parse().map_err(|_| Reason::LaunchConfig)?;
    Ok((CONFIG.call_once(|| config), CPUID.call_once(|| table)))
}

/// The launch configuration; `None` before it was read.
pub fn config() -> Option<&'static LaunchConfig> {
    CONFIG.get()
}

/// The CPUID table; `None` before it was read.
pub fn cpuid_table() -> Option<&'static CpuidTable> {
    CPUID.get()
}

/// Offset in the region of the MADT, an IGVM parameter like the memory map.
const MADT_OFFSET: u64 = 0x5000;

/// What the kernel takes over once it has a heap. Of the host's pages nothing is checked yet.
pub struct Inputs {
    memory_map: Box<Page>,
    madt: Box<Page>,
    cpuid: Box<Page>,
    vcpu_count: u32,
    secrets: Secrets,
}

impl Inputs {
    /// Copies everything.
    ///
    /// # Errors
    /// The number of vCPUs is not one that we accept.
    pub(super) fn take() -> Result<Self, Reason> {
        let count = copy_page(VP_COUNT_OFFSET);
        let head = count.0.first_chunk::<4>().ok_or(Reason::MemoryMap)?;
        Ok(Self {
            memory_map: copy_page(MEMORY_MAP_OFFSET),
            madt: copy_page(MADT_OFFSET),
            cpuid: copy_page(CPUID_OFFSET),
            vcpu_count: check_vcpu_count(u32::from_le_bytes(*head))
                .map_err(|_| Reason::MemoryMap)?,
            secrets: Secrets::take(),
        })
    }

    /// The bytes of the memory map: written by the host, measured by nobody.
    pub fn memory_map(&self) -> &[u8] {
        &self.memory_map.0
    }

    /// The bytes of the MADT: written by the host, measured by nobody.
    pub fn madt(&self) -> &[u8] {
        &self.madt.0
    }

    /// The number of vCPUs: said by the host, measured by nobody.
    pub const fn vcpu_count(&self) -> u32 {
        self.vcpu_count
    }

    /// The CPUID page that the firmware has checked.
    ///
    /// # Errors
    /// Never in practice: the buffer has the page's size and alignment.
    pub fn cpuid(&self) -> Result<&CpuidPage, Reason> {
        CpuidPage::ref_from_bytes(&self.cpuid.0).map_err(|_| Reason::Internal)
    }

    /// The secrets page.
    pub const fn secrets(&self) -> &Secrets {
        &self.secrets
    }
}

/// The secrets page; wiped when it goes.
pub struct Secrets(Box<Page>);

impl Secrets {
    /// Takes the page; the original is wiped, so that the keys exist once.
    fn take() -> Self {
        let bytes = copy_page(SECRETS_OFFSET);
        let original = launch_page(SECRETS_OFFSET);
        for offset in 0..PAGE_SIZE {
            // SAFETY: the page is ours, validated, mapped writable, and no reference covers it.
            unsafe { original.add(offset).write_volatile(0) };
        }
        Self(bytes)
    }

    /// The page.
    ///
    /// # Errors
    /// Never in practice: the buffer has the page's size and alignment.
    pub fn page(&self) -> Result<&SecretsPage, Reason> {
        SecretsPage::ref_from_bytes(&self.0.0).map_err(|_| Reason::Internal)
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        self.0.0.zeroize();
    }
}

/// A private copy of a page.
#[repr(C, align(4096))]
struct Page([u8; PAGE_SIZE]);

fn copy_page(offset: u64) -> Box<Page> {
    let mut copy = Box::new(Page([0; PAGE_SIZE]));
    copy_to(offset, &mut copy);
    copy
}

fn copy_to(offset: u64, copy: &mut Page) {
    let source = launch_page(offset).cast_const();
    // SAFETY: the launch put a validated page there (docs/design.md); it is
    // private, so that the host can't change it now.
    unsafe { source.copy_to_nonoverlapping(copy.0.as_mut_ptr(), PAGE_SIZE) };
}
