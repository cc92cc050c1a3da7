// SPDX-License-Identifier: MIT OR Apache-2.0
//! The launch: memory becomes the guest's, and the IGVM file is loaded as the secure processor and QEMU
//! do it together. AMD 56860, 8.17 (SNP_LAUNCH_UPDATE).

mod file;
mod memory_map;

use core::ops::Range;

use snp_abi::cpuid::CpuidPage;
use snp_abi::secrets::{SECRETS_VERSION, SecretsPage};
use snp_abi::{PAGE_SIZE, PAGE_SIZE_U64};
use spin::{Mutex, MutexGuard};
use zerocopy::{FromZeros, IntoBytes};

pub(crate) use memory_map::{MemoryPiece, PieceKind};

use crate::layout::{LARGEST_MEMORY, MACHINE_END, MACHINE_START, PAGE, page_ceiling, page_floor};
use crate::rmp::{Entry, Rmp};
use crate::{cpuid, fatal, physical, pool, refuse, say, start, world};
use file::{Directive, FileError, PageKind};
use memory_map::{Madt, MapBuilder};

const FRAMES: usize = crate::bits::index(LARGEST_MEMORY / PAGE_SIZE_U64);
/// The RMP's memory. In the image, so that nothing but the RMP reaches it.
static ENTRIES: Mutex<[Entry; FRAMES]> = Mutex::new([Entry::EMPTY; FRAMES]);
/// The first megabyte's hole: the VGA window.
const VGA_WINDOW: Range<u64> = 0xa_0000..0xc_0000;
/// Most parameter areas.
const MAX_AREAS: usize = 8;

/// Makes memory below `top` the guest's and loads the IGVM file.
pub(crate) fn launch(
    top: u64,
    pieces: impl Iterator<Item = MemoryPiece>,
    file: Range<u64>,
) {
    let Some(entries) = ENTRIES.try_lock() else {
        fatal!("the machine is launched twice");
    };
    let frames = crate::bits::index(top / PAGE);
    let mut rmp = Rmp::new(&mut MutexGuard::leak(entries)[..frames]);
    let memory = [
        0..VGA_WINDOW.start,
        VGA_WINDOW.end..MACHINE_START,
        MACHINE_END..top,
    ];
    for range in memory {
        rmp.add_memory(range.start / PAGE, (range.end - range.start) / PAGE);
    }
    let Ok(map) = MapBuilder::build(top, pieces) else {
        refuse!("the memory map has too many entries");
    };
    let mut launch = Launch { rmp, map, file: file.clone(), areas: [const { None }; MAX_AREAS], vmsa: None };
    // SAFETY: the file lies in RAM that nobody writes before it is given to the guest: `load_page`
    // refuses pages that overlap it.
    let bytes = unsafe { physical::slice(file.start, file.end - file.start) };
    if let Err(error) = file::read(bytes, |directive| launch.directive(bytes, directive)) {
        refuse!("the IGVM file: {error:?}");
    }
    let Some(vmsa) = launch.vmsa else {
        refuse!("the IGVM file has no VP context");
    };
    start::set_launch_vmsa(vmsa);
    let Launch { rmp, .. } = launch;
    world::install_memory(rmp);
    // The file's place is ordinary RAM from here on, and holds noise.
    let pages = (page_ceiling(file.end) - page_floor(file.start)) / PAGE;
    physical::fill_pages(page_floor(file.start), pages, 0xa5);
    say!("launched; {} pages left in the pool", pool::left());
}

/// A launch in progress.
struct Launch {
    rmp: Rmp<'static>,
    map: MapBuilder,
    file: Range<u64>,
    /// Parameter areas: pages of the pool, until they are inserted.
    areas: [Option<Range<u64>>; MAX_AREAS],
    vmsa: Option<u64>,
}

impl Launch {
    fn directive(&mut self, file: &[u8], directive: Directive) -> Result<(), FileError> {
        match directive {
            Directive::Page(page) => {
                let at = self.take_page(page.gpa)?;
                match file::page_kind(&page)? {
                    PageKind::Normal => {
                        if page.file_offset != 0 {
                            physical::write_bytes(at, page_content(file, page.file_offset)?);
                        }
                    }
                    PageKind::Secrets => write_secrets(at),
                    PageKind::Cpuid => write_cpuid(at),
                }
            }
            Directive::Area(area) => {
                let pages = area.number_of_bytes.div_ceil(PAGE);
                let slot = self.areas.get_mut(area.parameter_area_index as usize);
                let Some(slot @ None) = slot else {
                    return Err(FileError::Area(area.parameter_area_index));
                };
                let first = pool::pages(pages);
                *slot = Some(first..first + pages * PAGE);
            }
            Directive::MemoryMap(parameter) => {
                let place = self.parameter(&parameter, self.map.entries().as_bytes().len())?;
                physical::write_bytes(place, self.map.entries().as_bytes());
            }
            Directive::ProcessorCount(parameter) => {
                let place = self.parameter(&parameter, size_of::<u32>())?;
                let count = u32::try_from(world::guests().count()).unwrap_or(0);
                physical::write(place, count);
            }
            Directive::Madt(parameter) => {
                let madt = Madt::build(world::guests().map(|(apic_id, _)| apic_id));
                let place = self.parameter(&parameter, madt.bytes().len())?;
                physical::write_bytes(place, madt.bytes());
            }
            Directive::Insert(insert) => {
                let index = insert.parameter_area_index;
                let area = self.areas.get_mut(index as usize).and_then(Option::take);
                let area = area.ok_or(FileError::Area(index))?;
                for (gpa, page) in (insert.gpa..).step_by(PAGE_SIZE).zip(area.step_by(PAGE_SIZE)) {
                    let at = self.take_page(gpa)?;
                    physical::copy(page, at, PAGE);
                }
            }
            Directive::Context(context) => {
                // The secure processor keeps this page; it never is guest memory.
                let vmsa = pool::pages(1);
                physical::write_bytes(vmsa, page_content(file, context.file_offset)?);
                self.vmsa = Some(vmsa);
            }
        }
        Ok(())
    }

    /// Assigns and validates a page of the launch, and zeroes it.
    fn take_page(&mut self, gpa: u64) -> Result<u64, FileError> {
        let entry = self.rmp.entry(gpa / PAGE);
        if !gpa.is_multiple_of(PAGE) || !entry.is_shared() {
            return Err(FileError::NotMemory(gpa));
        }
        if gpa < page_ceiling(self.file.end) && gpa + PAGE > page_floor(self.file.start) {
            return Err(FileError::PageOverlaps(gpa));
        }
        self.rmp.launch_page(gpa / PAGE);
        physical::fill_pages(gpa, 1, 0);
        Ok(gpa)
    }

    /// Where a parameter of this many bytes goes.
    fn parameter(
        &self,
        parameter: &igvm_defs::IGVM_VHS_PARAMETER,
        length: usize,
    ) -> Result<u64, FileError> {
        let index = parameter.parameter_area_index;
        let area = self.areas.get(index as usize).and_then(Option::as_ref);
        let area = area.ok_or(FileError::Area(index))?;
        let start = area.start + u64::from(parameter.byte_offset);
        if start + length as u64 > area.end {
            return Err(FileError::ParameterTooLong(index));
        }
        Ok(start)
    }
}

fn page_content(file: &[u8], offset: u32) -> Result<&[u8], FileError> {
    let start = offset as usize;
    file.get(start..start + PAGE_SIZE).ok_or(FileError::Truncated)
}

fn write_cpuid(at: u64) {
    let mut page = CpuidPage::new_zeroed();
    cpuid::fill_page(&mut page);
    physical::write_bytes(at, page.as_bytes());
}

/// Fresh VMPCKs for every launch.
fn write_secrets(at: u64) {
    let mut page = SecretsPage::new_zeroed();
    page.version = SECRETS_VERSION;
    page.family_model_stepping = cpuid::guest_cpuid(1, 0)[0];
    for key in &mut page.vmpck {
        for part in key.chunks_exact_mut(size_of::<u64>()) {
            part.copy_from_slice(&crate::processor::random().to_le_bytes());
        }
    }
    physical::write_bytes(at, page.as_bytes());
}
