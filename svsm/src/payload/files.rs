// SPDX-License-Identifier: MIT OR Apache-2.0
//! The payload's files: read once in pieces, hashed on the way, compared with the measured digest.

use super::{PayloadError, PayloadFile};
use crate::machine::Machine;
use alloc::vec::Vec;
use sha2::{Digest as _, Sha384};
use snp_abi::config::{LaunchConfig, LaunchFlags, PayloadDigest};
use snp_abi::fw_cfg::{FILE_CMDLINE, FILE_INITRD, FILE_KERNEL};
use snp_abi::launch::Digest;
use snp_abi::linux::KernelImage;

/// Bytes read at a time.
pub(super) const PIECE_BYTES: usize = 64 << 10;
/// Longest command line in bytes, the final NUL included: its place is one page.
const COMMAND_LINE_BYTES_MAX: u32 = 4096;

/// A file that was read to its end, with what was seen of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileRecord {
    /// Bytes.
    pub(super) length: u64,
    /// SHA-384 of all bytes.
    pub(super) digest: Digest,
}

/// What the measured configuration demands of a file.
pub(super) enum Expectation {
    /// There is no such file in this launch, whatever the host offers.
    Absent,
    /// Any file will do (development builds).
    Any,
    /// Exactly this one.
    Measured(PayloadDigest),
}

impl Expectation {
    /// For `file` under `config`.
    pub(super) fn of(config: &LaunchConfig, file: PayloadFile) -> Self {
        let digest = match file {
            PayloadFile::Kernel => config.kernel,
            PayloadFile::Initrd => config.initrd,
            PayloadFile::CommandLine => config.cmdline,
        };
        match digest {
            Some(digest) => Self::Measured(digest),
            None if config.flags.contains(LaunchFlags::ALLOW_UNMEASURED_PAYLOAD) => Self::Any,
            None => Self::Absent,
        }
    }
}

fn name(file: PayloadFile) -> &'static str {
    match file {
        PayloadFile::Kernel => FILE_KERNEL,
        PayloadFile::Initrd => FILE_INITRD,
        PayloadFile::CommandLine => FILE_CMDLINE,
    }
}

/// The file's length, if there is such a file in this launch and the host's has the measured
/// length.
pub(super) fn length(
    machine: &mut dyn Machine,
    config: &LaunchConfig,
    file: PayloadFile,
) -> Result<Option<u32>, PayloadError> {
    let expectation = Expectation::of(config, file);
    if matches!(expectation, Expectation::Absent) {
        return Ok(None);
    }
    let length = match machine.file_size(name(file)) {
        Err(crate::machine::FileFault::Missing) if matches!(expectation, Expectation::Any) => {
            return Ok(None);
        }
        other => other.map_err(|fault| PayloadError::File(file, fault))?,
    };
    match expectation {
        Expectation::Measured(digest) if digest.length != u64::from(length) => {
            Err(PayloadError::WrongLength(file))
        }
        _ => Ok(Some(length)),
    }
}

/// Reads `file` from front to end and hands each piece to `sink` with its offset. Fails when the
/// whole isn't what was measured; what `sink` did must then not be used.
pub(super) fn read(
    machine: &mut dyn Machine,
    config: &LaunchConfig,
    file: PayloadFile,
    length: u32,
    mut sink: impl FnMut(&mut dyn Machine, u64, &[u8]) -> Result<(), PayloadError>,
) -> Result<FileRecord, PayloadError> {
    let mut piece = Vec::new();
    piece.try_reserve_exact(PIECE_BYTES).map_err(|_| PayloadError::OwnMemory)?;
    piece.resize(PIECE_BYTES, 0);
    let mut hash = Sha384::new();
    let mut offset = 0;
    while offset < length {
        let rest = usize::try_from(length.saturating_sub(offset)).unwrap_or(PIECE_BYTES);
        let part = piece.get_mut(..rest.min(PIECE_BYTES)).ok_or(PayloadError::OwnMemory)?;
        machine
            .read_file(name(file), offset, part)
            .map_err(|fault| PayloadError::File(file, fault))?;
        hash.update(&*part);
        sink(machine, u64::from(offset), part)?;
        let read = u32::try_from(part.len()).map_err(|_| PayloadError::OwnMemory)?;
        offset = offset.saturating_add(read);
    }
    let record = FileRecord { length: u64::from(length), digest: hash.finalize().into() };
    match Expectation::of(config, file) {
        Expectation::Measured(expected) if expected.digest != record.digest => {
            Err(PayloadError::WrongDigest(file))
        }
        _ => Ok(record),
    }
}

/// The command line, in private memory.
pub(super) struct CommandLine {
    /// The text with its final NUL.
    pub(super) text: Vec<u8>,
    /// What was read.
    pub(super) file: FileRecord,
}

/// Reads the command line; without a file it is empty.
pub(super) fn command_line(
    machine: &mut dyn Machine,
    config: &LaunchConfig,
    kernel: &KernelImage,
) -> Result<CommandLine, PayloadError> {
    let file = PayloadFile::CommandLine;
    let length = length(machine, config, file)?.unwrap_or(0);
    let longest = kernel.header.cmdline_size.get().min(COMMAND_LINE_BYTES_MAX - 1);
    if length > longest {
        return Err(PayloadError::CommandLine);
    }
    let mut text = Vec::new();
    let record = if length == 0 {
        FileRecord { length: 0, digest: Sha384::digest([]).into() }
    } else {
        read(machine, config, file, length, |_, _, piece| {
            text.extend_from_slice(piece);
            Ok(())
        })?
    };
    // QEMU's own habit of ending strings with a NUL is harmless; one in the middle hides the rest.
    if text.last() != Some(&0) {
        text.push(0);
    }
    let nuls = text.iter().filter(|&&byte| byte == 0).count();
    if nuls != 1 {
        return Err(PayloadError::CommandLine);
    }
    Ok(CommandLine { text, file: record })
}
