// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest-hypervisor communication block: the shared page, its exits (NAE events) and their
//! arguments. AMD 56421, sections 2.6 (layout) and 4 (events).

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Vmpl;

/// Highest GHCB protocol version of this project.
pub const PROTOCOL_VERSION: u16 = 2;
/// GHCB usage 0: the layout below.
pub const USAGE_STANDARD: u32 = 0;
/// The MSR that holds the GHCB's GPA or an MSR protocol request.
pub const MSR_GHCB: u32 = 0xc001_0130;
/// `SEV_STATUS`.
pub const MSR_SEV_STATUS: u32 = 0xc001_0131;
/// The MSR through which a guest at a lower VMPL asks for its calling area (AMD 58019, section 5).
pub const MSR_SVSM_CAA: u32 = 0xc001_f000;

/// The page. Quadwords of the save area count only when their bit in `valid_bitmap` is set.
#[repr(C)]
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[expect(missing_docs, reason = "registers and fields under their names in AMD 56421, table 3")]
pub struct GhcbPage {
    pub reserved_000: [u8; 0xcb],
    pub cpl: u8,
    pub reserved_0cc: [u8; 0x74],
    pub xss: u64,
    pub reserved_148: [u8; 0x18],
    pub dr7: u64,
    pub reserved_168: [u8; 0x90],
    pub rax: u64,
    pub reserved_200: [u8; 0x108],
    pub rcx: u64,
    pub rdx: u64,
    pub rbx: u64,
    pub reserved_320: [u8; 0x10],
    pub rsi: u64,
    pub rdi: u64,
    pub r8_to_r15: [u64; 8],
    pub reserved_380: [u8; 0x10],
    pub exit_code: u64,
    pub exit_info_1: u64,
    pub exit_info_2: u64,
    pub scratch: u64,
    pub reserved_3b0: [u8; 0x38],
    pub xcr0: u64,
    pub valid_bitmap: ValidBitmap,
    pub x87_state_gpa: u64,
    pub reserved_408: [u8; 0x3f8],
    pub shared_buffer: [u8; SHARED_BUFFER_SIZE],
    pub reserved_ff0: [u8; 10],
    pub protocol_version: u16,
    pub usage: u32,
}

/// Bytes of the shared buffer.
pub const SHARED_BUFFER_SIZE: usize = 0x7f0;
/// Offset of the shared buffer in the page.
pub const SHARED_BUFFER_OFFSET: usize = 0x800;

assert_layout!(
    GhcbPage, size 0x1000,
    cpl: 0xcb, xss: 0x140, dr7: 0x160, rax: 0x1f8, rcx: 0x308, rdx: 0x310, rbx: 0x318,
    rsi: 0x330, rdi: 0x338, r8_to_r15: 0x340, exit_code: 0x390, exit_info_1: 0x398,
    exit_info_2: 0x3a0, scratch: 0x3a8, xcr0: 0x3e8, valid_bitmap: 0x3f0,
    x87_state_gpa: 0x400, shared_buffer: 0x800, protocol_version: 0xffa, usage: 0xffc,
);

/// A quadword of the save area that has a bit in the valid bitmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[expect(missing_docs, reason = "registers and fields under their names in AMD 56421, table 3")]
#[expect(clippy::cast_possible_truncation, reason = "offsets within one page")]
pub enum Field {
    /// CPL lies in the quadword at 0xc8.
    Cpl = 0xc8,
    Xss = offset_of!(GhcbPage, xss) as u16,
    Dr7 = offset_of!(GhcbPage, dr7) as u16,
    Rax = offset_of!(GhcbPage, rax) as u16,
    Rcx = offset_of!(GhcbPage, rcx) as u16,
    Rdx = offset_of!(GhcbPage, rdx) as u16,
    Rbx = offset_of!(GhcbPage, rbx) as u16,
    Rsi = offset_of!(GhcbPage, rsi) as u16,
    Rdi = offset_of!(GhcbPage, rdi) as u16,
    R8 = offset_of!(GhcbPage, r8_to_r15) as u16,
    ExitCode = offset_of!(GhcbPage, exit_code) as u16,
    ExitInfo1 = offset_of!(GhcbPage, exit_info_1) as u16,
    ExitInfo2 = offset_of!(GhcbPage, exit_info_2) as u16,
    Scratch = offset_of!(GhcbPage, scratch) as u16,
    Xcr0 = offset_of!(GhcbPage, xcr0) as u16,
}

impl Field {
    /// Byte offset in the page, for those who access the shared page by volatile loads and stores.
    #[must_use]
    pub const fn offset(self) -> usize {
        self as usize
    }

    /// Byte offset in the page of the valid bitmap's byte for this field, and the bit within it.
    #[must_use]
    pub const fn valid_bit(self) -> (usize, u8) {
        let quadword = self.offset() / 8;
        let byte = offset_of!(GhcbPage, valid_bitmap).saturating_add(quadword / 8);
        (byte, 1 << (quadword % 8))
    }
}

/// One bit per quadword of the first 0x400 bytes.
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct ValidBitmap(pub [u8; 16]);

impl ValidBitmap {
    /// Whether the other side gave this field a value.
    #[must_use]
    pub const fn contains(&self, field: Field) -> bool {
        u128::from_le_bytes(self.0) >> (field.offset() / 8) & 1 == 1
    }

    /// Marks the field as given.
    pub const fn insert(&mut self, field: Field) {
        self.0 = (u128::from_le_bytes(self.0) | 1 << (field.offset() / 8)).to_le_bytes();
    }
}

/// Exit codes (SW_EXITCODE). AMD 56421, table 6.
pub mod exit {
    /// Read of DR7.
    pub const READ_DR7: u64 = 0x27;
    /// Write of DR7.
    pub const WRITE_DR7: u64 = 0x37;
    /// RDTSC.
    pub const RDTSC: u64 = 0x6e;
    /// RDPMC.
    pub const RDPMC: u64 = 0x6f;
    /// CPUID.
    pub const CPUID: u64 = 0x72;
    /// INVD.
    pub const INVD: u64 = 0x76;
    /// Port input and output.
    pub const IOIO: u64 = 0x7b;
    /// RDMSR (exit info 1 = 0) and WRMSR (1).
    pub const MSR: u64 = 0x7c;
    /// VMMCALL.
    pub const VMMCALL: u64 = 0x81;
    /// RDTSCP.
    pub const RDTSCP: u64 = 0x87;
    /// WBINVD.
    pub const WBINVD: u64 = 0x89;
    /// MONITOR.
    pub const MONITOR: u64 = 0x8a;
    /// MWAIT.
    pub const MWAIT: u64 = 0x8b;
    /// The error code of #VC for an access that the nested tables refuse (MMIO).
    pub const NESTED_PAGE_FAULT: u64 = 0x400;
    /// The error code of #VC for a private access to a page that isn't validated.
    pub const PAGE_NOT_VALIDATED: u64 = 0x404;
    /// MMIO read: info 1 = GPA, info 2 = bytes, data in the scratch area.
    pub const MMIO_READ: u64 = 0x8000_0001;
    /// MMIO write: info 1 = GPA, info 2 = bytes, data in the scratch area.
    pub const MMIO_WRITE: u64 = 0x8000_0002;
    /// NMI handling is complete.
    pub const NMI_COMPLETE: u64 = 0x8000_0003;
    /// AP reset hold.
    pub const AP_RESET_HOLD: u64 = 0x8000_0004;
    /// AP jump table.
    pub const AP_JUMP_TABLE: u64 = 0x8000_0005;
    /// Page state change: the structure's GPA in the scratch field.
    pub const PAGE_STATE_CHANGE: u64 = 0x8000_0010;
    /// Guest request: info 1 = request page GPA, info 2 = response page GPA.
    pub const GUEST_REQUEST: u64 = 0x8000_0011;
    /// Guest request with certificates: additionally RAX = data GPA, RBX = data pages.
    pub const EXTENDED_GUEST_REQUEST: u64 = 0x8000_0012;
    /// AP creation: see [`super::ApCreation`].
    pub const AP_CREATION: u64 = 0x8000_0013;
    /// #HV doorbell page.
    pub const HV_DOORBELL_PAGE: u64 = 0x8000_0014;
    /// Run another VMPL of this vCPU: info 1 = VMPL.
    pub const RUN_VMPL: u64 = 0x8000_0018;
    /// Hypervisor features, answered in info 2.
    pub const HYPERVISOR_FEATURES: u64 = 0x8000_fffd;
    /// Termination request: info 1 = reason set `[3:0]` and reason code `[11:4]`.
    pub const TERMINATE: u64 = 0x8000_fffe;
    /// An exit that the guest couldn't support: info 1 = the exit code.
    pub const UNSUPPORTED: u64 = 0x8000_ffff;
}

bitflags::bitflags! {
    /// Hypervisor features. AMD 56421, table 7.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct HypervisorFeatures: u64 {
        /// SEV-SNP.
        const SNP = 1 << 0;
        /// AP creation by VMSA.
        const AP_CREATION = 1 << 1;
        /// Restricted injection.
        const RESTRICTED_INJECTION = 1 << 2;
        /// Timer for restricted injection.
        const RESTRICTED_INJECTION_TIMER = 1 << 3;
        /// The list of APIC identifiers.
        const APIC_ID_LIST = 1 << 4;
        /// More than one VMPL.
        const MULTI_VMPL = 1 << 5;
    }
}

/// The hypervisor's verdict in exit info 1 `[31:0]` after a VMGEXIT. AMD 56421, table 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitVerdict {
    /// Done; exit info 2 holds what the event defines.
    Done,
    /// Raise the exception that exit info 2 describes in the form of EVENTINJ.
    Exception,
    /// The hypervisor refused the request: reason in exit info 2, see [`malformed`].
    Malformed,
}

impl ExitVerdict {
    /// Reads exit info 1; `None` for a value that isn't defined.
    #[must_use]
    pub const fn decode(exit_info_1: u64) -> Option<Self> {
        match exit_info_1 & 0xffff_ffff {
            0 => Some(Self::Done),
            1 => Some(Self::Exception),
            2 => Some(Self::Malformed),
            _ => None,
        }
    }

    /// The value for exit info 1.
    #[must_use]
    pub const fn encode(self) -> u64 {
        match self {
            Self::Done => 0,
            Self::Exception => 1,
            Self::Malformed => 2,
        }
    }
}

/// Reasons in exit info 2 beside [`ExitVerdict::Malformed`]. AMD 56421, table 5.
pub mod malformed {
    /// The GHCB's address isn't registered.
    pub const NOT_REGISTERED: u64 = 1;
    /// The usage field holds an unknown value.
    pub const INVALID_USAGE: u64 = 2;
    /// The scratch area isn't where it may be.
    pub const INVALID_SCRATCH_AREA: u64 = 3;
    /// A field that the event needs isn't marked valid.
    pub const MISSING_INPUT: u64 = 4;
    /// A field's value isn't acceptable.
    pub const INVALID_INPUT: u64 = 5;
    /// The event isn't known.
    pub const INVALID_EVENT: u64 = 6;
}

/// Port input or output, exit info 1 of [`exit::IOIO`]. AMD 24593, 15.10.2; the count of a string
/// instruction goes into exit info 2, its data into the scratch area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortAccess {
    /// The port.
    pub port: u16,
    /// 1, 2 or 4 bytes.
    pub size: PortSize,
    /// IN rather than OUT.
    pub input: bool,
    /// INS or OUTS.
    pub string: bool,
    /// With a REP prefix.
    pub repeat: bool,
}

/// Operand size of a port access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortSize {
    /// 1 byte.
    Byte = 1,
    /// 2 bytes.
    Word = 2,
    /// 4 bytes.
    Long = 4,
}

impl PortAccess {
    const INPUT: u64 = 1 << 0;
    const STRING: u64 = 1 << 2;
    const REPEAT: u64 = 1 << 3;
    const SIZE_SHIFT: u32 = 4;
    const ADDRESS_64: u64 = 1 << 9;
    const PORT_SHIFT: u32 = 16;
    /// TYPE, STR, REP, SZ8 to SZ32, A16 to A64, SEG, port.
    const DEFINED: u64 = 0xffff_1ffd;

    /// The value for exit info 1; string accesses use 64-bit addresses.
    #[must_use]
    pub const fn encode(self) -> u64 {
        (self.port as u64) << Self::PORT_SHIFT
            | (self.size as u64) << Self::SIZE_SHIFT
            | if self.input { Self::INPUT } else { 0 }
            | if self.string { Self::STRING | Self::ADDRESS_64 } else { 0 }
            | if self.repeat { Self::REPEAT } else { 0 }
    }

    /// Reads exit info 1. `None`: a reserved bit is set, or not exactly one size.
    #[must_use]
    pub const fn decode(exit_info_1: u64) -> Option<Self> {
        if exit_info_1 & !Self::DEFINED != 0 {
            return None;
        }
        let size = match exit_info_1 >> Self::SIZE_SHIFT & 7 {
            1 => PortSize::Byte,
            2 => PortSize::Word,
            4 => PortSize::Long,
            _ => return None,
        };
        Some(Self {
            port: (exit_info_1 >> Self::PORT_SHIFT & 0xffff) as u16,
            size,
            input: exit_info_1 & Self::INPUT != 0,
            string: exit_info_1 & Self::STRING != 0,
            repeat: exit_info_1 & Self::REPEAT != 0,
        })
    }
}

/// AP creation, exit info 1 of [`exit::AP_CREATION`]; exit info 2 = VMSA GPA, RAX = SEV features.
/// AMD 56421, 4.1.9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApCreation {
    /// What is to be done.
    pub request: ApRequest,
    /// The level that the VMSA is for.
    pub vmpl: Vmpl,
    /// The vCPU.
    pub apic_id: u32,
}

/// The kinds of AP creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApRequest {
    /// Use the VMSA from the next INIT on.
    CreateOnInit = 0,
    /// Use the VMSA at once.
    Create = 1,
    /// Forget the VMSA.
    Destroy = 2,
}

impl ApCreation {
    /// The value for exit info 1.
    #[must_use]
    pub const fn encode(self) -> u64 {
        (self.apic_id as u64) << 32 | (self.vmpl as u64) << 16 | self.request as u64
    }

    /// Reads exit info 1; `None` for an unknown request or a VMPL above 3.
    #[must_use]
    pub const fn decode(exit_info_1: u64) -> Option<Self> {
        let request = match exit_info_1 & 0xffff {
            0 => ApRequest::CreateOnInit,
            1 => ApRequest::Create,
            2 => ApRequest::Destroy,
            _ => return None,
        };
        let Some(vmpl) = Vmpl::from_number(exit_info_1 >> 16 & 0xffff) else { return None };
        Some(Self { request, vmpl, apic_id: (exit_info_1 >> 32) as u32 })
    }
}

/// What a page is to become. AMD 56421, 4.1.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageOperation {
    /// Assigned to the guest.
    Private = 1,
    /// Shared with the hypervisor.
    Shared = 2,
    /// Split a 2 MiB RMP entry.
    Smash = 3,
    /// Join 512 RMP entries.
    Unsmash = 4,
}

impl PageOperation {
    /// The operation with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Private),
            2 => Some(Self::Shared),
            3 => Some(Self::Smash),
            4 => Some(Self::Unsmash),
            _ => None,
        }
    }
}

/// Most entries of one page state change.
pub const PAGE_STATE_ENTRIES: usize = 253;

/// The structure of [`exit::PAGE_STATE_CHANGE`]; it fits the shared buffer. `current` and `end` are
/// indices, both included; the hypervisor advances `current`.
#[repr(C)]
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PageStateChange {
    /// Next entry to do.
    pub current: u16,
    /// Last entry.
    pub end: u16,
    /// Reserved.
    pub reserved: u32,
    /// The entries, see [`PageStateEntry`].
    pub entries: [u64; PAGE_STATE_ENTRIES],
}

assert_layout!(PageStateChange, size SHARED_BUFFER_SIZE, current: 0, end: 2, entries: 8);

/// One entry of a page state change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageStateEntry {
    /// Within a 2 MiB page: 4 KiB pages done already, 0 to 512.
    pub current_page: u16,
    /// GPA of the page, aligned to its size.
    pub gpa: u64,
    /// What it is to become.
    pub operation: PageOperation,
    /// A 2 MiB page.
    pub large: bool,
}

impl PageStateEntry {
    const GPA_MASK: u64 = 0x000f_ffff_ffff_f000;

    /// The entry as a number.
    #[must_use]
    pub const fn encode(self) -> u64 {
        (self.large as u64) << 56
            | (self.operation as u64) << 52
            | self.gpa & Self::GPA_MASK
            | (self.current_page & 0xfff) as u64
    }

    /// Reads an entry. `None`: a reserved bit, an unknown operation, an address that isn't aligned
    /// to the page's size, or a progress beyond it.
    #[must_use]
    pub const fn decode(entry: u64) -> Option<Self> {
        if entry >> 57 != 0 {
            return None;
        }
        let Some(operation) = PageOperation::from_number(entry >> 52 & 0xf) else { return None };
        let large = entry >> 56 & 1 == 1;
        let gpa = entry & Self::GPA_MASK;
        let current_page = (entry & 0xfff) as u16;
        let most = if large { 512 } else { 1 };
        if large && !gpa.is_multiple_of(crate::LARGE_PAGE_SIZE) || current_page > most {
            return None;
        }
        Some(Self { current_page, gpa, operation, large })
    }
}

/// Exit info 2 after a page state change. AMD 56421, 4.1.6.
pub mod page_state_error {
    /// The header's indices aren't valid.
    pub const INVALID_HEADER: u64 = 1 << 32 | 1;
    /// The entry at `current` isn't valid.
    pub const INVALID_ENTRY: u64 = 1 << 32 | 2;
    /// The hypervisor couldn't do it.
    pub const GENERIC: u64 = 0x100 << 32;
}

/// Exit info 2 after a guest request. AMD 56421, 4.1.7: hypervisor's error above, firmware's below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestRequestStatus {
    /// Error of the hypervisor: 0, [`Self::INVALID_LENGTH`], [`Self::BUSY`].
    pub hypervisor: u32,
    /// Status of the firmware's SNP_GUEST_REQUEST: 0 is success.
    pub firmware: u32,
}

impl GuestRequestStatus {
    /// The certificates need more pages; RBX says how many.
    pub const INVALID_LENGTH: u32 = 1;
    /// The host limits requests: send the *same* message again later.
    pub const BUSY: u32 = 2;

    /// The value for exit info 2.
    #[must_use]
    pub const fn encode(self) -> u64 {
        (self.hypervisor as u64) << 32 | self.firmware as u64
    }

    /// Reads exit info 2.
    #[must_use]
    pub const fn decode(exit_info_2: u64) -> Self {
        Self {
            hypervisor: (exit_info_2 >> 32) as u32,
            firmware: (exit_info_2 & 0xffff_ffff) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_port_accesses_are_refused() {
        for info in [0, 0x3 << 4, 0x7 << 4, 1 << 32, 1 << 1 | 1 << 4, 1 << 13 | 1 << 4] {
            assert_eq!(PortAccess::decode(info), None, "{info:#x}");
        }
    }

    #[test]
    fn a_port_access_survives_its_encoding() {
        let access = PortAccess {
            port: 0x3f8,
            size: PortSize::Byte,
            input: false,
            string: false,
            repeat: false,
        };
        assert_eq!(access.encode(), 0x3f8 << 16 | 1 << 4);
        assert_eq!(PortAccess::decode(access.encode()), Some(access));
        let string = PortAccess { input: true, string: true, repeat: true, ..access };
        assert_eq!(PortAccess::decode(string.encode()), Some(string));
    }

    #[test]
    fn malformed_ap_creation_is_refused() {
        assert_eq!(ApCreation::decode(3), None);
        assert_eq!(ApCreation::decode(4 << 16), None);
        let create = ApCreation { request: ApRequest::Create, vmpl: Vmpl::Vmpl2, apic_id: 7 };
        assert_eq!(ApCreation::decode(create.encode()), Some(create));
    }

    #[test]
    fn malformed_page_state_entries_are_refused() {
        let large = 1 << 56;
        let private = 1 << 52;
        for entry in [
            0x1000,                              // operation 0
            5 << 52 | 0x1000,                    // operation 5
            1 << 57 | private | 0x1000,          // reserved
            large | private | 0x1000,            // not aligned
            private | 0x1000 | 2,                // progress beyond the page
            large | private | 0x20_0000 | 0x201, // progress beyond the page
        ] {
            assert_eq!(PageStateEntry::decode(entry), None, "{entry:#x}");
        }
        let entry = PageStateEntry {
            current_page: 512,
            gpa: 0x20_0000,
            operation: PageOperation::Shared,
            large: true,
        };
        assert_eq!(PageStateEntry::decode(entry.encode()), Some(entry));
    }

    #[test]
    fn the_valid_bitmap_has_one_bit_per_quadword() {
        let mut bitmap = ValidBitmap::default();
        bitmap.insert(Field::Rax);
        bitmap.insert(Field::ExitCode);
        assert!(bitmap.contains(Field::Rax) && !bitmap.contains(Field::Rcx));
        let (byte, bit) = Field::ExitCode.valid_bit();
        assert_eq!((byte, bit), (0x3f0 + 0x390 / 64, 1 << (0x390 / 8 % 8)));
        assert_eq!(bitmap.0[byte - 0x3f0] & bit, bit);
    }
}
