// SPDX-License-Identifier: MIT OR Apache-2.0
//! ACPI tables: the host's files and the script that links them, run in private memory and placed
//! in the guest's (QEMU, `docs/specs/acpi_*` and the `etc/table-loader` interface that firmware
//! implements).
//!
//! The files are measured as they come (PCR 1). After the script has run, every table that can be
//! reached from the root is checked: it lies in one of the files' memory and its checksum holds.
//! What AML the host puts into a well-formed table can't be judged here; the measurement is what a
//! verifier goes by.

#[cfg(test)]
pub(super) mod sample;
mod script;
mod table;
#[cfg(test)]
mod tests;

use super::PayloadError;
use super::event_log::EventLog;
use super::files::FileRecord;
use super::measurement::{Measurements, Subject};
use super::page_tables::MAPPED_END;
use super::placement::{From, Placement, Request, Use};
use crate::machine::{FileFault, Machine, PAGE_BYTES};
use alloc::string::String;
use alloc::vec::Vec;
use script::Command;
use sha2::{Digest as _, Sha384};
use snp_abi::fw_cfg::{FILE_ACPI_RSDP, FILE_TABLE_LOADER};

/// Most files that a script may allocate.
const FILES_MAX: usize = 16;
/// Most bytes of all of them together.
const BYTES_MAX: usize = 1 << 20;
/// Most bytes of the script: 4096 commands.
const SCRIPT_BYTES_MAX: usize = 4096 * script::COMMAND_BYTES;
/// Greatest alignment that a script may ask for.
const ALIGNMENT_MAX: u32 = 1 << 20;
/// Tables lie above the first MiB.
const LOWEST: u64 = 1 << 20;

/// Why the tables aren't used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcpiError {
    /// The host didn't deliver a file.
    File(FileFault),
    /// The script isn't a whole number of commands, or too long.
    Script,
    /// A command names a file that wasn't allocated.
    UnknownFile,
    /// A command's field is illegal: alignment, zone, size of a pointer, a name without an end.
    Command,
    /// A file is allocated twice.
    Twice,
    /// Too many files, or too big.
    TooMuch,
    /// A command reaches outside its file.
    OutOfFile,
    /// A pointer doesn't fit its place.
    Pointer,
    /// There is no root pointer, or it is damaged.
    Root,
    /// A table isn't in a file's memory, or is damaged.
    Table([u8; 4]),
}

impl core::convert::From<AcpiError> for PayloadError {
    fn from(error: AcpiError) -> Self {
        Self::Acpi(error)
    }
}

/// A file and the guest memory it will be in.
struct Blob {
    name: String,
    address: u64,
    bytes: Vec<u8>,
}

/// The linked tables, still in the SVSM's memory.
pub(super) struct Tables {
    blobs: Vec<Blob>,
}

impl Tables {
    /// Fetches, measures and links the host's tables; `None` when the host has no script.
    pub(super) fn fetch(
        machine: &mut dyn Machine,
        placement: &mut Placement,
        measurements: &mut Measurements<'_>,
    ) -> Result<Option<Self>, PayloadError> {
        let script = match read(machine, FILE_TABLE_LOADER, SCRIPT_BYTES_MAX) {
            Err(PayloadError::Acpi(AcpiError::File(FileFault::Missing))) => {
                machine.log(format_args!("payload: the host has no ACPI tables"));
                return Ok(None);
            }
            other => other?,
        };
        measurements.measure_file(Subject::TableLoader, &record(&script))?;
        let mut tables = Self { blobs: Vec::new() };
        if script.len() % script::COMMAND_BYTES != 0 {
            return Err(AcpiError::Script.into());
        }
        for bytes in script.chunks_exact(script::COMMAND_BYTES) {
            match Command::parse(bytes)? {
                Command::Allocate { file, alignment } => {
                    let blob = tables.allocate(machine, placement, file, alignment)?;
                    measurements.measure_file(Subject::AcpiFile, &record(&blob.bytes))?;
                    tables.blobs.push(blob);
                }
                Command::AddPointer { into, target, offset, size } => {
                    tables.add_pointer(into, target, offset, size)?;
                }
                Command::AddChecksum { file, place, start, length } => {
                    tables.add_checksum(file, place, start, length)?;
                }
                Command::WritePointer { into } => {
                    // It would tell the host where a table is. No device that needs it is
                    // supported.
                    machine.log(format_args!("payload: not telling the host's {into} an address"));
                }
                Command::Unknown(0) => {}
                Command::Unknown(code) => {
                    machine.log(format_args!("payload: unknown ACPI script command {code}"));
                }
            }
        }
        Ok(Some(tables))
    }

    fn allocate(
        &self,
        machine: &mut dyn Machine,
        placement: &mut Placement,
        name: &str,
        alignment: u32,
    ) -> Result<Blob, PayloadError> {
        if self.blobs.iter().any(|blob| blob.name == name) {
            return Err(AcpiError::Twice.into());
        }
        if !alignment.is_power_of_two() || alignment > ALIGNMENT_MAX {
            return Err(AcpiError::Command.into());
        }
        let used = self.blobs.iter().map(|blob| blob.bytes.len()).sum();
        if self.blobs.len() >= FILES_MAX {
            return Err(AcpiError::TooMuch.into());
        }
        let bytes = read(machine, name, BYTES_MAX.saturating_sub(used))?;
        let address = place(placement, bytes.len(), u64::from(alignment))?;
        Ok(Blob { name: String::from(name), address, bytes })
    }

    fn blob(&mut self, name: &str) -> Result<&mut Blob, AcpiError> {
        self.blobs.iter_mut().find(|blob| blob.name == name).ok_or(AcpiError::UnknownFile)
    }

    /// Adds the address of `target` to the little-endian number of `size` bytes at `offset`.
    fn add_pointer(
        &mut self,
        into: &str,
        target: &str,
        offset: u32,
        size: u8,
    ) -> Result<(), AcpiError> {
        let target = self.blob(target)?;
        let (address, length) = (target.address, target.bytes.len() as u64);
        let place = span(&mut self.blob(into)?.bytes, offset, u32::from(size))?;
        let mut number = [0; 8];
        number.get_mut(..place.len()).ok_or(AcpiError::Command)?.copy_from_slice(place);
        let within = u64::from_le_bytes(number);
        if within >= length.max(1) {
            return Err(AcpiError::Pointer);
        }
        let sum = address.checked_add(within).ok_or(AcpiError::Pointer)?.to_le_bytes();
        let (low, high) = sum.split_at_checked(place.len()).ok_or(AcpiError::Command)?;
        if high.iter().any(|&byte| byte != 0) {
            return Err(AcpiError::Pointer);
        }
        place.copy_from_slice(low);
        Ok(())
    }

    /// Makes the bytes of a range sum up to zero by the byte at `place`.
    fn add_checksum(
        &mut self,
        file: &str,
        place: u32,
        start: u32,
        length: u32,
    ) -> Result<(), AcpiError> {
        let bytes = &mut self.blob(file)?.bytes;
        let sum = table::sum(span(bytes, start, length)?);
        for byte in span(bytes, place, 1)? {
            *byte = byte.wrapping_sub(sum);
        }
        Ok(())
    }

    /// Adds the event log, writes everything to its place, and returns the root pointer's address.
    pub(super) fn install(
        &mut self,
        machine: &mut dyn Machine,
        placement: &mut Placement,
        log: &EventLog,
    ) -> Result<u64, PayloadError> {
        let mut addresses = self.check()?;
        for &address in &addresses {
            let serves = |apic_id| machine.has_vcpu(apic_id);
            table::hide_processors(self.table_mut(address)?, &serves)?;
        }
        let log_table = table::event_log(log.bytes())?;
        let log_address = place(placement, log_table.len(), PAGE_BYTES)?;
        addresses.push(log_address);
        let root = table::root_table(&addresses)?;
        let root_address = place(placement, root.len(), PAGE_BYTES)?;
        let pointer = table::root_pointer(root_address);
        let pointer_address = place(placement, pointer.len(), PAGE_BYTES)?;
        let own = [(log_address, &log_table), (root_address, &root), (pointer_address, &pointer)];
        let host = self.blobs.iter().map(|blob| (blob.address, &blob.bytes));
        for (address, bytes) in host.chain(own) {
            machine.write_guest(address, bytes).map_err(|_| PayloadError::GuestMemory)?;
        }
        Ok(pointer_address)
    }

    /// Checks all that can be reached from the root pointer; the addresses of the root's tables.
    fn check(&self) -> Result<Vec<u64>, AcpiError> {
        let pointer =
            self.blobs.iter().find(|blob| blob.name == FILE_ACPI_RSDP).ok_or(AcpiError::Root)?;
        let (root, entry_bytes) = table::parse_root_pointer(&pointer.bytes)?;
        let addresses = table::entries(self.table(root)?, entry_bytes)?;
        for &address in &addresses {
            let content = self.table(address)?;
            if let Some(pointers) = table::fixed_pointers(content) {
                self.table(pointers.dsdt)?;
                if pointers.facs != 0 && self.memory(pointers.facs).is_none() {
                    return Err(AcpiError::Table(*b"FACS"));
                }
            }
        }
        Ok(addresses)
    }

    /// The table at a guest address, whole and with a good checksum.
    fn table(&self, address: u64) -> Result<&[u8], AcpiError> {
        table::check(self.memory(address).ok_or(AcpiError::Table([0; 4]))?)
    }

    fn table_mut(&mut self, address: u64) -> Result<&mut [u8], AcpiError> {
        let length = self.table(address)?.len();
        let absent = AcpiError::Table([0; 4]);
        let blob = self.blobs.iter_mut().find_map(|blob| {
            let offset = usize::try_from(address.checked_sub(blob.address)?).ok()?;
            blob.bytes.get_mut(offset..)?.get_mut(..length)
        });
        blob.ok_or(absent)
    }

    /// The rest of the file whose memory holds `address`.
    fn memory(&self, address: u64) -> Option<&[u8]> {
        self.blobs.iter().find_map(|blob| {
            let offset = usize::try_from(address.checked_sub(blob.address)?).ok()?;
            blob.bytes.get(offset..).filter(|rest| !rest.is_empty())
        })
    }
}

fn place(placement: &mut Placement, length: usize, alignment: u64) -> Result<u64, PayloadError> {
    placement.place(&Request {
        what: "ACPI tables",
        size: length as u64,
        alignment,
        window: LOWEST..MAPPED_END,
        from: From::Top,
        usage: Use::Acpi,
    })
}

fn span(bytes: &mut [u8], offset: u32, length: u32) -> Result<&mut [u8], AcpiError> {
    let start = usize::try_from(offset).map_err(|_| AcpiError::OutOfFile)?;
    let length = usize::try_from(length).map_err(|_| AcpiError::OutOfFile)?;
    let end = start.checked_add(length).ok_or(AcpiError::OutOfFile)?;
    bytes.get_mut(start..end).ok_or(AcpiError::OutOfFile)
}

fn record(bytes: &[u8]) -> FileRecord {
    FileRecord { length: bytes.len() as u64, digest: Sha384::digest(bytes).into() }
}

/// Reads a whole file of at most `bytes_max` bytes; an empty one isn't acceptable.
fn read(machine: &mut dyn Machine, name: &str, bytes_max: usize) -> Result<Vec<u8>, PayloadError> {
    let size = machine.file_size(name).map_err(AcpiError::File)?;
    let size = usize::try_from(size).map_err(|_| AcpiError::TooMuch)?;
    if size == 0 || size > bytes_max {
        return Err(AcpiError::TooMuch.into());
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| PayloadError::OwnMemory)?;
    bytes.resize(size, 0);
    for (index, piece) in bytes.chunks_mut(super::files::PIECE_BYTES).enumerate() {
        let offset = index.saturating_mul(super::files::PIECE_BYTES);
        let offset = u32::try_from(offset).map_err(|_| AcpiError::TooMuch)?;
        machine.read_file(name, offset, piece).map_err(AcpiError::File)?;
    }
    Ok(bytes)
}
