// SPDX-License-Identifier: MIT OR Apache-2.0
//! One command of `etc/table-loader`: 128 bytes, little-endian, file names of 56 bytes with a final
//! NUL.
//!
//! ```text
//! 1 ALLOCATE       name @4, u32 alignment @60, u8 zone @64 (1 anywhere, 2 below 1 MiB)
//! 2 ADD_POINTER    name @4 (to patch), name @60 (target), u32 offset @116, u8 size @120
//! 3 ADD_CHECKSUM   name @4, u32 place @60, u32 start @64, u32 length @68
//! 4 WRITE_POINTER  name @4 (of the host's), name @60, u32 @116, u32 @120, u8 size @124
//! ```

use super::AcpiError;

/// Size of a command in bytes.
pub(super) const COMMAND_BYTES: usize = 128;
const NAME_BYTES: usize = 56;

/// A command whose own fields are legal; what they refer to isn't checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// Read a file and give it memory. The zone isn't honoured: the guest gets the root pointer's
    /// address from boot_params and need not search for it below 1 MiB.
    Allocate { file: &'a str, alignment: u32 },
    /// Add the target's address to a number in a file.
    AddPointer { into: &'a str, target: &'a str, offset: u32, size: u8 },
    /// Make a range sum up to zero.
    AddChecksum { file: &'a str, place: u32, start: u32, length: u32 },
    /// Tell the host an address.
    WritePointer { into: &'a str },
    /// To be skipped, as the interface wants.
    Unknown(u32),
}

impl<'a> Command<'a> {
    /// Reads `COMMAND_BYTES` bytes.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, AcpiError> {
        Ok(match number(bytes, 0)? {
            1 => {
                if !matches!(byte(bytes, 64)?, 1 | 2) {
                    return Err(AcpiError::Command);
                }
                Self::Allocate { file: name(bytes, 4)?, alignment: number(bytes, 60)? }
            }
            2 => {
                let size = byte(bytes, 120)?;
                if !matches!(size, 1 | 2 | 4 | 8) {
                    return Err(AcpiError::Command);
                }
                Self::AddPointer {
                    into: name(bytes, 4)?,
                    target: name(bytes, 60)?,
                    offset: number(bytes, 116)?,
                    size,
                }
            }
            3 => Self::AddChecksum {
                file: name(bytes, 4)?,
                place: number(bytes, 60)?,
                start: number(bytes, 64)?,
                length: number(bytes, 68)?,
            },
            4 => Self::WritePointer { into: name(bytes, 4)? },
            code => Self::Unknown(code),
        })
    }
}

fn byte(bytes: &[u8], offset: usize) -> Result<u8, AcpiError> {
    bytes.get(offset).copied().ok_or(AcpiError::Script)
}

fn number(bytes: &[u8], offset: usize) -> Result<u32, AcpiError> {
    let chunk = bytes.get(offset..).and_then(<[u8]>::first_chunk).ok_or(AcpiError::Script)?;
    Ok(u32::from_le_bytes(*chunk))
}

fn name(bytes: &[u8], offset: usize) -> Result<&str, AcpiError> {
    let field =
        bytes.get(offset..).and_then(<[u8]>::first_chunk::<NAME_BYTES>).ok_or(AcpiError::Script)?;
    let length = field.iter().position(|&byte| byte == 0).ok_or(AcpiError::Command)?;
    let text = field.get(..length).filter(|text| text.is_ascii() && !text.is_empty());
    text.and_then(|text| core::str::from_utf8(text).ok()).ok_or(AcpiError::Command)
}
