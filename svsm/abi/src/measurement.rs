// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the SVSM measures before the guest runs: the tagged events of its log (TCG PC Client
//! Platform Firmware Profile, 10.4.2.1). docs/decisions/0031-event-log.md has the layout.

/// What a tagged event is about. The number is `taggedEventID` in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Subject {
    /// The launch configuration page.
    LaunchConfig = 0x4d53_0001,
    /// The host's ACPI linker script.
    TableLoader = 0x4d53_0002,
    /// A file that the script allocates.
    AcpiFile = 0x4d53_0003,
    /// The kernel image.
    Kernel = 0x4d53_0010,
    /// The command line's file.
    CommandLine = 0x4d53_0011,
    /// The initial RAM disk.
    Initrd = 0x4d53_0012,
}

impl Subject {
    /// The PCR that it is measured into.
    #[must_use]
    pub const fn pcr(self) -> u32 {
        match self {
            Self::LaunchConfig | Self::TableLoader | Self::AcpiFile => 1,
            Self::Kernel => 4,
            Self::CommandLine | Self::Initrd => 9,
        }
    }
}
