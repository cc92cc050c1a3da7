// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the SVSM lives, and the measured page that says how it was built. See `docs/design.md`.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::{
    PAGE_SIZE, PAGE_SIZE_U64, Vmpl,
    launch::{Digest, GuestPolicy},
    state_key::{PUBLIC_KEY_SIZE, PublicKey},
};

/// GPA of the SVSM's region.
pub const REGION_BASE: u64 = 0x0400_0000;
/// Default bytes of the SVSM's region.
pub const REGION_SIZE: u64 = 16 << 20;
/// Offset of the [`LaunchConfig`] page in the region.
pub const CONFIG_OFFSET: u64 = 0x0000;
/// Offset of the CPUID page.
pub const CPUID_OFFSET: u64 = 0x1000;
/// Offset of the secrets page.
pub const SECRETS_OFFSET: u64 = 0x2000;
/// Offset of the memory map, an IGVM parameter.
pub const MEMORY_MAP_OFFSET: u64 = 0x3000;
/// Offset of the vCPU count, an IGVM parameter: a little-endian `u32`.
pub const VP_COUNT_OFFSET: u64 = 0x4000;
/// Offset of the ACPI MADT, an IGVM parameter that names the vCPUs' APIC IDs.
pub const MADT_OFFSET: u64 = 0x5000;
/// Offset of the kernel image.
pub const IMAGE_OFFSET: u64 = 0x1_0000;
/// Most vCPUs this project accepts from the host.
pub const MAX_VCPUS: u32 = 256;

/// First bytes of the page.
pub const MAGIC: [u8; 8] = *b"MACSVSM\0";
/// Version of this layout.
pub const VERSION: u32 = 1;
/// QEMU's debug console.
pub const DEFAULT_CONSOLE_PORT: u16 = 0xe9;
/// Not a point of the curve.
const NO_OWNER: PublicKey = [0; PUBLIC_KEY_SIZE];
/// Bytes of the payload arguments, the final NUL included.
pub const ARGUMENTS_SIZE: usize = 512;

bitflags::bitflags! {
    /// Options of a build.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct LaunchFlags: u32 {
        /// Payload files without a measured digest may be used; for development.
        const ALLOW_UNMEASURED_PAYLOAD = 1 << 0;
        /// Log at debug level.
        const VERBOSE = 1 << 1;
        /// The last vCPU stays with the SVSM and works on keys; the guest does not see it.
        const SERVICE_VCPU = 1 << 2;
        /// The TPM's state is for this very image, even if it has a signer.
        const BIND_MEASUREMENT = 1 << 3;
    }
}

/// Where log lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// Nowhere.
    None,
    /// A debug console: one byte per write to this port.
    Debug(u16),
}

/// What a payload file must be.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PayloadRecord {
    /// 1: the file is expected; 0: there is none.
    pub present: u32,
    /// Reserved.
    pub reserved_04: u32,
    /// Bytes of the file.
    pub length: u64,
    /// SHA-384 of the file.
    pub digest: Digest,
}

/// The page, as it lies in memory.
#[repr(C)]
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct LaunchConfigPage {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION`].
    pub version: u32,
    /// [`LaunchFlags`].
    pub flags: u32,
    /// GPA of the region.
    pub region_base: u64,
    /// Bytes of the region.
    pub region_size: u64,
    /// GPA of the image's first byte.
    pub image_start: u64,
    /// GPA behind the image's last page.
    pub image_end: u64,
    /// The guest policy the file was built for.
    pub guest_policy: u64,
    /// 0 none, 1 debug console.
    pub console_kind: u32,
    /// Port of the console.
    pub console_port: u16,
    /// The guest's VMPL.
    pub guest_vmpl: u8,
    /// Reserved.
    pub reserved_3f: u8,
    /// The Linux kernel.
    pub kernel: PayloadRecord,
    /// The initial RAM disk.
    pub initrd: PayloadRecord,
    /// The command line, without a final NUL.
    pub cmdline: PayloadRecord,
    /// Who gives the key for the TPM's state; zeros: the platform's firmware.
    pub state_owner: PublicKey,
    /// Reserved.
    pub reserved_160: [u8; 0xa0],
    /// Text for test payloads, NUL terminated.
    pub arguments: [u8; ARGUMENTS_SIZE],
    /// Reserved.
    pub reserved_400: [u8; 0xc00],
}

assert_layout!(PayloadRecord, size 0x40, length: 8, digest: 16);
assert_layout!(
    LaunchConfigPage, size PAGE_SIZE,
    version: 0x08, flags: 0x0c, region_base: 0x10, region_size: 0x18, image_start: 0x20,
    image_end: 0x28, guest_policy: 0x30, console_kind: 0x38, console_port: 0x3c,
    guest_vmpl: 0x3e, kernel: 0x40, initrd: 0x80, cmdline: 0xc0, state_owner: 0x100,
    reserved_160: 0x160, arguments: 0x200,
    reserved_400: 0x400,
);

/// Length and digest of a payload file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadDigest {
    /// Bytes of the file.
    pub length: u64,
    /// SHA-384 of the file.
    pub digest: Digest,
}

/// A payload text that fits, kept with its final NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arguments {
    bytes: [u8; ARGUMENTS_SIZE],
    length: usize,
}

impl Arguments {
    /// No text.
    pub const EMPTY: Self = Self { bytes: [0; ARGUMENTS_SIZE], length: 0 };

    /// Takes a text of at most 511 bytes without NUL; `None` otherwise.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; ARGUMENTS_SIZE];
        if text.len() >= ARGUMENTS_SIZE || text.contains('\0') {
            return None;
        }
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, length: text.len() })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.bytes
            .get(..self.length)
            .and_then(|text| core::str::from_utf8(text).ok())
            .unwrap_or_default()
    }
}

/// The checked content of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchConfig {
    /// Options.
    pub flags: LaunchFlags,
    /// GPA of the region, page aligned.
    pub region_base: u64,
    /// Bytes of the region, whole pages.
    pub region_size: u64,
    /// GPA of the image, page aligned.
    pub image_start: u64,
    /// GPA behind the image, page aligned.
    pub image_end: u64,
    /// The guest policy.
    pub guest_policy: GuestPolicy,
    /// Where log lines go.
    pub console: Console,
    /// The guest's VMPL, never VMPL0.
    pub guest_vmpl: Vmpl,
    /// The Linux kernel, if one is expected.
    pub kernel: Option<PayloadDigest>,
    /// The initial RAM disk, if one is expected.
    pub initrd: Option<PayloadDigest>,
    /// The command line, if one is expected.
    pub cmdline: Option<PayloadDigest>,
    /// Text for test payloads.
    pub arguments: Arguments,
    /// Who gives the key that the TPM's state is encrypted with; `None`: the platform's firmware.
    /// Not checked to be a point on the curve.
    pub state_owner: Option<PublicKey>,
}

/// What is wrong with the page: the image was not built by igvmbuilder, or not for this kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// Another magic.
    Magic,
    /// Another version.
    Version(u32),
    /// An unknown flag, or a reserved byte that isn't zero.
    Reserved,
    /// The region isn't made of whole pages, or wraps, or lies above 4 GiB.
    Region,
    /// The image isn't made of whole pages within the region behind the fixed pages.
    Image,
    /// The guest policy can't be one.
    Policy,
    /// An unknown kind of console.
    Console,
    /// The guest's VMPL is 0 or above 3.
    GuestVmpl,
    /// A payload record is neither absent (all zeros) nor present.
    Payload,
    /// The arguments aren't NUL-terminated UTF-8.
    Arguments,
}

impl LaunchConfigPage {
    /// Checks the page.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(&self) -> Result<LaunchConfig, ConfigError> {
        if self.magic != MAGIC {
            return Err(ConfigError::Magic);
        }
        if self.version != VERSION {
            return Err(ConfigError::Version(self.version));
        }
        if self.reserved_3f != 0
            || self.reserved_160.iter().chain(&self.reserved_400).any(|&byte| byte != 0)
        {
            return Err(ConfigError::Reserved);
        }
        self.check_ranges()?;
        Ok(LaunchConfig {
            flags: LaunchFlags::from_bits(self.flags).ok_or(ConfigError::Reserved)?,
            region_base: self.region_base,
            region_size: self.region_size,
            image_start: self.image_start,
            image_end: self.image_end,
            guest_policy: GuestPolicy::parse(self.guest_policy).ok_or(ConfigError::Policy)?,
            console: match (self.console_kind, self.console_port) {
                (0, 0) => Console::None,
                (1, port) => Console::Debug(port),
                _ => return Err(ConfigError::Console),
            },
            guest_vmpl: Vmpl::from_number(u64::from(self.guest_vmpl))
                .filter(|&vmpl| vmpl != Vmpl::Vmpl0)
                .ok_or(ConfigError::GuestVmpl)?,
            kernel: self.kernel.parse()?,
            initrd: self.initrd.parse()?,
            cmdline: self.cmdline.parse()?,
            arguments: self.parse_arguments()?,
            state_owner: Some(self.state_owner).filter(|key| *key != NO_OWNER),
        })
    }

    fn check_ranges(&self) -> Result<(), ConfigError> {
        let aligned = |value: u64| value.is_multiple_of(PAGE_SIZE_U64);
        let region_end = self
            .region_base
            .checked_add(self.region_size)
            .filter(|&end| end <= 1 << 32)
            .ok_or(ConfigError::Region)?;
        if !aligned(self.region_base) || !aligned(self.region_size) || self.region_size == 0 {
            return Err(ConfigError::Region);
        }
        let first = self.region_base.saturating_add(IMAGE_OFFSET);
        if !aligned(self.image_start)
            || !aligned(self.image_end)
            || self.image_start < first
            || self.image_end <= self.image_start
            || self.image_end > region_end
        {
            return Err(ConfigError::Image);
        }
        Ok(())
    }

    fn parse_arguments(&self) -> Result<Arguments, ConfigError> {
        let length =
            self.arguments.iter().position(|&byte| byte == 0).ok_or(ConfigError::Arguments)?;
        let (text, rest) = self.arguments.split_at_checked(length).ok_or(ConfigError::Arguments)?;
        if rest.iter().any(|&byte| byte != 0) {
            return Err(ConfigError::Arguments);
        }
        core::str::from_utf8(text).ok().and_then(Arguments::new).ok_or(ConfigError::Arguments)
    }
}

impl PayloadRecord {
    fn parse(&self) -> Result<Option<PayloadDigest>, ConfigError> {
        match self.present {
            0 if self.as_bytes().iter().all(|&byte| byte == 0) => Ok(None),
            1 if self.reserved_04 == 0 => {
                Ok(Some(PayloadDigest { length: self.length, digest: self.digest }))
            }
            _ => Err(ConfigError::Payload),
        }
    }

    fn new(payload: Option<PayloadDigest>) -> Self {
        match payload {
            None => Self::new_zeroed(),
            Some(PayloadDigest { length, digest }) => {
                Self { present: 1, reserved_04: 0, length, digest }
            }
        }
    }
}

impl LaunchConfig {
    /// The page with this content.
    #[must_use]
    pub fn to_page(&self) -> LaunchConfigPage {
        let (console_kind, console_port) = match self.console {
            Console::None => (0, 0),
            Console::Debug(port) => (1, port),
        };
        LaunchConfigPage {
            magic: MAGIC,
            version: VERSION,
            flags: self.flags.bits(),
            region_base: self.region_base,
            region_size: self.region_size,
            image_start: self.image_start,
            image_end: self.image_end,
            guest_policy: self.guest_policy.bits(),
            console_kind,
            console_port,
            guest_vmpl: self.guest_vmpl as u8,
            kernel: PayloadRecord::new(self.kernel),
            initrd: PayloadRecord::new(self.initrd),
            cmdline: PayloadRecord::new(self.cmdline),
            arguments: self.arguments.bytes,
            state_owner: self.state_owner.unwrap_or(NO_OWNER),
            ..LaunchConfigPage::new_zeroed()
        }
    }
}

/// What is wrong with the vCPU count that the host gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VcpuCountError(pub u32);

/// Checks the vCPU count, an IGVM parameter written by the host.
///
/// # Errors
/// Zero, or above [`MAX_VCPUS`].
pub const fn check_vcpu_count(count: u32) -> Result<u32, VcpuCountError> {
    if count == 0 || count > MAX_VCPUS { Err(VcpuCountError(count)) } else { Ok(count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> LaunchConfig {
        LaunchConfig {
            flags: LaunchFlags::VERBOSE,
            region_base: REGION_BASE,
            region_size: REGION_SIZE,
            image_start: REGION_BASE + IMAGE_OFFSET,
            image_end: REGION_BASE + 0x10_0000,
            guest_policy: GuestPolicy::DEFAULT,
            console: Console::Debug(DEFAULT_CONSOLE_PORT),
            guest_vmpl: Vmpl::Vmpl2,
            kernel: Some(PayloadDigest { length: 5, digest: [7; 48] }),
            initrd: None,
            cmdline: None,
            arguments: Arguments::new("case=3").expect("short text"),
            state_owner: Some([0x5a; 96]),
        }
    }

    fn refused(change: impl Fn(&mut LaunchConfigPage)) -> ConfigError {
        let mut page = config().to_page();
        change(&mut page);
        page.parse().expect_err("a rule is broken")
    }

    #[test]
    fn a_page_that_breaks_a_rule_is_refused() {
        assert_eq!(refused(|page| page.magic[0] = 0), ConfigError::Magic);
        assert_eq!(refused(|page| page.version = 2), ConfigError::Version(2));
        assert_eq!(refused(|page| page.flags = 1 << 31), ConfigError::Reserved);
        assert_eq!(refused(|page| page.reserved_160[0] = 1), ConfigError::Reserved);
        assert_eq!(refused(|page| page.reserved_400[9] = 1), ConfigError::Reserved);
        assert_eq!(refused(|page| page.region_base = u64::MAX), ConfigError::Region);
        assert_eq!(refused(|page| page.region_base += 1), ConfigError::Region);
        assert_eq!(refused(|page| page.region_size = 0), ConfigError::Region);
        assert_eq!(refused(|page| page.image_start = REGION_BASE), ConfigError::Image);
        assert_eq!(refused(|page| page.image_end = page.image_start), ConfigError::Image);
        assert_eq!(refused(|page| page.image_end = 0x0500_1000), ConfigError::Image);
        assert_eq!(refused(|page| page.guest_policy = 0), ConfigError::Policy);
        assert_eq!(refused(|page| page.console_kind = 2), ConfigError::Console);
        assert_eq!(refused(|page| page.guest_vmpl = 0), ConfigError::GuestVmpl);
        assert_eq!(refused(|page| page.guest_vmpl = 4), ConfigError::GuestVmpl);
        assert_eq!(refused(|page| page.kernel.present = 2), ConfigError::Payload);
        assert_eq!(refused(|page| page.kernel.present = 0), ConfigError::Payload);
        assert_eq!(refused(|page| page.arguments.fill(b'a')), ConfigError::Arguments);
        assert_eq!(refused(|page| page.arguments[0] = 0), ConfigError::Arguments);
        assert_eq!(refused(|page| page.arguments[0] = 0xff), ConfigError::Arguments);
    }

    #[test]
    fn a_config_survives_its_page() {
        assert_eq!(config().to_page().parse(), Ok(config()));
        assert_eq!(config().arguments.as_str(), "case=3");
    }

    #[test]
    fn a_text_that_does_not_fit_is_refused() {
        let text = [b'a'; ARGUMENTS_SIZE];
        let text = core::str::from_utf8(&text).expect("ASCII");
        assert_eq!(Arguments::new(text), None);
        assert!(Arguments::new(&text[1..]).is_some());
        assert_eq!(Arguments::new("a\0b"), None);
    }

    #[test]
    fn the_vcpu_count_has_limits() {
        assert_eq!(check_vcpu_count(0), Err(VcpuCountError(0)));
        assert_eq!(check_vcpu_count(257), Err(VcpuCountError(257)));
        assert_eq!(check_vcpu_count(1), Ok(1));
    }
}
