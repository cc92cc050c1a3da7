// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SVSM calls: protocols, results, the calling area and the structures in guest memory.
//! AMD 58019, sections 5 to 8.
//!
//! RAX = protocol `[63:32]` and call `[31:0]`, arguments in RCX, RDX, R8, R9; the result in RAX.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{
    PAGE_SIZE,
    guid::{Guid, guid},
    rmp::PageSize,
};

/// Protocol numbers.
pub mod protocol {
    /// Core.
    pub const CORE: u32 = 0;
    /// Attestation.
    pub const ATTESTATION: u32 = 1;
    /// Virtual TPM.
    pub const VTPM: u32 = 2;
    /// APIC emulation.
    pub const APIC: u32 = 3;
}

/// Calls of the core protocol. AMD 58019, section 6.
pub mod core_call {
    /// RCX = new calling area.
    pub const REMAP_CA: u32 = 0;
    /// RCX = list of pages, see [`super::PvalidateHeader`].
    pub const PVALIDATE: u32 = 1;
    /// RCX = VMSA, RDX = calling area, R8 = APIC ID.
    pub const CREATE_VCPU: u32 = 2;
    /// RCX = VMSA.
    pub const DELETE_VCPU: u32 = 3;
    /// RCX = list of pages.
    pub const DEPOSIT_MEM: u32 = 4;
    /// RCX = list of pages.
    pub const WITHDRAW_MEM: u32 = 5;
    /// RCX = protocol and version; answers the range of versions in RCX.
    pub const QUERY_PROTOCOL: u32 = 6;
    /// Virtual top of memory.
    pub const CONFIGURE_VTOM: u32 = 7;
}

/// Calls of the attestation protocol. AMD 58019, section 7.
pub mod attestation_call {
    /// All services.
    pub const SERVICES: u32 = 0;
    /// One service.
    pub const SINGLE_SERVICE: u32 = 1;
}

/// Calls of the vTPM protocol. AMD 58019, section 8.
pub mod vtpm_call {
    /// Answers supported platform commands in RCX, features in RDX.
    pub const QUERY: u32 = 0;
    /// RCX = buffer, see [`super::VtpmRequest`].
    pub const COMMAND: u32 = 1;
}

/// A call as RAX holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallNumber {
    /// The protocol.
    pub protocol: u32,
    /// The call within it.
    pub call: u32,
}

impl CallNumber {
    /// Reads RAX.
    #[must_use]
    pub const fn decode(rax: u64) -> Self {
        Self { protocol: (rax >> 32) as u32, call: (rax & 0xffff_ffff) as u32 }
    }

    /// The value for RAX.
    #[must_use]
    pub const fn encode(self) -> u64 {
        (self.protocol as u64) << 32 | self.call as u64
    }
}

/// RAX after a call. AMD 58019, table 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// Done.
    Success,
    /// Not done yet: the same call again.
    Incomplete,
    /// No such protocol.
    UnsupportedProtocol,
    /// No such call.
    UnsupportedCall,
    /// An address isn't acceptable.
    InvalidAddress,
    /// A structure isn't acceptable.
    InvalidFormat,
    /// A parameter isn't acceptable.
    InvalidParameter,
    /// The request isn't acceptable now.
    InvalidRequest,
    /// Try again; nothing was changed.
    Busy,
    /// The SVSM needs this many 4 KiB pages first (at most 2^30 - 1).
    NeedsPages(u32),
    /// An error of the protocol: the distance from 0x8000_1000.
    Protocol(u32),
}

impl CallResult {
    /// First value of the protocols' own errors.
    pub const PROTOCOL_BASE: u32 = 0x8000_1000;
    /// First value of "needs pages".
    pub const NEEDS_PAGES_BASE: u32 = 0x4000_0000;
    /// PVALIDATE changed nothing (CF was set).
    pub const PVALIDATE_NO_CHANGE: Self = Self::Protocol(0x10);

    /// The value for RAX.
    #[must_use]
    pub const fn encode(self) -> u64 {
        let value = match self {
            Self::Success => 0,
            Self::Incomplete => 0x8000_0000,
            Self::UnsupportedProtocol => 0x8000_0001,
            Self::UnsupportedCall => 0x8000_0002,
            Self::InvalidAddress => 0x8000_0003,
            Self::InvalidFormat => 0x8000_0004,
            Self::InvalidParameter => 0x8000_0005,
            Self::InvalidRequest => 0x8000_0006,
            Self::Busy => 0x8000_0007,
            Self::NeedsPages(pages) => Self::NEEDS_PAGES_BASE | pages & 0x3fff_ffff,
            Self::Protocol(error) => Self::PROTOCOL_BASE.saturating_add(error),
        };
        value as u64
    }

    /// Reads RAX as a client does; `None` for a value that isn't defined.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "checked just before")]
    pub const fn decode(rax: u64) -> Option<Self> {
        if rax >> 32 != 0 {
            return None;
        }
        let result = match rax as u32 {
            0 => Self::Success,
            0x8000_0000 => Self::Incomplete,
            0x8000_0001 => Self::UnsupportedProtocol,
            0x8000_0002 => Self::UnsupportedCall,
            0x8000_0003 => Self::InvalidAddress,
            0x8000_0004 => Self::InvalidFormat,
            0x8000_0005 => Self::InvalidParameter,
            0x8000_0006 => Self::InvalidRequest,
            0x8000_0007 => Self::Busy,
            value @ 0x4000_0000..=0x7fff_ffff => Self::NeedsPages(value & 0x3fff_ffff),
            value @ 0x8000_1000.. => Self::Protocol(value.saturating_sub(Self::PROTOCOL_BASE)),
            _ => return None,
        };
        Some(result)
    }
}

/// The head of the calling area; the rest of its page belongs to the guest.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CallingArea {
    /// Set by the guest, cleared by the SVSM when it has served the call.
    pub call_pending: u8,
    /// Set by the SVSM when memory could be withdrawn.
    pub memory_available: u8,
    /// Reserved.
    pub reserved: [u8; 6],
}

assert_layout!(CallingArea, size 8, call_pending: 0, memory_available: 1);

/// The head of a PVALIDATE list. AMD 58019, table 7.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PvalidateHeader {
    /// Entries in the list.
    pub count: u16,
    /// Next entry to be done; the SVSM advances it.
    pub next: u16,
    /// Reserved.
    pub reserved: u32,
}

assert_layout!(PvalidateHeader, size 8, next: 2);

/// What is wrong with a PVALIDATE list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PvalidateError {
    /// Reserved bits are set, or `next` isn't below `count`, or the size isn't known.
    Format,
    /// The list crosses its page, or a large page isn't aligned.
    Address,
}

impl PvalidateHeader {
    /// Checks the header of a list at `gpa`.
    ///
    /// # Errors
    /// See [`PvalidateError`].
    pub const fn check(&self, gpa: u64) -> Result<(), PvalidateError> {
        if self.reserved != 0 || self.count == 0 || self.next >= self.count {
            return Err(PvalidateError::Format);
        }
        let offset = gpa & (PAGE_SIZE as u64).wrapping_sub(1);
        let entries = (self.count as u64).saturating_mul(8);
        let end = offset.saturating_add(size_of::<Self>() as u64).saturating_add(entries);
        if !gpa.is_multiple_of(8) || end > PAGE_SIZE as u64 {
            return Err(PvalidateError::Address);
        }
        Ok(())
    }
}

/// One entry of a PVALIDATE list: size `[1:0]`, validate `[2]`, ignore CF `[3]`, 0 `[11:4]`,
/// page frame `[63:12]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PvalidateEntry {
    /// GPA of the page, aligned to its size.
    pub gpa: u64,
    /// Its size.
    pub size: PageSize,
    /// Validate rather than rescind.
    pub validate: bool,
    /// "No change" is no error.
    pub ignore_no_change: bool,
}

impl PvalidateEntry {
    /// The entry as a number.
    #[must_use]
    pub const fn encode(self) -> u64 {
        self.gpa & !0xfff
            | self.size as u64
            | (self.validate as u64) << 2
            | (self.ignore_no_change as u64) << 3
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// See [`PvalidateError`].
    pub const fn decode(entry: u64) -> Result<Self, PvalidateError> {
        if entry & 0xff0 != 0 {
            return Err(PvalidateError::Format);
        }
        let Some(size) = PageSize::from_register(entry & 3) else {
            return Err(PvalidateError::Format);
        };
        let gpa = entry & !0xfff;
        if !gpa.is_multiple_of(size.bytes()) {
            return Err(PvalidateError::Address);
        }
        Ok(Self { gpa, size, validate: entry & 1 << 2 != 0, ignore_no_change: entry & 1 << 3 != 0 })
    }
}

/// A GPA and a length in an attestation operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// First byte.
    pub gpa: u64,
    /// Bytes.
    pub size: u32,
}

/// The structure of both attestation calls; AMD 58019, table 11. SERVICES takes just this.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct AttestationOperation {
    /// Where the report goes.
    pub report_gpa: u64,
    /// Bytes there.
    pub report_size: u32,
    /// Reserved.
    pub reserved_0c: u32,
    /// The nonce; it may be unaligned and cross a page.
    pub nonce_gpa: u64,
    /// Bytes of the nonce, at most 64.
    pub nonce_size: u16,
    /// Reserved.
    pub reserved_1a: [u8; 6],
    /// Where the manifest goes.
    pub manifest_gpa: u64,
    /// Bytes there.
    pub manifest_size: u32,
    /// Reserved.
    pub reserved_2c: u32,
    /// Where the certificates go; 0 for none.
    pub certificates_gpa: u64,
    /// Bytes there.
    pub certificates_size: u32,
    /// Reserved.
    pub reserved_3c: u32,
}

/// What SINGLE_SERVICE adds behind the [`AttestationOperation`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SingleService {
    /// The service's GUID, mixed endian.
    pub service_guid: [u8; 16],
    /// Version of its manifest.
    pub manifest_version: u32,
    /// Reserved.
    pub reserved_54: u32,
}

assert_layout!(
    AttestationOperation, size 0x40,
    report_size: 0x08, nonce_gpa: 0x10, nonce_size: 0x18, manifest_gpa: 0x20,
    manifest_size: 0x28, certificates_gpa: 0x30, certificates_size: 0x38,
);
assert_layout!(SingleService, size 0x18, manifest_version: 0x10);

/// A reserved field isn't zero, or the nonce is longer than 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttestationFormatError;

/// Most bytes of a nonce.
pub const NONCE_MAX: u16 = 64;

impl AttestationOperation {
    /// Checks everything but the addresses.
    ///
    /// # Errors
    /// [`AttestationFormatError`].
    pub fn check(&self) -> Result<(), AttestationFormatError> {
        let reserved = self.reserved_0c | self.reserved_2c | self.reserved_3c;
        if reserved != 0 || self.reserved_1a != [0; 6] || self.nonce_size > NONCE_MAX {
            return Err(AttestationFormatError);
        }
        Ok(())
    }
}

/// `63849ebb-3d92-4670-a1ff-58f9c94b87bb`: heads the manifest of SERVICES.
pub const SERVICES_MANIFEST_GUID: Guid =
    guid(0x6384_9ebb, 0x3d92, 0x4670, [0xa1, 0xff, 0x58, 0xf9, 0xc9, 0x4b, 0x87, 0xbb]);
/// `c476f1eb-0123-45a5-9641-b4e7dde5bfe3`: the vTPM service.
pub const VTPM_SERVICE_GUID: Guid =
    guid(0xc476_f1eb, 0x0123, 0x45a5, [0x96, 0x41, 0xb4, 0xe7, 0xdd, 0xe5, 0xbf, 0xe3]);

/// Head of the manifest of SERVICES; entries follow, then their data.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ManifestHeader {
    /// [`SERVICES_MANIFEST_GUID`].
    pub guid: [u8; 16],
    /// Bytes of the whole manifest.
    pub total_length: u32,
    /// Services.
    pub count: u32,
}

/// One service in the manifest.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ManifestEntry {
    /// The service.
    pub guid: [u8; 16],
    /// Offset of its data from the manifest's first byte.
    pub offset: u32,
    /// Bytes of its data.
    pub length: u32,
}

assert_layout!(ManifestHeader, size 24, total_length: 16, count: 20);
assert_layout!(ManifestEntry, size 24, offset: 16, length: 20);

/// The platform command that carries a TPM command, and its bit in the answer to QUERY.
pub const TPM_SEND_COMMAND: u32 = 8;
/// Offset of the TPM command in the buffer of a vTPM request.
pub const VTPM_COMMAND_OFFSET: usize = 9;
/// Most bytes of a TPM command.
pub const VTPM_COMMAND_MAX: usize = PAGE_SIZE - VTPM_COMMAND_OFFSET;
/// Offset of the TPM response in the buffer.
pub const VTPM_RESPONSE_OFFSET: usize = 4;
/// Most bytes of a TPM response.
pub const VTPM_RESPONSE_MAX: usize = PAGE_SIZE - VTPM_RESPONSE_OFFSET;

/// The head of a vTPM request: platform command @0, locality @4, size @5, TPM command @9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VtpmRequest {
    /// The platform command, [`TPM_SEND_COMMAND`].
    pub platform_command: u32,
    /// The TPM locality.
    pub locality: u8,
    /// Bytes of the TPM command, at most [`VTPM_COMMAND_MAX`].
    pub size: usize,
}

/// What is wrong with a vTPM request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VtpmRequestError {
    /// The platform command isn't known.
    PlatformCommand(u32),
    /// The TPM command doesn't fit the page.
    Size(u32),
}

impl VtpmRequest {
    /// Reads the head.
    ///
    /// # Errors
    /// See [`VtpmRequestError`].
    pub fn parse(head: &[u8; VTPM_COMMAND_OFFSET]) -> Result<Self, VtpmRequestError> {
        let [p0, p1, p2, p3, locality, s0, s1, s2, s3] = *head;
        let platform_command = u32::from_le_bytes([p0, p1, p2, p3]);
        if platform_command != TPM_SEND_COMMAND {
            return Err(VtpmRequestError::PlatformCommand(platform_command));
        }
        let size = u32::from_le_bytes([s0, s1, s2, s3]);
        match usize::try_from(size) {
            Ok(bytes) if bytes <= VTPM_COMMAND_MAX => {
                Ok(Self { platform_command, locality, size: bytes })
            }
            _ => Err(VtpmRequestError::Size(size)),
        }
    }

    /// The head as bytes.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "at most a page")]
    pub const fn encode(&self) -> [u8; VTPM_COMMAND_OFFSET] {
        let [p0, p1, p2, p3] = self.platform_command.to_le_bytes();
        let [s0, s1, s2, s3] = (self.size as u32).to_le_bytes();
        [p0, p1, p2, p3, self.locality, s0, s1, s2, s3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    #[test]
    fn malformed_pvalidate_lists_are_refused() {
        use PvalidateError::{Address, Format};
        let header = PvalidateHeader { count: 1, next: 0, reserved: 0 };
        assert_eq!(header.check(0x1000), Ok(()));
        assert_eq!(PvalidateHeader { count: 0, ..header }.check(0x1000), Err(Format));
        assert_eq!(PvalidateHeader { next: 1, ..header }.check(0x1000), Err(Format));
        assert_eq!(PvalidateHeader { reserved: 1, ..header }.check(0x1000), Err(Format));
        assert_eq!(PvalidateHeader { count: 511, ..header }.check(0x1000), Ok(()));
        assert_eq!(PvalidateHeader { count: 512, ..header }.check(0x1000), Err(Address));
        assert_eq!(PvalidateHeader { count: 511, ..header }.check(0x1008), Err(Address));
        assert_eq!(header.check(0x1ff8), Err(Address));
        assert_eq!(header.check(0x1004), Err(Address));
        assert_eq!(PvalidateHeader { count: u16::MAX, ..header }.check(u64::MAX - 7), Err(Address));
    }

    #[test]
    fn malformed_pvalidate_entries_are_refused() {
        use PvalidateError::{Address, Format};
        assert_eq!(PvalidateEntry::decode(2), Err(Format));
        assert_eq!(PvalidateEntry::decode(0x10), Err(Format));
        assert_eq!(PvalidateEntry::decode(0x1001), Err(Address));
        let entry = PvalidateEntry {
            gpa: 0x20_0000,
            size: PageSize::Large,
            validate: true,
            ignore_no_change: false,
        };
        assert_eq!(entry.encode(), 0x20_0005);
        assert_eq!(PvalidateEntry::decode(0x20_0005), Ok(entry));
    }

    #[test]
    fn malformed_vtpm_requests_are_refused() {
        let good = VtpmRequest { platform_command: 8, locality: 0, size: 4087 };
        assert_eq!(VtpmRequest::parse(&good.encode()), Ok(good));
        let mut head = good.encode();
        head[5..].copy_from_slice(&4088u32.to_le_bytes());
        assert_eq!(VtpmRequest::parse(&head), Err(VtpmRequestError::Size(4088)));
        head[5..].fill(0xff);
        assert_eq!(VtpmRequest::parse(&head), Err(VtpmRequestError::Size(u32::MAX)));
        head[0] = 9;
        assert_eq!(VtpmRequest::parse(&head), Err(VtpmRequestError::PlatformCommand(9)));
    }

    #[test]
    fn attestation_operations_with_reserved_bits_are_refused() {
        let good = AttestationOperation::new_zeroed();
        assert_eq!(good.check(), Ok(()));
        for offset in [0x0c, 0x1a, 0x1f, 0x2c, 0x3f] {
            let mut bad = good;
            bad.as_mut_bytes()[offset] = 1;
            assert_eq!(bad.check(), Err(AttestationFormatError), "{offset:#x}");
        }
        assert!(AttestationOperation { nonce_size: 65, ..good }.check().is_err());
    }

    #[test]
    fn results_survive_their_encoding() {
        for (result, value) in [
            (CallResult::Success, 0),
            (CallResult::Busy, 0x8000_0007),
            (CallResult::NeedsPages(3), 0x4000_0003),
            (CallResult::Protocol(6), 0x8000_1006),
            (CallResult::PVALIDATE_NO_CHANGE, 0x8000_1010),
        ] {
            assert_eq!(result.encode(), value);
            assert_eq!(CallResult::decode(value), Some(result));
        }
        assert_eq!(CallResult::decode(1 << 32), None);
        assert_eq!(CallResult::decode(0x8000_0008), None);
    }

    #[test]
    fn guids_are_mixed_endian() {
        assert_eq!(VTPM_SERVICE_GUID[..8], [0xeb, 0xf1, 0x76, 0xc4, 0x23, 0x01, 0xa5, 0x45]);
        assert_eq!(VTPM_SERVICE_GUID[15], 0xe3);
    }
}
