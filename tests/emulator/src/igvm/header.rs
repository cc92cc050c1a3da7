// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fixed header, its checksum, and the list of variable headers.

use igvm_defs::{
    IGVM_FIXED_HEADER, IGVM_FORMAT_VERSION_1, IGVM_MAGIC_VALUE, IGVM_SEV_SNP_PLATFORM_VERSION,
    IGVM_VHS_SUPPORTED_PLATFORM, IGVM_VHS_VARIABLE_HEADER, IGVM_VHT_OPTIONAL_BIT,
    IGVM_VHT_RANGE_DIRECTIVE, IGVM_VHT_RANGE_INIT, IGVM_VHT_RANGE_PLATFORM, IgvmPlatformType,
    IgvmVariableHeaderType,
};
use zerocopy::{FromBytes, IntoBytes};

use super::IgvmError;

/// The section that a header belongs to; they follow each other in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Platform,
    Initialization,
    Directive,
}

impl Section {
    fn of(kind: u32) -> Option<Self> {
        if IGVM_VHT_RANGE_PLATFORM.contains(&kind) {
            Some(Self::Platform)
        } else if IGVM_VHT_RANGE_INIT.contains(&kind) {
            Some(Self::Initialization)
        } else if IGVM_VHT_RANGE_DIRECTIVE.contains(&kind) {
            Some(Self::Directive)
        } else {
            None
        }
    }
}

/// One variable header that must be understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header<'file> {
    pub(super) kind: IgvmVariableHeaderType,
    pub(super) content: &'file [u8],
}

impl Header<'_> {
    /// The structure of this header, which must have exactly its length.
    pub(super) fn read<T: FromBytes, E>(&self) -> Result<T, IgvmError<E>> {
        T::read_from_bytes(self.content).map_err(|_| IgvmError::Header(self.kind.0))
    }
}

/// The headers that haven't been read yet.
#[derive(Clone, Debug)]
pub(super) struct Headers<'file> {
    rest: &'file [u8],
    section: Section,
}

impl<'file> Headers<'file> {
    /// Checks the fixed header.
    pub(super) fn parse<E>(file: &'file [u8]) -> Result<Self, IgvmError<E>> {
        let (fixed, _) =
            IGVM_FIXED_HEADER::read_from_prefix(file).map_err(|_| IgvmError::NotIgvm)?;
        if fixed.magic != IGVM_MAGIC_VALUE || fixed.format_version != IGVM_FORMAT_VERSION_1 {
            return Err(IgvmError::NotIgvm);
        }
        let offset = index(fixed.variable_header_offset);
        let headers = file
            .get(offset..)
            .and_then(|rest| rest.get(..index(fixed.variable_header_size)))
            .ok_or(IgvmError::Sizes)?;
        let in_place = offset >= size_of::<IGVM_FIXED_HEADER>() && offset.is_multiple_of(8);
        if !in_place || index(fixed.total_file_size) != file.len() {
            return Err(IgvmError::Sizes);
        }
        let unsigned = IGVM_FIXED_HEADER { checksum: 0, ..fixed };
        let checksum = crc32(unsigned.as_bytes().iter().chain(headers));
        if checksum != fixed.checksum {
            return Err(IgvmError::Checksum(checksum));
        }
        Ok(Self { rest: headers, section: Section::Platform })
    }

    /// The bit by which directives say that they are for SNP.
    pub(super) fn snp_compatibility<E>(&self) -> Result<u32, IgvmError<E>> {
        let mut found = None;
        let mut headers = self.clone();
        while let Some(header) = headers.next_header()? {
            if header.kind != IgvmVariableHeaderType::IGVM_VHT_SUPPORTED_PLATFORM {
                continue;
            }
            let platform: IGVM_VHS_SUPPORTED_PLATFORM = header.read()?;
            if platform.platform_type != IgvmPlatformType::SEV_SNP {
                continue;
            }
            let usable = platform.platform_version == IGVM_SEV_SNP_PLATFORM_VERSION
                && platform.compatibility_mask.is_power_of_two();
            if !usable || found.replace(platform.compatibility_mask).is_some() {
                return Err(IgvmError::Platform);
            }
        }
        found.ok_or(IgvmError::Platform)
    }

    /// The next header, leaving out those that are optional and unknown.
    pub(super) fn next_header<E>(&mut self) -> Result<Option<Header<'file>>, IgvmError<E>> {
        while !self.rest.is_empty() {
            let header = self.split_header()?;
            let kind = header.kind.0;
            match Section::of(kind) {
                Some(section) if section < self.section => return Err(IgvmError::Order(kind)),
                Some(section) => {
                    self.section = section;
                    return Ok(Some(header));
                }
                None if kind & IGVM_VHT_OPTIONAL_BIT != 0 => {}
                None => return Err(IgvmError::UnknownType(kind)),
            }
        }
        Ok(None)
    }

    fn split_header<E>(&mut self) -> Result<Header<'file>, IgvmError<E>> {
        let (head, rest) = IGVM_VHS_VARIABLE_HEADER::read_from_prefix(self.rest)
            .map_err(|_| IgvmError::Header(0))?;
        let broken = IgvmError::Header(head.typ.0);
        let length = index(head.length);
        let padded = length.checked_next_multiple_of(8);
        let Some((padded, rest)) = padded.and_then(|padded| rest.split_at_checked(padded)) else {
            return Err(broken);
        };
        let (content, padding) = padded.split_at_checked(length).unwrap_or((padded, &[]));
        if padding.iter().any(|&byte| byte != 0) {
            return Err(broken);
        }
        self.rest = rest;
        Ok(Header { kind: head.typ, content })
    }
}

/// A `u32` as an index; this program and its tests are 64-bit.
const fn index(value: u32) -> usize {
    value as usize
}

/// CRC-32 as in IEEE 802.3, reflected. There are few headers: no table is needed.
fn crc32<'bytes>(bytes: impl Iterator<Item = &'bytes u8>) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let mut remainder = u32::MAX;
    for &byte in bytes {
        remainder ^= u32::from(byte);
        for _ in 0..8 {
            let low = remainder & 1;
            remainder >>= 1;
            if low == 1 {
                remainder ^= POLYNOMIAL;
            }
        }
    }
    !remainder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_well_known_one() {
        assert_eq!(crc32(b"123456789".iter()), 0xcbf4_3926);
    }
}
