// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which of the host's disks is for the TPM's state: the host says so in a fw_cfg file. The SVSM
//! takes that disk. The emulated machine hides a PCI function from the guest; it has no devices
//! over MMIO, and says in its log that it doesn't hide one.

/// The file. Its text is `pci DEVICE.FUNCTION` (on bus 0) or `mmio ADDRESS`, in hexadecimal.
pub const DISK_FILE: &str = "opt/org.macadamia-svsm/disk";
/// Bytes of the longest text.
pub const DISK_FILE_BYTES_MAX: usize = 32;

/// Where a disk's registers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskPlace {
    /// A function of virtio over PCI, on bus 0.
    Pci {
        /// 0 to 31.
        device: u8,
        /// 0 to 7.
        function: u8,
    },
    /// Registers of virtio over MMIO.
    Mmio {
        /// Their guest-physical address.
        address: u64,
    },
}

impl DiskPlace {
    /// Reads the file's text; a line's end behind it is accepted.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(text).ok()?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        match text.split_once(' ')? {
            ("pci", place) => {
                let (device, function) = place.split_once('.')?;
                let (device, function) = (hexadecimal(device)?, hexadecimal(function)?);
                let (device, function) = (u8::try_from(device).ok()?, u8::try_from(function).ok()?);
                (device < 32 && function < 8).then_some(Self::Pci { device, function })
            }
            ("mmio", address) => Some(Self::Mmio { address: hexadecimal(address)? }),
            _ => None,
        }
    }
}

/// Digits only: no sign, no prefix.
fn hexadecimal(text: &str) -> Option<u64> {
    let all_digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if all_digits { u64::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::DiskPlace;

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "pci",
            "pci ",
            "pci 1e",
            "pci 20.0",
            "pci 1.8",
            "pci +1.0",
            "pci 1.",
            "pci 100.0",
            "mmio ",
            "mmio 0x10",
            "mmio 1 ",
            "mmio 10000000000000000",
            "isa 3",
            "pci 1.0\n\n",
        ] {
            assert_eq!(DiskPlace::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(DiskPlace::parse(&[0xff; 8]), None);
    }

    #[test]
    fn places_are_read() {
        let pci = DiskPlace::Pci { device: 0x1e, function: 0 };
        assert_eq!(DiskPlace::parse(b"pci 1e.0"), Some(pci));
        assert_eq!(DiskPlace::parse(b"pci 1e.0\n"), Some(pci));
        let mmio = DiskPlace::Mmio { address: 0xfeb0_0e00 };
        assert_eq!(DiskPlace::parse(b"mmio feb00e00"), Some(mmio));
    }
}
