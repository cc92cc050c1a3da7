// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the guest starts with: a Linux kernel, its initial RAM disk and its command line, placed in
//! the guest's memory, checked against the digests in the measured launch configuration, and
//! measured into the vTPM's PCRs before the guest's first instruction.
//!
//! Everything here comes from the host. The order of work: copy into private memory while hashing,
//! compare, measure, and only then use; what must be looked at earlier (the kernel's header, which
//! decides where the kernel goes) is checked as a hostile structure.
//!
//! Another kind of payload (firmware) is another module that produces a [`GuestEntry`].

#![forbid(unsafe_code)]

extern crate alloc;

mod acpi;
mod boot_data;
mod e820;
mod event_log;
mod files;
mod kernel;
mod measurement;
mod page_tables;
mod placement;

#[cfg(test)]
mod tests;

use crate::machine::{FileFault, Machine};
use crate::protocol::vtpm::Engine;
use core::fmt;
use measurement::{Measurements, Subject};
use placement::Placement;
use snp_abi::config::LaunchConfig;
use snp_abi::cpuid::CpuidPage;
use snp_abi::linux::ImageError;
use snp_abi::secrets::SecretsPage;

pub use acpi::AcpiError;
pub use event_log::TABLE_SIGNATURE as EVENT_LOG_TABLE;
pub use measurement::MeasurementError;

/// What the payload needs to know of the launch.
pub struct Launch<'a> {
    /// The measured configuration.
    pub config: &'a LaunchConfig,
    /// The CPUID page that the firmware has checked.
    pub cpuid: &'a CpuidPage,
    /// The SVSM's own secrets page.
    pub secrets: &'a SecretsPage,
    /// Position of the C-bit in a page table entry.
    pub c_bit: u32,
}

/// How the boot vCPU enters the payload: 64-bit mode with paging on, interrupts off, flat segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestEntry {
    /// First instruction.
    pub rip: u64,
    /// Linux: address of boot_params.
    pub rsi: u64,
    /// End of a small stack.
    pub rsp: u64,
    /// Page table root, with the C-bit set.
    pub cr3: u64,
    /// Address of the descriptor table.
    pub gdt_base: u64,
    /// Its limit: size in bytes less one.
    pub gdt_limit: u32,
    /// Code selector.
    pub code_selector: u16,
    /// Selector of all data segments.
    pub data_selector: u16,
    /// The boot vCPU's calling area.
    pub calling_area: u64,
    /// The guest's secrets page.
    pub secrets_page: u64,
}

/// A file of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadFile {
    /// The kernel image.
    Kernel,
    /// The initial RAM disk.
    Initrd,
    /// The command line.
    CommandLine,
}

/// Why the guest isn't started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadError {
    /// The launch configuration names no kernel, and doesn't allow an unmeasured one.
    NoKernel,
    /// The host didn't deliver a file.
    File(PayloadFile, FileFault),
    /// The file's length isn't the measured one.
    WrongLength(PayloadFile),
    /// The file's SHA-384 isn't the measured one.
    WrongDigest(PayloadFile),
    /// The kernel image isn't one that can be started.
    Kernel(ImageError),
    /// The kernel doesn't accept a command line of this length, or it holds a NUL.
    CommandLine,
    /// The guest's memory has no place for it.
    NoRoom(&'static str),
    /// The memory map has more pieces than Linux takes.
    MemoryMapTooLong,
    /// Guest memory that the memory map promises isn't there.
    GuestMemory,
    /// The SVSM's own memory is used up.
    OwnMemory,
    /// The ACPI tables aren't acceptable.
    Acpi(AcpiError),
    /// The vTPM didn't take a measurement.
    Measurement(MeasurementError),
    /// The CPUID page isn't well-formed.
    Cpuid,
}

impl fmt::Display for PayloadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongDigest(file) => {
                write!(formatter, "{file:?}: the host's file is not the one that was measured")
            }
            Self::WrongLength(file) => {
                write!(formatter, "{file:?}: the host's file has not the measured length")
            }
            Self::File(file, fault) => write!(formatter, "{file:?}: not delivered: {fault:?}"),
            Self::NoRoom(what) => write!(formatter, "no room in guest memory for the {what}"),
            other => write!(formatter, "{other:?}"),
        }
    }
}

/// Brings the payload into the guest's memory, which must all be validated and granted, starts the
/// vTPM and measures.
///
/// # Errors
/// [`PayloadError`]: the guest must not be started.
pub fn load(
    machine: &mut dyn Machine,
    launch: &Launch<'_>,
    tpm: &mut (dyn Engine + Send),
) -> Result<GuestEntry, PayloadError> {
    let mut measurements = Measurements::start(tpm)?;
    measurements.measure_svsm(launch.config)?;
    let mut placement = Placement::new(machine);
    let mut acpi = acpi::Tables::fetch(machine, &mut placement, &mut measurements)?;
    measurements.separate()?;
    let boot_data = boot_data::Addresses::place(&mut placement)?;
    let kernel = kernel::load(machine, &mut placement, launch.config)?;
    measurements.measure_file(Subject::Kernel, &kernel.file)?;
    let command_line = files::command_line(machine, launch.config, &kernel.image)?;
    measurements.measure_file(Subject::CommandLine, &command_line.file)?;
    let initrd = kernel::load_initrd(machine, &mut placement, launch.config, &kernel.image)?;
    if let Some(initrd) = &initrd {
        measurements.measure_file(Subject::Initrd, &initrd.file)?;
    }
    let rsdp = match acpi.as_mut() {
        Some(tables) => tables.install(machine, &mut placement, measurements.log())?,
        None => 0,
    };
    measurements.finish();
    let payload = boot_data::Payload { kernel: &kernel, initrd: initrd.as_ref(), rsdp };
    boot_data::write(machine, &placement, launch, &boot_data, &payload, &command_line.text)
}
