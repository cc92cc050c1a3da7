// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine, as the protocols and the payload see it.
//!
//! Everything above this trait is safe code that runs in host tests against a fake machine; the
//! kernel implements the same trait with real instructions. The rules that an implementation must
//! keep:
//!
//! - An address that comes from the guest or the host is an *allegation*. Callers check that it is
//!   guest RAM ([`Machine::is_guest_ram`]) and not one of the pages that the SVSM took from the
//!   guest; an implementation must still survive it: a page that isn't validated gives
//!   [`GuestFault`], never a fatal exception.
//! - Nothing here waits without bound.
//!
//! Sources: AMD 24594 (APM volume 3) PVALIDATE, RMPADJUST; AMD 58019 (SVSM).

#![forbid(unsafe_code)]

/// Bytes in a 4 KiB page.
pub const PAGE_BYTES: u64 = 0x1000;
/// The same, as the length of a buffer.
pub const PAGE_LENGTH: usize = 0x1000;
/// Bytes in a 2 MiB page.
pub const LARGE_PAGE_BYTES: u64 = 0x20_0000;

/// A private copy from or to guest memory met a page that isn't there: not validated, not assigned,
/// not RAM, or beyond the physical address space. Part of the copy may have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestFault;

/// The hypervisor refused or garbled a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostFault;

/// Size of a page in the RMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// 4 KiB.
    Small,
    /// 2 MiB.
    Large,
}

impl PageSize {
    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Small => PAGE_BYTES,
            Self::Large => LARGE_PAGE_BYTES,
        }
    }
}

/// A naturally aligned guest-physical page, not yet known to be anyone's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    address: u64,
    size: PageSize,
}

impl Page {
    /// The first 4 KiB page of all.
    pub const FIRST: Self = Self { address: 0, size: PageSize::Small };

    /// `None` when `address` isn't a multiple of the size or the page would leave the address
    /// space.
    pub const fn new(address: u64, size: PageSize) -> Option<Self> {
        if address & (size.bytes() - 1) != 0 || address.checked_add(size.bytes()).is_none() {
            return None;
        }
        Some(Self { address, size })
    }

    /// A 4 KiB page.
    pub const fn small(address: u64) -> Option<Self> {
        Self::new(address, PageSize::Small)
    }

    /// Guest-physical address of the first byte.
    pub const fn address(self) -> u64 {
        self.address
    }

    /// The page's size.
    pub const fn size(self) -> PageSize {
        self.size
    }

    /// The address just behind the page.
    pub const fn end(self) -> u64 {
        self.address.saturating_add(self.size.bytes())
    }
}

/// Result codes of PVALIDATE and RMPADJUST (EAX), the successful one apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RmpFault {
    /// `FAIL_INPUT` (1): an illegal operand, or a page that can't be used that way.
    Input,
    /// `FAIL_PERMISSION` (2): the target VMPL isn't below ours.
    Permission,
    /// `FAIL_INUSE` (3): the page is a VMSA that runs at this moment.
    InUse,
    /// `FAIL_SIZEMISMATCH` (6): the RMP holds 4 KiB entries there, or the nested mapping is
    /// smaller.
    SizeMismatch,
    /// No result at all: the instruction raised #VC because the page isn't validated (RMPADJUST),
    /// or a fault because nothing is assigned there.
    NotValidated,
    /// Any other value, as it came.
    Other(u32),
}

impl RmpFault {
    /// The instruction's value in EAX; `FAIL_INPUT` stands in where it gave none.
    pub const fn code(self) -> u32 {
        match self {
            Self::Input | Self::NotValidated => 1,
            Self::Permission => 2,
            Self::InUse => 3,
            Self::SizeMismatch => 6,
            Self::Other(code) => code,
        }
    }

    /// The typed form of a non-zero EAX; `None` for success.
    pub const fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => return None,
            1 => Self::Input,
            2 => Self::Permission,
            3 => Self::InUse,
            6 => Self::SizeMismatch,
            other => Self::Other(other),
        })
    }
}

/// What a successful PVALIDATE says about the page (the carry flag).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    /// The page's state is now what was asked for, and was the opposite before.
    Changed,
    /// The page was in that state already (CF = 1).
    Unchanged,
}

/// The four VMPL permission bits of RMPADJUST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions(u8);

impl Permissions {
    /// No access at all.
    pub const NONE: Self = Self(0);
    /// Read only.
    pub const READ: Self = Self(1);
    /// Read, write, execute at user and at supervisor level.
    pub const ALL: Self = Self(0xf);

    /// Bits `[3:0]`: read, write, execute-user, execute-supervisor.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// The most privileged VMPL below the SVSM's is 1, the last is 3.
pub const LAST_VMPL: u8 = 3;

/// Whether a page is encrypted guest memory or visible to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageState {
    /// Assigned to the guest; must be validated before use.
    Private,
    /// Host-visible.
    Shared,
}

/// Why a file of the machine's firmware-configuration device couldn't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// No file of that name.
    Missing,
    /// The range asked for leaves the file.
    OutOfRange,
    /// The host didn't answer, or answered against the protocol.
    Host,
}

/// What a range of the validated memory map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryKind {
    /// RAM that belongs to the guest: assigned, validated, granted to the guest's VMPL.
    GuestRam,
    /// Anything else that the memory map mentions, the SVSM's own region among it.
    Reserved,
}

/// One range of the memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// First address, a multiple of 4 KiB.
    pub start: u64,
    /// The address behind the last byte, a multiple of 4 KiB, above `start`.
    pub end: u64,
    /// Whose it is.
    pub kind: MemoryKind,
}

/// What protocol and payload need from the machine. See the module's rules.
pub trait Machine {
    /// Copies `buffer.len()` bytes from private guest memory; the range may cross pages.
    fn read_guest(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), GuestFault>;

    /// Copies `bytes` to private guest memory; the range may cross pages.
    fn write_guest(&mut self, address: u64, bytes: &[u8]) -> Result<(), GuestFault>;

    /// Fills a private page with zeros.
    fn zero_page(&mut self, page: Page) -> Result<(), GuestFault>;

    /// PVALIDATE. Addresses in 0xa0000..0x100000 are treated like any other.
    fn pvalidate(&mut self, page: Page, validate: bool) -> Result<Validation, RmpFault>;

    /// RMPADJUST: sets what `vmpl` (1..=3) may do with the page, and the page's VMSA attribute.
    fn rmpadjust(
        &mut self,
        page: Page,
        vmpl: u8,
        permissions: Permissions,
        vmsa: bool,
    ) -> Result<(), RmpFault>;

    /// Asks the hypervisor to make the page private or shared (page state change). Neither
    /// validates nor invalidates.
    fn set_page_state(&mut self, page: Page, state: PageState) -> Result<(), HostFault>;

    /// After permissions were taken away: no vCPU of the guest may go on with an old translation.
    /// Called once per request, not once per page.
    fn flush_guest_translations(&mut self);

    /// Whether `start..start + length` lies wholly in RAM that the validated memory map gives to
    /// the guest: not in the SVSM's region, not reserved, no overflow. A zero length is never guest
    /// RAM.
    fn is_guest_ram(&self, start: u64, length: u64) -> bool;

    /// The validated memory map, in order, without overlaps; `None` behind the last range.
    fn memory_range(&self, index: usize) -> Option<MemoryRange>;

    /// Whether the machine has a vCPU with this APIC id (the validated vCPU count says so).
    fn has_vcpu(&self, apic_id: u32) -> bool;

    /// SEV_STATUS >> 2: what every VMSA of this machine must have as `sev_features`.
    fn sev_features(&self) -> u64;

    /// The VMPL at which the guest runs (1..=3; 2 by default).
    fn guest_vmpl(&self) -> u8;

    /// Size in bytes of a firmware-configuration file.
    fn file_size(&mut self, name: &str) -> Result<u32, FileFault>;

    /// Reads `buffer.len()` bytes at `offset` of a firmware-configuration file into private memory.
    /// Two reads of the same bytes may differ: the host owns them.
    fn read_file(&mut self, name: &str, offset: u32, buffer: &mut [u8]) -> Result<(), FileFault>;

    /// One line for the console log (no newline). Must not be used for secrets.
    fn log(&mut self, line: core::fmt::Arguments<'_>);
}

#[cfg(any(test, feature = "simulation"))]
#[cfg_attr(not(test), allow(dead_code, reason = "tests use more of it than fuzzers"))]
pub(crate) mod fake;
