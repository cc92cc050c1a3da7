// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads an IGVM file.

use std::fmt;

use igvm::{IgvmFile, IgvmInitializationHeader};
use igvm_defs::IGVM_FIXED_HEADER;
use zerocopy::FromBytes;

/// Why a file can't be read.
#[derive(Debug)]
pub enum FileError {
    /// The sizes in the fixed header don't describe this file.
    Sizes,
    /// The `igvm` crate refuses the file.
    Igvm(igvm::Error),
}

impl fmt::Display for FileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sizes => write!(formatter, "not an IGVM file of this size"),
            Self::Igvm(error) => write!(formatter, "not a valid IGVM file: {error}"),
        }
    }
}

impl std::error::Error for FileError {}

/// Reads a file.
///
/// # Errors
/// See [`FileError`].
pub fn read(bytes: &[u8]) -> Result<IgvmFile, FileError> {
    // The igvm crate adds these numbers without looking.
    let (header, _) = IGVM_FIXED_HEADER::read_from_prefix(bytes).map_err(|_| FileError::Sizes)?;
    let fits = header
        .variable_header_offset
        .checked_add(header.variable_header_size)
        .and_then(|end| usize::try_from(end).ok())
        .is_some_and(|end| end <= bytes.len());
    if !fits {
        return Err(FileError::Sizes);
    }
    IgvmFile::new_from_binary(bytes, None).map_err(FileError::Igvm)
}

/// The guest policy in the file, if there is one.
#[must_use]
pub fn policy(file: &IgvmFile) -> Option<u64> {
    file.initializations().iter().find_map(|header| match header {
        IgvmInitializationHeader::GuestPolicy { policy, .. } => Some(*policy),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use igvm_defs::{IGVM_FORMAT_VERSION_1, IGVM_MAGIC_VALUE};
    use zerocopy::IntoBytes;

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        assert!(matches!(read(b"IGVM"), Err(FileError::Sizes)));
        for (offset, size) in [(u32::MAX, 1), (24, u32::MAX), (24, 1)] {
            let header = IGVM_FIXED_HEADER {
                magic: IGVM_MAGIC_VALUE,
                format_version: IGVM_FORMAT_VERSION_1,
                variable_header_offset: offset,
                variable_header_size: size,
                total_file_size: 24,
                checksum: 0,
            };
            assert!(matches!(read(header.as_bytes()), Err(FileError::Sizes)));
        }
    }
}
