// SPDX-License-Identifier: MIT OR Apache-2.0
//! Layouts and numbers of AMD SEV-SNP, of the SVSM calls, and of what lies around them.
//!
//! This crate holds no behaviour beyond encoding, decoding and checking: the SVSM kernel, the test
//! machine, the IGVM builder and verifiers share it, so that two programs can't disagree about an
//! offset. Every structure that comes from another party has a `parse` (or `decode`) function that
//! checks it and answers with a typed error.
//!
//! Sources, cited in the modules by their publication number:
//!
//! | number | title |
//! |---|---|
//! | AMD 24593 | AMD64 Architecture Programmer's Manual, volume 2: System Programming |
//! | AMD 24594 | AMD64 Architecture Programmer's Manual, volume 3: Instructions |
//! | AMD 56421 | SEV-ES Guest-Hypervisor Communication Block Standardization |
//! | AMD 56860 | SEV Secure Nested Paging Firmware ABI Specification |
//! | AMD 58019 | Secure VM Service Module for SEV-SNP Guests |
#![no_std]
#![forbid(unsafe_code)]
// What a guest, a host or a file says is read here, so the parsers' lints hold in all of it.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

#[cfg(target_endian = "big")]
compile_error!(
    "the layouts in this crate use native integers and hold on little-endian targets only"
);

/// Checks at compile time that a structure has the size and field offsets its source states.
macro_rules! assert_layout {
    ($type:ty, size $size:expr $(, $field:ident: $offset:expr)* $(,)?) => {
        const _: () = {
            assert!(core::mem::size_of::<$type>() == $size);
            $(assert!(core::mem::offset_of!($type, $field) == $offset);)*
        };
    };
}

pub mod certificates;
pub mod config;
pub mod cpuid;
pub mod disk;
pub mod fw_cfg;
pub mod ghcb;
pub mod guest_request;
pub mod guid;
pub mod launch;
pub mod linux;
pub mod manifest;
pub mod measurement;
pub mod memory_map;
pub mod msr_protocol;
pub mod report;
pub mod rmp;
pub mod secrets;
pub mod state_key;
pub mod svsm;
pub mod vmsa;

/// Bytes in a page.
pub const PAGE_SIZE: usize = 4096;
/// Bytes in a page, as the type of addresses.
pub const PAGE_SIZE_U64: u64 = 4096;
/// Bytes in a large page.
pub const LARGE_PAGE_SIZE: u64 = 0x20_0000;

/// A virtual machine privilege level, 0 (most privileged) to 3. AMD 24593, 15.36.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Vmpl {
    /// The SVSM's own level.
    Vmpl0 = 0,
    /// Between the SVSM and the guest.
    Vmpl1 = 1,
    /// The Linux guest's level.
    Vmpl2 = 2,
    /// The least privileged level.
    Vmpl3 = 3,
}

impl Vmpl {
    /// All levels, the most privileged first.
    pub const ALL: [Self; 4] = [Self::Vmpl0, Self::Vmpl1, Self::Vmpl2, Self::Vmpl3];

    /// The level with this number; `None` above 3.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Vmpl0),
            1 => Some(Self::Vmpl1),
            2 => Some(Self::Vmpl2),
            3 => Some(Self::Vmpl3),
            _ => None,
        }
    }

    /// The level as an index into an array of four.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vmpl_above_three_does_not_exist() {
        assert_eq!(Vmpl::from_number(4), None);
        assert_eq!(Vmpl::from_number(u64::MAX), None);
        for level in Vmpl::ALL {
            assert_eq!(Vmpl::from_number(level.index() as u64), Some(level));
        }
    }
}
