// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the launch put into the region's first pages, each copied once and checked.

use crate::cpu::cpuid::CpuidTable;
use crate::memory::kernel_space::launch_page;
use crate::snp::termination::Reason;
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
    let bytes = copy_page(CPUID_OFFSET);
    let page = CpuidPage::ref_from_bytes(&bytes.0).map_err(|_| Reason::Cpuid)?;
    let table = CpuidTable::new(page).map_err(|_| Reason::Cpuid)?;
    let bytes = copy_page(CONFIG_OFFSET);
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

/// The bytes of the memory map, which the host wrote and nobody measured.
pub(super) fn memory_map() -> Page {
    copy_page(MEMORY_MAP_OFFSET)
}

/// The number of vCPUs, which the host wrote and nobody measured.
///
/// # Errors
/// It is not a number of vCPUs that we accept.
pub(super) fn vcpu_count() -> Result<u32, Reason> {
    let bytes = copy_page(VP_COUNT_OFFSET);
    let head = bytes.0.first_chunk::<4>().ok_or(Reason::MemoryMap)?;
    check_vcpu_count(u32::from_le_bytes(*head)).map_err(|_| Reason::MemoryMap)
}

/// Takes the secrets page; the original is wiped, so that the keys exist once.
pub(super) fn take_secrets() -> Secrets {
    let bytes = copy_page(SECRETS_OFFSET);
    let original = launch_page(SECRETS_OFFSET);
    for offset in 0..PAGE_SIZE {
        // SAFETY: the page is ours, validated, mapped writable, and no reference covers it.
        unsafe { original.add(offset).write_volatile(0) };
    }
    Secrets(bytes)
}

/// The secrets page; wiped when it goes.
pub struct Secrets(Page);

impl Secrets {
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
pub(super) struct Page(pub(super) [u8; PAGE_SIZE]);

fn copy_page(offset: u64) -> Page {
    let mut copy = Page([0; PAGE_SIZE]);
    // SAFETY: the launch put a validated page there (design, "Guest-physical memory"); it is private,
    // so the host can't change it now.
    unsafe {
        launch_page(offset).cast_const().copy_to_nonoverlapping(copy.0.as_mut_ptr(), PAGE_SIZE)
    };
    copy
}
