// SPDX-License-Identifier: MIT OR Apache-2.0
//! The secrets page that the firmware fills in at launch. AMD 56860, 8.17.2.5 (SNP_LAUNCH_UPDATE,
//! PAGE_TYPE_SECRETS), and the SVSM's part of it: AMD 58019, section 5.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Vmpl;

/// Version of the page that carries everything up to the SVSM's fields.
pub const SECRETS_VERSION: u32 = 3;
/// Highest SVSM version this project offers to the guest.
pub const SVSM_MAX_VERSION: u32 = 1;
/// Bytes of a VM platform communication key (AES-256).
pub const VMPCK_SIZE: usize = 32;

/// The secrets page. No `Debug`: it holds keys.
#[repr(C)]
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SecretsPage {
    /// Version of this layout.
    pub version: u32,
    /// Bit 0: an initial migration image was used.
    pub flags: u32,
    /// Family, model, stepping as in CPUID Fn0000_0001 EAX.
    pub family_model_stepping: u32,
    /// Reserved.
    pub reserved_0c: u32,
    /// Guest OS visible workarounds, from the hypervisor.
    pub gosvw: [u8; 16],
    /// VMPCK0 to VMPCK3: the keys of the guest's messages to the firmware.
    pub vmpck: [[u8; VMPCK_SIZE]; 4],
    /// The area that guests may use as they agree (AMD 56421, 2.7).
    pub os_area: SecretsOsArea,
    /// Bitmap of VMSA quadwords that are tweaked by register protection.
    pub vmsa_tweak_bitmap: [u8; 64],
    /// GPA of the SVSM's region.
    pub svsm_base: u64,
    /// Bytes of the SVSM's region; zero means there is no SVSM.
    pub svsm_size: u64,
    /// GPA of the boot vCPU's calling area.
    pub svsm_caa: u64,
    /// Highest SVSM protocol version.
    pub svsm_max_version: u32,
    /// The VMPL the guest runs at; not zero under an SVSM.
    pub svsm_guest_vmpl: u8,
    /// Reserved.
    pub reserved_15d: [u8; 3],
    /// Secure TSC: decimal percentage by which the TSC frequency is off.
    pub tsc_factor: u32,
    /// Reserved.
    pub reserved_164: [u8; 0xe9c],
}

/// The area of the secrets page for guest software. AMD 56421, 2.7.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SecretsOsArea {
    /// Lower half of the last message sequence number, per VMPCK.
    pub message_sequence: [u32; 4],
    /// GPA of the AP jump table.
    pub ap_jump_table: u64,
    /// Upper half of the last message sequence number, per VMPCK.
    pub message_sequence_high: [u32; 4],
    /// Reserved.
    pub reserved: [u8; 24],
    /// Free for guests.
    pub guest_usage: [u8; 32],
}

assert_layout!(SecretsOsArea, size 0x60, ap_jump_table: 0x10, guest_usage: 0x40);
assert_layout!(
    SecretsPage, size 0x1000,
    gosvw: 0x10, vmpck: 0x20, os_area: 0xa0, vmsa_tweak_bitmap: 0x100, svsm_base: 0x140,
    svsm_size: 0x148, svsm_caa: 0x150, svsm_max_version: 0x158, svsm_guest_vmpl: 0x15c,
    tsc_factor: 0x160,
);

/// Where a guest finds its SVSM: the fields of the secrets page at 0x140.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SvsmLocation {
    /// GPA of the SVSM's region.
    pub base: u64,
    /// Bytes of the SVSM's region, not zero.
    pub size: u64,
    /// GPA of the boot vCPU's calling area, page aligned.
    pub caa: u64,
    /// The guest's VMPL, not VMPL0.
    pub guest_vmpl: Vmpl,
}

impl SecretsPage {
    /// The copy that a guest at `location.guest_vmpl` may see: the keys of more privileged levels
    /// are gone, and the SVSM's place is filled in.
    pub fn hand_over(&mut self, location: &SvsmLocation) {
        for (level, key) in self.vmpck.iter_mut().enumerate() {
            if level < location.guest_vmpl.index() {
                key.fill(0);
            }
        }
        self.svsm_base = location.base;
        self.svsm_size = location.size;
        self.svsm_caa = location.caa;
        self.svsm_max_version = SVSM_MAX_VERSION;
        self.svsm_guest_vmpl = location.guest_vmpl as u8;
    }

    /// The SVSM's place as a guest reads it; `None` when there is no (usable) SVSM.
    #[must_use]
    pub fn svsm_location(&self) -> Option<SvsmLocation> {
        let guest_vmpl = Vmpl::from_number(u64::from(self.svsm_guest_vmpl))?;
        let usable = self.svsm_size != 0
            && self.svsm_caa.is_multiple_of(crate::PAGE_SIZE_U64)
            && guest_vmpl != Vmpl::Vmpl0;
        usable.then_some(SvsmLocation {
            base: self.svsm_base,
            size: self.svsm_size,
            caa: self.svsm_caa,
            guest_vmpl,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    const LOCATION: SvsmLocation =
        SvsmLocation { base: 0x400_0000, size: 0x100_0000, caa: 0x9000, guest_vmpl: Vmpl::Vmpl2 };

    #[test]
    fn an_unusable_svsm_is_no_svsm() {
        let mut page = SecretsPage::new_zeroed();
        assert_eq!(page.svsm_location(), None);
        page.hand_over(&LOCATION);
        page.svsm_caa = 0x9008;
        assert_eq!(page.svsm_location(), None);
        page.hand_over(&LOCATION);
        page.svsm_guest_vmpl = 0;
        assert_eq!(page.svsm_location(), None);
        page.svsm_guest_vmpl = 4;
        assert_eq!(page.svsm_location(), None);
    }

    #[test]
    fn hand_over_leaves_only_the_guests_own_keys() {
        let mut page = SecretsPage::new_zeroed();
        page.vmpck = [[1; 32], [2; 32], [3; 32], [4; 32]];
        page.hand_over(&LOCATION);
        assert!(page.vmpck == [[0; 32], [0; 32], [3; 32], [4; 32]]);
        assert_eq!(page.svsm_location(), Some(LOCATION));
        assert_eq!(page.as_bytes()[0x15c], 2);
    }
}
