// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SVSM's own address space: its region one to one, the guest window, and the frames behind.
//!
//! Built once on the first CPU before anything else runs. Afterwards it only changes where memory
//! has just been taken, for a stack's guard page or to share a page with the host: no other CPU has
//! used it yet, so that no TLB but this CPU's needs a flush.

use super::frames::{FRAMES_MAX, FrameAllocator, FrameError};
use super::page_table::{Access, MapError, PageTable, TableMemory};
use super::{GUEST_WINDOW, PAGE_BYTES, PAGE_SIZE, pointer_sized};
use crate::cpu::registers::{flush_page, write_cr3};
use crate::machine::PageSize;
use snp_abi::config::{IMAGE_OFFSET, LaunchConfig, REGION_BASE, SECRETS_OFFSET};
use spin::Mutex;

/// Frames that exist, zeroed and validated, before the region behind the image is: for the page
/// tables and what the first CPU needs to handle exceptions.
const EARLY_FRAMES: usize = 32;

#[repr(C, align(4096))]
struct EarlyFrames([[u8; PAGE_BYTES]; EARLY_FRAMES]);
static mut EARLY: EarlyFrames = EarlyFrames([[0; PAGE_BYTES]; EARLY_FRAMES]);

unsafe extern "C" {
    // Symbols of kernel.ld.
    static __image_start: u8;
    static __rodata_start: u8;
    static __data_start: u8;
    static __image_end: u8;
}

/// Why memory of the SVSM could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpaceError {
    /// Frames.
    Frames(FrameError),
    /// Page tables.
    Map(MapError),
    /// The launch configuration describes another image or region than this one.
    WrongImage,
    /// Before `initialise`.
    NotReady,
}

impl From<FrameError> for SpaceError {
    fn from(error: FrameError) -> Self {
        Self::Frames(error)
    }
}

impl From<MapError> for SpaceError {
    fn from(error: MapError) -> Self {
        Self::Map(error)
    }
}

struct Space {
    frames: FrameAllocator,
    table: PageTable,
}

static SPACE: Mutex<Option<Space>> = Mutex::new(None);

/// Tables in frames of the region, which is mapped one to one.
struct RegionTables<'frames>(&'frames mut FrameAllocator);

impl TableMemory for RegionTables<'_> {
    fn allocate_table(&mut self) -> Option<u64> {
        let address = self.0.allocate(1).ok()?;
        zero(address, 1);
        Some(address)
    }

    fn entry(&self, table: u64, index: usize) -> u64 {
        let place =
            core::ptr::with_exposed_provenance::<u64>(pointer_sized(table) + (index & 511) * 8);
        // SAFETY: a frame that `allocate_table` gave for a table; only this type writes there, and
        // the processor, so volatile.
        unsafe { place.read_volatile() }
    }

    fn set_entry(&mut self, table: u64, index: usize, value: u64) {
        let place =
            core::ptr::with_exposed_provenance_mut::<u64>(pointer_sized(table) + (index & 511) * 8);
        // SAFETY: as in `entry`.
        unsafe { place.write_volatile(value) };
    }
}

/// Builds the address space and switches to it: W^X from here on. No frame behind the image is
/// free yet.
///
/// # Errors
/// The configuration is not this image's, or the early frames do not suffice.
pub fn initialise(config: &LaunchConfig, encryption_mask: u64) -> Result<(), SpaceError> {
    let [image_start, rodata, data, image_end] = image_bounds();
    let frames_count = pointer_sized(config.region_size / PAGE_SIZE);
    if config.region_base != REGION_BASE
        || config.image_start != image_start
        || config.image_end != image_end
        || frames_count > FRAMES_MAX
    {
        return Err(SpaceError::WrongImage);
    }
    let mut frames = FrameAllocator::new(config.region_base, frames_count)?;
    frames.release((&raw mut EARLY).expose_provenance() as u64, EARLY_FRAMES)?;
    let mut tables = RegionTables(&mut frames);
    let table = PageTable::new(&mut tables, encryption_mask)?;
    let region_end = config.region_base + config.region_size;
    let secrets = config.region_base + SECRETS_OFFSET;
    let parts = [
        (config.region_base, secrets, Access::Read),
        // The SVSM wipes its keys from this page once it has them.
        (secrets, secrets + PAGE_SIZE, Access::ReadWrite),
        (secrets + PAGE_SIZE, config.region_base + IMAGE_OFFSET, Access::Read),
        (image_start, rodata, Access::Execute),
        (rodata, data, Access::Read),
        (data, region_end, Access::ReadWrite),
    ];
    for (start, end, access) in parts {
        for address in (start..end).step_by(PAGE_BYTES) {
            table.map(&mut tables, address, address, PageSize::Small, access)?;
        }
    }
    // SAFETY: the region, with code, data and this stack, stays where it was.
    unsafe { write_cr3(table.cr3()) };
    *SPACE.lock() = Some(Space { frames, table });
    Ok(())
}

/// Hands the frames in `start..end` to the allocator. They are validated.
///
/// # Errors
/// They are not the region's, or were handed over before.
pub fn release_range(start: u64, end: u64) -> Result<(), SpaceError> {
    with(|space| {
        Ok(space.frames.release(start, pointer_sized(end.saturating_sub(start) / PAGE_SIZE))?)
    })
}

/// `count` adjacent frames, zeroed; the address of the first, virtual and physical.
///
/// # Errors
/// The region is full.
pub fn allocate_frames(count: usize) -> Result<u64, SpaceError> {
    let address = with(|space| Ok(space.frames.allocate(count)?))?;
    zero(address, count);
    Ok(address)
}

/// As [`allocate_frames`], but not zeroed: for the heap, whose frames nobody has used.
///
/// # Errors
/// The region is full.
pub fn allocate_arena(count: usize) -> Result<u64, SpaceError> {
    with(|space| Ok(space.frames.allocate(count)?))
}

/// A stack of `count` frames above a guard page; the address behind its last byte.
///
/// # Errors
/// The region is full.
pub fn allocate_stack(count: usize) -> Result<u64, SpaceError> {
    with(|space| {
        let guard = space.frames.allocate(count + 1)?;
        space.table.change(&mut RegionTables(&mut space.frames), guard, None)?;
        flush_page(guard);
        Ok(guard + (count as u64 + 1) * PAGE_SIZE)
    })
}

/// Changes the mapping of a frame to shared memory. Its state is the caller's business.
///
/// # Errors
/// The frame is not mapped.
pub(crate) fn map_shared(address: u64) -> Result<(), SpaceError> {
    with(|space| {
        let mut tables = RegionTables(&mut space.frames);
        space.table.change(&mut tables, address, Some(Access::Shared))?;
        flush_page(address);
        Ok(())
    })
}

/// Makes guest memory visible in the guest window.
///
/// # Errors
/// No frames for tables, or a range that is mapped already.
pub fn map_guest(start: u64, end: u64) -> Result<(), SpaceError> {
    with(|space| {
        let mut tables = RegionTables(&mut space.frames);
        let length = end.saturating_sub(start);
        space.table.map_range(&mut tables, GUEST_WINDOW + start, start, length, Access::Guest)?;
        Ok(())
    })
}

/// Whether an address is mapped.
pub fn is_mapped(address: u64) -> bool {
    with(|space| Ok(space.table.walk(&RegionTables(&mut space.frames), address).is_some()))
        .unwrap_or(false)
}

/// The value of CR3.
///
/// # Errors
/// `NotReady`.
pub fn cr3() -> Result<u64, SpaceError> {
    with(|space| Ok(space.table.cr3()))
}

/// Free frames now.
pub fn free_frames() -> usize {
    with(|space| Ok(space.frames.free_count())).unwrap_or(0)
}

/// Whether `length` bytes at `address` are code of ours.
pub fn is_code(address: u64, length: u64) -> bool {
    let [start, end, ..] = image_bounds();
    address >= start && address.checked_add(length).is_some_and(|last| last <= end)
}

/// Whether an address is in the SVSM's region.
pub fn is_region(address: u64) -> bool {
    address.checked_sub(REGION_BASE).is_some_and(|offset| offset < FRAMES_MAX as u64 * PAGE_SIZE)
}

/// Starts of text, constants and data, and the image's end.
fn image_bounds() -> [u64; 4] {
    let marks = [&raw const __image_start, &raw const __rodata_start, &raw const __data_start];
    let [text, rodata, data] = marks.map(|mark| mark.expose_provenance() as u64);
    [text, rodata, data, (&raw const __image_end).expose_provenance() as u64]
}

fn with<T>(action: impl FnOnce(&mut Space) -> Result<T, SpaceError>) -> Result<T, SpaceError> {
    SPACE.lock().as_mut().ok_or(SpaceError::NotReady).and_then(action)
}

fn zero(address: u64, count: usize) {
    let frames = core::ptr::with_exposed_provenance_mut::<u8>(pointer_sized(address));
    // SAFETY: frames that the allocator has just given out: mapped, ours, referred to by nobody.
    unsafe { frames.write_bytes(0, count * PAGE_BYTES) };
}

/// A page that the launch put into the region, at `offset` below the image: validated, mapped for
/// reading.
pub(crate) fn launch_page(offset: u64) -> *mut u8 {
    debug_assert!(offset < IMAGE_OFFSET);
    core::ptr::with_exposed_provenance_mut(pointer_sized(REGION_BASE + offset))
}
