// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the firmware measures a guest at launch. AMD 56860, 8.17 (SNP_LAUNCH_UPDATE), PAGE_INFO;
//! guest policy: AMD 56860, 4.3.
//!
//! The launch digest starts as 48 zero bytes. For every page it becomes the SHA-384 of that page's
//! [`PageInfo`]. Hashing is left to the users of this crate.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of a SHA-384 digest.
pub const DIGEST_SIZE: usize = 48;
/// A SHA-384 digest.
pub type Digest = [u8; DIGEST_SIZE];
/// The GPA that stands for every VMSA in the launch digest.
pub const VMSA_GPA: u64 = 0xffff_ffff_f000;

/// Kinds of launch pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PageType {
    /// Contents are measured.
    Normal = 1,
    /// A VMSA; contents are measured.
    Vmsa = 2,
    /// Zeroed by the firmware.
    Zero = 3,
    /// Contents aren't measured.
    Unmeasured = 4,
    /// Filled in with secrets.
    Secrets = 5,
    /// Checked by the firmware as a CPUID page.
    Cpuid = 6,
}

impl PageType {
    /// Whether the digest of the page's contents goes into its PAGE_INFO; zeros do otherwise.
    #[must_use]
    pub const fn has_content_digest(self) -> bool {
        matches!(self, Self::Normal | Self::Vmsa)
    }
}

/// PAGE_INFO: what is hashed for one page.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PageInfo {
    /// The digest so far.
    pub digest_current: Digest,
    /// SHA-384 of the page, or zeros; see [`PageType::has_content_digest`].
    pub contents: Digest,
    /// Bytes of this structure, 0x70.
    pub length: u16,
    /// A [`PageType`].
    pub page_type: u8,
    /// Bit 0: part of an initial migration image.
    pub imi_page: u8,
    /// Permissions of VMPL3.
    pub vmpl3_permissions: u8,
    /// Permissions of VMPL2.
    pub vmpl2_permissions: u8,
    /// Permissions of VMPL1.
    pub vmpl1_permissions: u8,
    /// Reserved.
    pub reserved_67: u8,
    /// The page's GPA.
    pub gpa: u64,
}

assert_layout!(
    PageInfo, size 0x70,
    contents: 0x30, length: 0x60, page_type: 0x62, imi_page: 0x63, vmpl3_permissions: 0x64,
    vmpl2_permissions: 0x65, vmpl1_permissions: 0x66, gpa: 0x68,
);

impl PageInfo {
    /// The structure for a page without permissions for lower VMPLs. `contents` counts only for
    /// the types that measure it.
    #[must_use]
    pub const fn new(current: Digest, page_type: PageType, contents: Digest, gpa: u64) -> Self {
        Self {
            digest_current: current,
            contents: if page_type.has_content_digest() { contents } else { [0; DIGEST_SIZE] },
            length: 0x70,
            page_type: page_type as u8,
            imi_page: 0,
            vmpl3_permissions: 0,
            vmpl2_permissions: 0,
            vmpl1_permissions: 0,
            reserved_67: 0,
            gpa,
        }
    }
}

bitflags::bitflags! {
    /// The guest policy. Bits `[7:0]` and `[15:8]` are the least ABI minor and major versions.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct GuestPolicy: u64 {
        /// Least ABI minor version.
        const ABI_MINOR = 0xff;
        /// Least ABI major version.
        const ABI_MAJOR = 0xff << 8;
        /// SMT is allowed.
        const SMT = 1 << 16;
        /// Always one.
        const RESERVED_ONE = 1 << 17;
        /// A migration agent is allowed.
        const MIGRATION_AGENT = 1 << 18;
        /// Debugging is allowed.
        const DEBUG = 1 << 19;
        /// Only one socket is allowed.
        const SINGLE_SOCKET = 1 << 20;
        /// CXL is allowed.
        const CXL = 1 << 21;
        /// AES-256 XTS is required for memory.
        const MEMORY_AES_256_XTS = 1 << 22;
        /// RAPL must be off.
        const RAPL_DISABLED = 1 << 23;
        /// Ciphertext hiding is required.
        const CIPHERTEXT_HIDING = 1 << 24;
        /// Page swapping is off.
        const PAGE_SWAP_DISABLED = 1 << 25;
    }
}

impl GuestPolicy {
    /// The default: SMT allowed, no debugging, no migration agent.
    pub const DEFAULT: Self = Self::SMT.union(Self::RESERVED_ONE);

    /// Checks a policy as the firmware does at SNP_LAUNCH_START; `None` when a reserved bit is set
    /// or the bit that must be one isn't.
    #[must_use]
    pub const fn parse(policy: u64) -> Option<Self> {
        match Self::from_bits(policy) {
            Some(policy) if policy.contains(Self::RESERVED_ONE) => Some(policy),
            _ => None,
        }
    }
}

/// The ID block that the host hands in at SNP_LAUNCH_FINISH. AMD 56860, table 76.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct IdBlock {
    /// The launch digest it is for.
    pub launch_digest: Digest,
    /// Family.
    pub family_id: [u8; 16],
    /// Image.
    pub image_id: [u8; 16],
    /// 1.
    pub version: u32,
    /// Security version of the guest.
    pub guest_svn: u32,
    /// The policy it is for.
    pub policy: u64,
}

/// Curve number of P-384 in an [`IdKey`].
pub const CURVE_P384: u32 = 2;

/// A public key that signs ID blocks, or keys that do. Its SHA-384 is what reports name. AMD 56860,
/// chapter 10 (ECDSA P-384 public key format).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct IdKey {
    /// [`CURVE_P384`].
    pub curve: u32,
    /// x, little endian, zero extended.
    pub x: [u8; 72],
    /// y, little endian, zero extended.
    pub y: [u8; 72],
    /// Reserved.
    pub reserved: [u8; 0x370],
}

assert_layout!(IdBlock, size 0x60, family_id: 0x30, image_id: 0x40, version: 0x50,
    guest_svn: 0x54, policy: 0x58);
assert_layout!(IdKey, size 0x404, x: 0x04, y: 0x4c);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_with_wrong_bits_is_refused() {
        assert_eq!(GuestPolicy::parse(0x1_0000), None);
        assert_eq!(GuestPolicy::parse(1 << 40 | 0x3_0000), None);
        assert_eq!(GuestPolicy::parse(0x3_0000), Some(GuestPolicy::DEFAULT));
    }

    #[test]
    fn contents_count_only_where_they_are_measured() {
        for page_type in [PageType::Zero, PageType::Unmeasured, PageType::Secrets, PageType::Cpuid]
        {
            let info = PageInfo::new([1; 48], page_type, [2; 48], 0x1000);
            assert_eq!(info.contents, [0; 48]);
        }
        let info = PageInfo::new([1; 48], PageType::Vmsa, [2; 48], VMSA_GPA);
        assert_eq!(info.contents, [2; 48]);
        assert_eq!(info.as_bytes()[0x60..0x64], [0x70, 0, 2, 0]);
    }
}
