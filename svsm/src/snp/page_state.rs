// SPDX-License-Identifier: MIT OR Apache-2.0
//! Page states: ours at bring-up, the guest's when it is granted its memory.
//!
//! A page of RAM that the launch did not load is unassigned. Making it private is three steps: the
//! hypervisor assigns it (page state change), PVALIDATE takes it, and, for the guest, RMPADJUST
//! lets its VMPL use it. Large pages throughout where the hypervisor and the RMP allow.

use super::ghcb::{Ghcb, GhcbError};
use super::instruction::pvalidate;
use super::msr_protocol::{self, MsrProtocolError};
use crate::boot::launch;
use crate::cpu::cpuid::CpuidTable;
use crate::cpu::per_cpu;
use crate::cpu::registers::flush_translations_everywhere;
use crate::machine::{Page, PageSize, PageState, Permissions, RmpFault, Validation};
use crate::memory::kernel_space::{self, SpaceError};
use crate::memory::shared::SharedPages;
use crate::memory::{LARGE_PAGE_SIZE, PAGE_BYTES, PAGE_SIZE, guest, pointer_sized};
use snp_abi::config::{REGION_BASE, REGION_SIZE};
use snp_abi::ghcb::{PAGE_STATE_ENTRIES, PageOperation, PageStateEntry};

/// The end of our region.
const REGION_END: u64 = REGION_BASE + REGION_SIZE;

/// Why a page is not in the state it should be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageStateError {
    /// The hypervisor did not change the state.
    Host(GhcbError),
    /// The hypervisor did not change the state (MSR protocol).
    HostMsr(MsrProtocolError),
    /// PVALIDATE failed.
    Validate(u64, RmpFault),
    /// PVALIDATE found the page in the wanted state already: someone lied about its history.
    Unchanged(u64),
    /// RMPADJUST failed.
    Adjust(u64, RmpFault),
    /// Memory of our own.
    Space(SpaceError),
}

impl From<GhcbError> for PageStateError {
    fn from(error: GhcbError) -> Self {
        Self::Host(error)
    }
}

impl From<MsrProtocolError> for PageStateError {
    fn from(error: MsrProtocolError) -> Self {
        Self::HostMsr(error)
    }
}

impl From<SpaceError> for PageStateError {
    fn from(error: SpaceError) -> Self {
        Self::Space(error)
    }
}

/// What a grant did, for the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrantCount {
    /// 4 KiB operations.
    pub small: u64,
    /// 2 MiB operations.
    pub large: u64,
    /// 2 MiB operations that had to be repeated in small ones.
    pub mismatches: u64,
}

/// Makes the page of a CPU's GHCB shared, without needing a GHCB.
///
/// # Errors
/// Any step's.
pub fn share_ghcb(ghcb: &Ghcb) -> Result<(), PageStateError> {
    let address = ghcb.address();
    retract(address)?;
    msr_protocol::change_page_state(address, PageOperation::Shared)?;
    kernel_space::map_shared(address)?;
    // SAFETY: the page is the GHCB's own, mapped shared now; whatever the host left there goes.
    unsafe {
        core::ptr::with_exposed_provenance_mut::<[u8; 4096]>(pointer_sized(address))
            .write_volatile([0; 4096])
    };
    Ok(())
}

/// `count` fresh pages, shared with the hypervisor, zeroed.
///
/// # Errors
/// Any step's.
pub fn allocate_shared(count: usize) -> Result<SharedPages, PageStateError> {
    let address = kernel_space::allocate_frames(count)?;
    let pages = (0..count).map(|index| address + index as u64 * PAGE_SIZE);
    for page in pages.clone() {
        retract(page)?;
    }
    let entries = pages.clone().map(|page| entry(page, PageOperation::Shared, false));
    per_cpu::current().ghcb.change_page_states(entries)?;
    for page in pages {
        kernel_space::map_shared(page)?;
    }
    // SAFETY: shared and mapped shared just now, and taken from the frame allocator.
    let mut shared = unsafe { SharedPages::new(address, count) };
    for index in 0..count {
        let cleared = shared.write(index * PAGE_BYTES, &[0; PAGE_BYTES]);
        debug_assert!(cleared.is_ok());
    }
    Ok(shared)
}

/// Takes private pages of ours out of validation.
fn retract(address: u64) -> Result<(), PageStateError> {
    // SAFETY: a frame that the caller has just allocated: mapped, and nobody refers to it.
    match unsafe { pvalidate(address, PageSize::Small, false) } {
        Ok(Validation::Changed) => Ok(()),
        Ok(Validation::Unchanged) => Err(PageStateError::Unchanged(address)),
        Err(fault) => Err(PageStateError::Validate(address, fault)),
    }
}

/// Makes unassigned memory of our region ours: `start..end` is page aligned and mapped.
///
/// # Errors
/// Any step's. A page that was valid already is an attack: the host has mapped it twice.
pub fn accept_region(start: u64, end: u64) -> Result<(), PageStateError> {
    assign(start, end)?;
    // A deliberate fault: the first page is forgotten.
    let first = if cfg!(feature = "fault-skip-pvalidate") { start + PAGE_SIZE } else { start };
    for page in pages(first, end) {
        // SAFETY: memory behind the image: mapped, and used by nobody before this.
        let result = unsafe { pvalidate(page.address(), page.size(), true) };
        accept(page, result, |small| {
            // SAFETY: as above.
            unsafe { pvalidate(small, PageSize::Small, true) }
        })?;
    }
    if cfg!(feature = "fault-shared-page") {
        // A deliberate fault: a page of ours is given away while we go on using it.
        let shared = core::iter::once(entry(start, PageOperation::Shared, false));
        per_cpu::current().ghcb.change_page_states(shared)?;
    }
    Ok(())
}

/// Makes unassigned memory the guest's: assigned, validated, and open to its VMPL.
///
/// # Errors
/// Any step's, as for [`accept_region`].
pub fn grant(start: u64, end: u64, vmpl: u8) -> Result<GrantCount, PageStateError> {
    assign(start, end)?;
    // Assigned, not validated: reading must fail, and we must survive it. This is the one moment to
    // see both on the machine at hand.
    if guest::read(start, &mut [0]).is_ok() {
        return Err(PageStateError::Unchanged(start));
    }
    let mut count = GrantCount::default();
    for page in pages(start, end) {
        let result = guest::pvalidate(page, true);
        let in_small_pages = accept(page, result, |small| match Page::small(small) {
            Some(small) => guest::pvalidate(small, true),
            None => Err(RmpFault::Input),
        })?;
        if in_small_pages {
            count.mismatches += 1;
        } else if page.size() == PageSize::Large {
            count.large += 1;
        }
        open(page, vmpl, in_small_pages)?;
        if in_small_pages {
            count.small += LARGE_PAGE_SIZE / PAGE_SIZE;
        } else if page.size() == PageSize::Small {
            count.small += 1;
        }
    }
    Ok(count)
}

/// Changes the state of one page of the guest's, neither validating nor retracting it.
///
/// # Errors
/// The hypervisor's.
pub fn set_guest_page_state(page: Page, state: PageState) -> Result<(), GhcbError> {
    let operation = match state {
        PageState::Private => PageOperation::Private,
        PageState::Shared => PageOperation::Shared,
    };
    let large = page.size() == PageSize::Large;
    per_cpu::current().ghcb.change_page_states(core::iter::once(entry(
        page.address(),
        operation,
        large,
    )))
}

/// RMPADJUST of one page, or of its 512 parts.
fn open(page: Page, vmpl: u8, in_small_pages: bool) -> Result<(), PageStateError> {
    let step = if in_small_pages { PageSize::Small } else { page.size() };
    // A deliberate fault: the memory behind our region is opened to a VMPL that nobody runs at.
    let fault = cfg!(feature = "fault-vmpl-permission") && page.address() == REGION_END;
    let vmpl = if fault { 1 } else { vmpl };
    for address in (page.address()..page.end()).step_by(pointer_sized(step.bytes())) {
        Page::new(address, step)
            .ok_or(RmpFault::Input)
            .and_then(|part| guest::rmpadjust(part, vmpl, Permissions::ALL, false))
            .map_err(|fault| PageStateError::Adjust(address, fault))?;
    }
    Ok(())
}

/// The outcome of a first validation. True when a large page had to be done in small ones.
fn accept(
    page: Page,
    result: Result<Validation, RmpFault>,
    validate_small: impl Fn(u64) -> Result<Validation, RmpFault>,
) -> Result<bool, PageStateError> {
    match result {
        Ok(Validation::Changed) => Ok(false),
        Ok(Validation::Unchanged) => Err(PageStateError::Unchanged(page.address())),
        Err(RmpFault::SizeMismatch) if page.size() == PageSize::Large => {
            for address in (page.address()..page.end()).step_by(PAGE_BYTES) {
                match validate_small(address) {
                    Ok(Validation::Changed) => {}
                    Ok(Validation::Unchanged) => return Err(PageStateError::Unchanged(address)),
                    Err(fault) => return Err(PageStateError::Validate(address, fault)),
                }
            }
            Ok(true)
        }
        Err(fault) => Err(PageStateError::Validate(page.address(), fault)),
    }
}

/// Has the hypervisor assign `start..end`, as many pages per exit as the structure holds.
fn assign(start: u64, end: u64) -> Result<(), PageStateError> {
    let ghcb = &per_cpu::current().ghcb;
    let mut batch = [0u64; PAGE_STATE_ENTRIES];
    let mut large = [false; PAGE_STATE_ENTRIES];
    let mut length = 0;
    for page in pages(start, end) {
        batch[length] = page.address();
        large[length] = page.size() == PageSize::Large;
        length += 1;
        if length == PAGE_STATE_ENTRIES {
            send(ghcb, &batch, &large)?;
            length = 0;
        }
    }
    send(ghcb, &batch[..length], &large[..length])
}

fn send(ghcb: &Ghcb, pages: &[u64], large: &[bool]) -> Result<(), PageStateError> {
    let entries =
        pages.iter().zip(large).map(|(gpa, large)| entry(*gpa, PageOperation::Private, *large));
    Ok(ghcb.change_page_states(entries)?)
}

const fn entry(gpa: u64, operation: PageOperation, large: bool) -> PageStateEntry {
    PageStateEntry { current_page: 0, gpa, operation, large }
}

/// The pages of a page-aligned range, large ones where they fit.
fn pages(start: u64, end: u64) -> impl Iterator<Item = Page> {
    let mut next = start;
    core::iter::from_fn(move || {
        let left = end.checked_sub(next).filter(|left| *left >= PAGE_SIZE)?;
        let large = next.is_multiple_of(LARGE_PAGE_SIZE) && left >= LARGE_PAGE_SIZE;
        let page = Page::new(next, if large { PageSize::Large } else { PageSize::Small })?;
        next = page.end();
        Some(page)
    })
}

/// Drops what TLBs hold of the guest, on all CPUs, where the processor lets a guest do so
/// (INVLPGB). Where it does not, the hypervisor has to, and does when it changes a page's state;
/// of permissions that were taken away it isn't told (docs/threat-model.md).
pub fn flush_guest_translations() {
    let offered = launch::cpuid_table().is_some_and(CpuidTable::has_broadcast_flush);
    if offered {
        flush_translations_everywhere();
    }
}
