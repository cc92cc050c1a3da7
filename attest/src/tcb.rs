// SPDX-License-Identifier: MIT OR Apache-2.0
//! Versions of a platform's firmware: TCB_VERSION (AMD 56860, 2.2). Family 1Ah has another order,
//! and one part more.

use std::fmt;

use snp_abi::report::AttestationReport;

/// The first family of processors whose TCB begins with the FMC.
const FAMILY_WITH_FMC: u8 = 0x1a;
/// The first version of reports that name the processor's family.
const FIRST_VERSION_WITH_FAMILY: u32 = 3;
/// Bytes of a chip's identity from that family on; zeros follow in a report.
const SHORT_IDENTITY_BYTES: usize = 8;

/// The versions of the parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tcb {
    /// Firmware measured first, from family 1Ah.
    pub fmc: Option<u8>,
    /// Boot loader.
    pub boot_loader: u8,
    /// Trusted execution environment.
    pub tee: u8,
    /// SNP firmware.
    pub snp: u8,
    /// Microcode.
    pub microcode: u8,
}

impl Tcb {
    /// Reads a TCB of this report.
    #[must_use]
    pub fn of(report: &AttestationReport, value: u64) -> Self {
        let has_fmc = if report.version >= FIRST_VERSION_WITH_FAMILY {
            report.cpuid_family >= FAMILY_WITH_FMC
        } else {
            has_short_identity(&report.chip_id)
        };
        match value.to_le_bytes() {
            [fmc, boot_loader, tee, snp, _, _, _, microcode] if has_fmc => {
                Self { fmc: Some(fmc), boot_loader, tee, snp, microcode }
            }
            [boot_loader, tee, _, _, _, _, snp, microcode] => {
                Self { fmc: None, boot_loader, tee, snp, microcode }
            }
        }
    }

    /// No part is older than in `minimum`.
    #[must_use]
    pub fn is_at_least(&self, minimum: &Self) -> bool {
        self.boot_loader >= minimum.boot_loader
            && self.tee >= minimum.tee
            && self.snp >= minimum.snp
            && self.microcode >= minimum.microcode
            && self.fmc.unwrap_or(0) >= minimum.fmc.unwrap_or(0)
    }

    /// Reads `boot loader.TEE.SNP.microcode`, with `FMC.` in front or without.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Option<Vec<u8>> = text.split('.').map(|part| part.parse().ok()).collect();
        match *parts?.as_slice() {
            [boot_loader, tee, snp, microcode] => {
                Some(Self { fmc: None, boot_loader, tee, snp, microcode })
            }
            [fmc, boot_loader, tee, snp, microcode] => {
                Some(Self { fmc: Some(fmc), boot_loader, tee, snp, microcode })
            }
            _ => None,
        }
    }
}

/// Whether the chip is of family 1Ah or later, told by its identity. A masked one tells nothing.
fn has_short_identity(chip_id: &[u8; 64]) -> bool {
    let (identity, rest) = chip_id.split_at(SHORT_IDENTITY_BYTES);
    identity.iter().any(|&byte| byte != 0) && rest.iter().all(|&byte| byte == 0)
}

impl fmt::Display for Tcb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fmc) = self.fmc {
            write!(formatter, "{fmc}.")?;
        }
        write!(formatter, "{}.{}.{}.{}", self.boot_loader, self.tee, self.snp, self.microcode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    #[test]
    fn what_is_no_version_is_refused() {
        for text in ["", "1", "1.2.3", "1.2.3.256", "1.2.3.x", "1.2.3.4.5.6", "-1.2.3.4"] {
            assert_eq!(Tcb::parse(text), None, "{text}");
        }
    }

    #[test]
    fn one_older_part_is_too_old() {
        let minimum = Tcb::parse("4.0.24.219").expect("a version");
        assert!(minimum.is_at_least(&minimum));
        for text in ["3.0.24.219", "4.0.23.219", "255.255.255.218", "255.255.23.255"] {
            assert!(!Tcb::parse(text).expect("a version").is_at_least(&minimum), "{text}");
        }
        let with_fmc = Tcb::parse("1.4.0.24.219").expect("a version");
        assert!(with_fmc.is_at_least(&minimum));
        assert!(!minimum.is_at_least(&with_fmc));
    }

    #[test]
    fn the_family_tells_the_order() {
        let value = u64::from_le_bytes([1, 2, 3, 4, 0, 0, 5, 6]);
        let mut report = AttestationReport::new_zeroed();
        report.version = 3;
        report.cpuid_family = 0x19;
        assert_eq!(Tcb::of(&report, value).to_string(), "1.2.5.6");
        report.cpuid_family = 0x1a;
        assert_eq!(Tcb::of(&report, value).to_string(), "1.2.3.4.6");
        // Version 2 has no family; there the chip's identity tells.
        report.version = 2;
        assert_eq!(Tcb::of(&report, value).to_string(), "1.2.5.6");
        report.chip_id[7] = 1;
        assert_eq!(Tcb::of(&report, value).to_string(), "1.2.3.4.6");
        report.chip_id[8] = 1;
        assert_eq!(Tcb::of(&report, value).to_string(), "1.2.5.6");
    }
}
