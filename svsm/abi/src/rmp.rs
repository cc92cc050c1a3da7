// SPDX-License-Identifier: MIT OR Apache-2.0
//! PVALIDATE, RMPADJUST and RMPQUERY: encodings, operands and results. AMD 24594; permissions:
//! AMD 24593, 15.36.7.

use crate::Vmpl;

/// `PVALIDATE`: RAX = address, ECX = page size, EDX = validate; EAX = result, CF = no change.
pub const PVALIDATE_OPCODE: [u8; 4] = [0xf2, 0x0f, 0x01, 0xff];
/// `RMPADJUST`: RAX = address, RCX = page size, RDX = [`RmpAttributes`]; EAX = result.
pub const RMPADJUST_OPCODE: [u8; 4] = [0xf3, 0x0f, 0x01, 0xfe];
/// `RMPQUERY`: RAX = address, RDX = target VMPL; EAX = result, RCX = page size, RDX = attributes.
pub const RMPQUERY_OPCODE: [u8; 4] = [0xf3, 0x0f, 0x01, 0xfd];
/// `VMGEXIT` with its usual prefix.
pub const VMGEXIT_OPCODE: [u8; 4] = [0xf3, 0x0f, 0x01, 0xd9];

/// Size of a page as the instructions encode it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// 4 KiB.
    Small = 0,
    /// 2 MiB.
    Large = 1,
}

impl PageSize {
    /// Bytes in a page of this size.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Small => crate::PAGE_SIZE_U64,
            Self::Large => crate::LARGE_PAGE_SIZE,
        }
    }

    /// The size that a register encodes: `None` unless 0 or 1.
    #[must_use]
    pub const fn from_register(value: u64) -> Option<Self> {
        match value {
            0 => Some(Self::Small),
            1 => Some(Self::Large),
            _ => None,
        }
    }
}

/// EAX after one of the instructions, other than success (0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RmpError {
    /// 1: an operand isn't acceptable.
    Input,
    /// 2: the current VMPL may not do that.
    Permission,
    /// 6: the RMP entry is of the other size.
    SizeMismatch,
    /// A value that the manual doesn't define.
    Unknown(u32),
}

impl RmpError {
    /// `FAIL_INPUT`.
    pub const FAIL_INPUT: u32 = 1;
    /// `FAIL_PERMISSION`.
    pub const FAIL_PERMISSION: u32 = 2;
    /// `FAIL_SIZEMISMATCH`.
    pub const FAIL_SIZE_MISMATCH: u32 = 6;

    /// The result that EAX holds.
    ///
    /// # Errors
    /// EAX is not zero.
    pub const fn check(eax: u32) -> Result<(), Self> {
        match eax {
            0 => Ok(()),
            Self::FAIL_INPUT => Err(Self::Input),
            Self::FAIL_PERMISSION => Err(Self::Permission),
            Self::FAIL_SIZE_MISMATCH => Err(Self::SizeMismatch),
            other => Err(Self::Unknown(other)),
        }
    }

    /// The value for EAX.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Input => Self::FAIL_INPUT,
            Self::Permission => Self::FAIL_PERMISSION,
            Self::SizeMismatch => Self::FAIL_SIZE_MISMATCH,
            Self::Unknown(code) => code,
        }
    }
}

bitflags::bitflags! {
    /// What a VMPL may do with a page. AMD 24593, table 15-38.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Permissions: u8 {
        /// Read.
        const READ = 1 << 0;
        /// Write.
        const WRITE = 1 << 1;
        /// Execute at CPL 3.
        const EXECUTE_USER = 1 << 2;
        /// Execute below CPL 3.
        const EXECUTE_SUPERVISOR = 1 << 3;
        /// Supervisor shadow stack.
        const SHADOW_STACK = 1 << 4;
    }
}

impl Permissions {
    /// Everything that a guest without shadow stacks needs.
    pub const READ_WRITE_EXECUTE: Self =
        Self::READ.union(Self::WRITE).union(Self::EXECUTE_USER).union(Self::EXECUTE_SUPERVISOR);
    /// Data only.
    pub const READ_WRITE: Self = Self::READ.union(Self::WRITE);
}

/// RDX of RMPADJUST, and what RMPQUERY answers there: the VMPL `[7:0]`, its permissions `[15:8]`,
/// whether the page is a VMSA `[16]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RmpAttributes {
    /// The level whose permissions are meant.
    pub vmpl: Vmpl,
    /// Its permissions.
    pub permissions: Permissions,
    /// The page is a VMSA.
    pub vmsa: bool,
}

impl RmpAttributes {
    /// The value for RDX.
    #[must_use]
    pub const fn encode(self) -> u64 {
        self.vmpl as u64 | (self.permissions.bits() as u64) << 8 | (self.vmsa as u64) << 16
    }

    /// Reads RDX; `None` for a VMPL above 3 or a reserved bit.
    #[must_use]
    pub const fn decode(rdx: u64) -> Option<Self> {
        if rdx >> 17 != 0 {
            return None;
        }
        let Some(vmpl) = Vmpl::from_number(rdx & 0xff) else { return None };
        let Some(permissions) = Permissions::from_bits((rdx >> 8 & 0xff) as u8) else {
            return None;
        };
        Some(Self { vmpl, permissions, vmsa: rdx >> 16 & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_attributes_are_refused() {
        for rdx in [4, 0xff, 1 << 17, 1 << 63, 0x20 << 8] {
            assert_eq!(RmpAttributes::decode(rdx), None, "{rdx:#x}");
        }
        let attributes = RmpAttributes {
            vmpl: Vmpl::Vmpl2,
            permissions: Permissions::READ_WRITE_EXECUTE,
            vmsa: true,
        };
        assert_eq!(attributes.encode(), 0x1_0f02);
        assert_eq!(RmpAttributes::decode(0x1_0f02), Some(attributes));
    }

    #[test]
    fn results_keep_their_codes() {
        assert_eq!(RmpError::check(0), Ok(()));
        for code in [1, 2, 6, 3] {
            assert_eq!(RmpError::check(code).map_err(RmpError::code), Err(code));
        }
        assert_eq!(PageSize::from_register(2), None);
    }
}
