// SPDX-License-Identifier: MIT OR Apache-2.0
//! The launch: memory becomes the guest's, and the IGVM file is loaded as the secure processor and
//! QEMU do it together. AMD 56860, 8.17 (SNP_LAUNCH_UPDATE).

mod memory_map;

use core::ops::Range;

use snp_abi::config::REGION_BASE;
use snp_abi::cpuid::CpuidPage;
use snp_abi::launch::{Digest, PageType};
use snp_abi::secrets::SecretsPage;
use snp_abi::vmsa::Vmsa;
use snp_abi::{PAGE_SIZE, PAGE_SIZE_U64};
use spin::{Mutex, MutexGuard};
use zerocopy::{FromZeros, IntoBytes};

pub(crate) use memory_map::{MemoryPiece, PieceKind};

use crate::igvm::{self, IgvmError, LaunchPage, Loader, Parameter, ParameterKind};
use crate::layout::{LARGEST_MEMORY, MACHINE_END, MACHINE_START, PAGE, page_ceiling, page_floor};
use crate::psp::chip::Chip;
use crate::psp::launch::LaunchContext;
use crate::psp::{Entropy, Psp, cpuid_policy};
use crate::rmp::{Entry, Rmp};
use crate::{cpuid, fatal, ghcb, physical, pool, processor, refuse, say, say_json, start, world};
use memory_map::{Madt, MapBuilder};

const FRAMES: usize = crate::bits::index(LARGEST_MEMORY / PAGE_SIZE_U64);
/// The RMP's memory. In the image, so that nothing but the RMP reaches it.
static ENTRIES: Mutex<[Entry; FRAMES]> = Mutex::new([Entry::EMPTY; FRAMES]);
/// The first megabyte's hole: the VGA window.
const VGA_WINDOW: Range<u64> = 0xa_0000..0xc_0000;

/// What the host could say about itself in reports: nothing.
const HOST_DATA: [u8; 32] = [0; 32];

/// Makes memory below `top` the guest's and loads the IGVM file.
pub(crate) fn launch(top: u64, pieces: impl Iterator<Item = MemoryPiece>, file: Range<u64>) {
    let Some(entries) = ENTRIES.try_lock() else {
        fatal!("the machine is launched twice");
    };
    let frames = crate::bits::index(top / PAGE);
    let mut rmp = Rmp::new(&mut MutexGuard::leak(entries)[..frames]);
    let memory = [0..VGA_WINDOW.start, VGA_WINDOW.end..MACHINE_START, MACHINE_END..top];
    for range in memory {
        rmp.add_memory(range.start / PAGE, (range.end - range.start) / PAGE);
    }
    let Ok(map) = MapBuilder::build(top, pieces) else {
        refuse!("the memory map has too many entries");
    };
    let family_model_stepping = cpuid::guest_cpuid(1, 0)[0];
    let mut launch = Launch {
        rmp,
        map,
        file: file.clone(),
        vmsa: None,
        context: LaunchContext::start(&mut RandomInstruction),
        family_model_stepping,
    };
    // SAFETY: the file lies in RAM that nobody writes before it is given to the guest:
    // `Launch::page` refuses pages that overlap it.
    let bytes = unsafe { physical::slice(file.start, file.end - file.start) };
    let outcome = match igvm::load(bytes, &mut launch) {
        Ok(outcome) => outcome,
        Err(IgvmError::Machine(error)) => refuse!("the IGVM file asks for too much: {error:?}"),
        Err(error) => refuse!("the IGVM file isn't valid: {error:?}"),
    };
    let Launch { rmp, vmsa: Some(vmsa), context, .. } = launch else {
        refuse!("the IGVM file has no VP context");
    };
    let igvm::Launch { policy, digest, id_block } = &outcome;
    let guest = match context.finish(*policy, *digest, HOST_DATA, id_block.as_ref()) {
        Ok(guest) => guest,
        Err(error) => refuse!("the launch can't be finished: {error}"),
    };
    let Some(chip) = Chip::new(Chip::MILAN) else {
        fatal!("the secure processor has no keys");
    };
    ghcb::install_secure_processor(Psp::new(chip, guest));
    ghcb::install_owned_disk();
    say!("launch digest {}, policy {:#x}", Hexadecimal(&outcome.digest), outcome.policy.bits());
    say_json!("{{\"kind\":\"launch\",\"digest\":\"{}\"}}", Hexadecimal(&outcome.digest));
    start::set_launch_vmsa(vmsa);
    world::install_memory(rmp);
    // The file's place is ordinary RAM from here on, and holds noise.
    let pages = (page_ceiling(file.end) - page_floor(file.start)) / PAGE;
    physical::fill_pages(page_floor(file.start), pages, 0xa5);
}

/// A launch in progress.
struct Launch {
    rmp: Rmp<'static>,
    map: MapBuilder,
    file: Range<u64>,
    vmsa: Option<u64>,
    context: LaunchContext,
    family_model_stepping: u32,
}

/// The secure processor's random numbers.
struct RandomInstruction;

impl Entropy for RandomInstruction {
    fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(size_of::<u64>()) {
            part.copy_from_slice(&processor::random().to_le_bytes()[..part.len()]);
        }
    }
}

/// Why the machine can't do what the file asks for; with the GPA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LaunchError {
    /// Not memory, or part of the launch already.
    NotFree(u64),
    /// Where the file itself lies.
    OverlapsFile(u64),
    /// The pages end before the parameter does.
    ParameterTooLong(u64),
}

impl Loader for Launch {
    type Error = LaunchError;

    fn page(&mut self, page: LaunchPage<'_>) -> Result<(), LaunchError> {
        let gpa = page.gpa;
        if !self.rmp.entry(gpa / PAGE).is_shared() {
            return Err(LaunchError::NotFree(gpa));
        }
        if gpa < page_ceiling(self.file.end) && gpa + PAGE > page_floor(self.file.start) {
            return Err(LaunchError::OverlapsFile(gpa));
        }
        self.rmp.launch_page(gpa / PAGE);
        match (page.page_type, page.contents) {
            (PageType::Secrets, _) => {
                let mut secrets = SecretsPage::new_zeroed();
                self.context.fill_secrets(self.family_model_stepping, &mut secrets);
                physical::write_bytes(gpa, secrets.as_bytes());
            }
            (PageType::Cpuid, _) => write_cpuid(gpa),
            (_, Some(contents)) => physical::write_bytes(gpa, contents),
            (_, None) => physical::fill_pages(gpa, 1, 0),
        }
        Ok(())
    }

    fn parameter(&mut self, parameter: Parameter) -> Result<(), LaunchError> {
        let put = |bytes: &[u8]| {
            if bytes.len() as u64 > parameter.room_bytes {
                return Err(LaunchError::ParameterTooLong(parameter.gpa));
            }
            physical::write_bytes(parameter.gpa, bytes);
            Ok(())
        };
        match parameter.kind {
            ParameterKind::MemoryMap => put(self.map.entries().as_bytes()),
            ParameterKind::VpCount => {
                let count = u32::try_from(world::guests().count()).unwrap_or(0);
                put(&count.to_le_bytes())
            }
            // Memory that the file doesn't load is shared.
            ParameterKind::Environment => put(&1u32.to_le_bytes()),
            ParameterKind::Madt => {
                put(Madt::build(world::guests().map(|(apic_id, _)| apic_id)).bytes())
            }
        }
    }

    fn required_memory(&mut self, gpa: u64, size_bytes: u64) -> Result<(), LaunchError> {
        let frames = gpa / PAGE..gpa.saturating_add(size_bytes).div_ceil(PAGE);
        match frames.into_iter().find(|&frame| !self.rmp.entry(frame).is_memory()) {
            None => Ok(()),
            Some(frame) => Err(LaunchError::NotFree(frame * PAGE)),
        }
    }

    fn context(&mut self, vmsa: &Vmsa) -> Result<(), LaunchError> {
        // The secure processor keeps this page; it never is guest memory.
        let page = pool::pages(1);
        physical::write_bytes(page, vmsa.as_bytes());
        self.vmsa = Some(page);
        Ok(())
    }
}

/// Fills in the CPUID page, which the secure processor then checks.
fn write_cpuid(gpa: u64) {
    let mut page = CpuidPage::new_zeroed();
    cpuid::fill_page(&mut page);
    if let Err(refusal) = cpuid_policy::check(&page, processor::cpuid) {
        fatal!("the secure processor refuses the CPUID page: {refusal:?}");
    }
    physical::write_bytes(gpa, page.as_bytes());
}

/// Bytes as hexadecimal digits.
struct Hexadecimal<'a>(&'a Digest);

impl core::fmt::Display for Hexadecimal<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

const _: () = assert!(REGION_BASE >= MACHINE_END && PAGE_SIZE_U64 == PAGE && PAGE_SIZE == 4096);
