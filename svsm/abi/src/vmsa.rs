// SPDX-License-Identifier: MIT OR Apache-2.0
//! The VM save area (VMSA) of an SEV-ES/SNP vCPU. AMD 24593, appendix B, table B-4.
//!
//! One page per vCPU and VMPL. Between two entries it alone holds that vCPU's registers.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::Vmpl;

/// A segment register. Attributes are the 12 descriptor bits without the gap:
/// type `[3:0]`, S 4, DPL `[6:5]`, P 7, AVL 8, L 9, D/B 10, G 11.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Segment {
    /// Selector.
    pub selector: u16,
    /// Attributes.
    pub attributes: u16,
    /// Limit in bytes.
    pub limit: u32,
    /// Base address.
    pub base: u64,
}

impl Segment {
    /// A flat 4 GiB segment.
    #[must_use]
    pub const fn flat(selector: u16, attributes: u16) -> Self {
        Self { selector, attributes, limit: u32::MAX, base: 0 }
    }

    /// A descriptor table register.
    #[must_use]
    pub const fn table(base: u64, limit: u32) -> Self {
        Self { selector: 0, attributes: 0, limit, base }
    }
}

/// Attributes of a 64-bit code segment: present, execute/read/accessed, L.
pub const CODE_64_ATTRIBUTES: u16 = 0xa9b;
/// Attributes of a flat 32-bit code segment.
pub const CODE_32_ATTRIBUTES: u16 = 0xc9b;
/// Attributes of a flat read/write data segment.
pub const DATA_ATTRIBUTES: u16 = 0xc93;
/// Attributes of a busy 64-bit (or 32-bit) TSS.
pub const TSS_ATTRIBUTES: u16 = 0x8b;
/// Attributes of an LDT.
pub const LDT_ATTRIBUTES: u16 = 0x82;

/// EFER.SCE.
pub const EFER_SCE: u64 = 1 << 0;
/// EFER.LME.
pub const EFER_LME: u64 = 1 << 8;
/// EFER.LMA.
pub const EFER_LMA: u64 = 1 << 10;
/// EFER.NXE.
pub const EFER_NXE: u64 = 1 << 11;
/// EFER.SVME: VMRUN refuses a VMSA that has it clear, which is how an SVSM holds a vCPU back.
pub const EFER_SVME: u64 = 1 << 12;

/// CR0 with protection on and paging off: PE, ET.
pub const CR0_PROTECTED: u64 = 0x11;
/// CR0 in 64-bit mode: PG, WP, NE, ET, MP, PE.
pub const CR0_LONG_MODE: u64 = 0x8001_0033;
/// CR4 in 64-bit mode: OSXMMEXCPT, OSFXSR, PGE, PAE.
pub const CR4_LONG_MODE: u64 = 0x6a0;
/// PAT at reset.
pub const PAT_RESET: u64 = 0x0007_0406_0007_0406;
/// MXCSR at reset.
pub const MXCSR_RESET: u32 = 0x1f80;
/// x87 control word as `FNINIT` sets it.
pub const X87_FCW_INIT: u16 = 0x37f;
/// x87 tag word with every register empty.
pub const X87_FTW_EMPTY: u16 = 0xffff;
/// DR6 at reset.
pub const DR6_RESET: u64 = 0xffff_0ff0;
/// DR7 at reset.
pub const DR7_RESET: u64 = 0x400;
/// RFLAGS with only the bit that is always one.
pub const RFLAGS_RESET: u64 = 2;

bitflags::bitflags! {
    /// SEV features of a vCPU, offset 0x3b0; the same bits as in `SEV_STATUS` shifted right by 2.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SevFeatures: u64 {
        /// SEV-SNP is active.
        const SNP_ACTIVE = 1 << 0;
        /// Virtual top of memory.
        const VTOM = 1 << 1;
        /// #VC instead of an automatic exit also for what would exit by itself (reflect VC).
        const REFLECT_VC = 1 << 2;
        /// Restricted injection.
        const RESTRICTED_INJECTION = 1 << 3;
        /// Alternate injection.
        const ALTERNATE_INJECTION = 1 << 4;
        /// Debug register swap.
        const DEBUG_SWAP = 1 << 5;
        /// Host IBS is off while the guest runs.
        const PREVENT_HOST_IBS = 1 << 6;
        /// BTB isolation.
        const BTB_ISOLATION = 1 << 7;
        /// VMPL supervisor shadow stack.
        const VMPL_SSS = 1 << 8;
        /// Secure TSC.
        const SECURE_TSC = 1 << 9;
        /// VMSA register protection.
        const VMSA_REGISTER_PROTECTION = 1 << 14;
        /// SMT protection.
        const SMT_PROTECTION = 1 << 15;
    }
}

/// The save area; one page, of which the first 0x670 bytes have a meaning.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[expect(missing_docs, reason = "architectural registers under their own names")]
pub struct Vmsa {
    pub es: Segment,
    pub cs: Segment,
    pub ss: Segment,
    pub ds: Segment,
    pub fs: Segment,
    pub gs: Segment,
    pub gdtr: Segment,
    pub ldtr: Segment,
    pub idtr: Segment,
    pub tr: Segment,
    pub pl_ssp: [u64; 4],
    pub u_cet: u64,
    pub reserved_c8: [u8; 2],
    pub vmpl: u8,
    pub cpl: u8,
    pub reserved_cc: [u8; 4],
    pub efer: u64,
    pub reserved_d8: [u8; 104],
    pub xss: u64,
    pub cr4: u64,
    pub cr3: u64,
    pub cr0: u64,
    pub dr7: u64,
    pub dr6: u64,
    pub rflags: u64,
    pub rip: u64,
    pub dr: [u64; 4],
    pub dr_address_mask: [u64; 4],
    pub reserved_1c0: [u8; 24],
    pub rsp: u64,
    pub s_cet: u64,
    pub ssp: u64,
    pub isst_address: u64,
    pub rax: u64,
    pub star: u64,
    pub lstar: u64,
    pub cstar: u64,
    pub sfmask: u64,
    pub kernel_gs_base: u64,
    pub sysenter_cs: u64,
    pub sysenter_esp: u64,
    pub sysenter_eip: u64,
    pub cr2: u64,
    pub reserved_248: [u8; 32],
    pub pat: u64,
    pub dbgctl: u64,
    pub br_from: u64,
    pub br_to: u64,
    pub last_exception_from: u64,
    pub last_exception_to: u64,
    pub reserved_298: [u8; 80],
    pub pkru: u32,
    pub tsc_aux: u32,
    pub guest_tsc_scale: u64,
    pub guest_tsc_offset: u64,
    pub register_protection_nonce: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rbx: u64,
    pub reserved_320: u64,
    pub rbp: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub reserved_380: [u8; 16],
    pub guest_exit_info_1: u64,
    pub guest_exit_info_2: u64,
    pub guest_exit_interrupt_info: u64,
    pub guest_next_rip: u64,
    pub sev_features: u64,
    pub virtual_interrupt_control: u64,
    pub guest_exit_code: u64,
    pub virtual_tom: u64,
    pub tlb_id: u64,
    pub pcpu_id: u64,
    pub event_injection: u64,
    pub xcr0: u64,
    pub reserved_3f0: [u8; 16],
    pub x87_dp: u64,
    pub mxcsr: u32,
    pub x87_ftw: u16,
    pub x87_fsw: u16,
    pub x87_fcw: u16,
    pub x87_fop: u16,
    pub x87_ds: u16,
    pub x87_cs: u16,
    pub x87_rip: u64,
    pub x87_registers: [[u8; 10]; 8],
    pub xmm_registers: [[u8; 16]; 16],
    pub ymm_high: [[u8; 16]; 16],
    pub reserved_670: [u8; 0x990],
}

assert_layout!(Segment, size 0x10, selector: 0, attributes: 2, limit: 4, base: 8);
assert_layout!(
    Vmsa, size 0x1000,
    es: 0x00, cs: 0x10, ss: 0x20, ds: 0x30, fs: 0x40, gs: 0x50,
    gdtr: 0x60, ldtr: 0x70, idtr: 0x80, tr: 0x90,
    pl_ssp: 0xa0, u_cet: 0xc0, vmpl: 0xca, cpl: 0xcb, efer: 0xd0,
    xss: 0x140, cr4: 0x148, cr3: 0x150, cr0: 0x158, dr7: 0x160, dr6: 0x168,
    rflags: 0x170, rip: 0x178, dr: 0x180, dr_address_mask: 0x1a0,
    rsp: 0x1d8, s_cet: 0x1e0, ssp: 0x1e8, isst_address: 0x1f0, rax: 0x1f8,
    star: 0x200, lstar: 0x208, cstar: 0x210, sfmask: 0x218, kernel_gs_base: 0x220,
    sysenter_cs: 0x228, sysenter_esp: 0x230, sysenter_eip: 0x238, cr2: 0x240,
    pat: 0x268, dbgctl: 0x270, br_from: 0x278, br_to: 0x280,
    last_exception_from: 0x288, last_exception_to: 0x290,
    pkru: 0x2e8, tsc_aux: 0x2ec, guest_tsc_scale: 0x2f0, guest_tsc_offset: 0x2f8,
    register_protection_nonce: 0x300, rcx: 0x308, rdx: 0x310, rbx: 0x318,
    rbp: 0x328, rsi: 0x330, rdi: 0x338, r8: 0x340, r15: 0x378,
    guest_exit_info_1: 0x390, guest_exit_info_2: 0x398, guest_exit_interrupt_info: 0x3a0,
    guest_next_rip: 0x3a8, sev_features: 0x3b0, virtual_interrupt_control: 0x3b8,
    guest_exit_code: 0x3c0, virtual_tom: 0x3c8, tlb_id: 0x3d0, pcpu_id: 0x3d8,
    event_injection: 0x3e0, xcr0: 0x3e8, x87_dp: 0x400, mxcsr: 0x408, x87_ftw: 0x40c,
    x87_fsw: 0x40e, x87_fcw: 0x410, x87_fop: 0x412, x87_rip: 0x418,
    x87_registers: 0x420, xmm_registers: 0x470, ymm_high: 0x570, reserved_670: 0x670,
);

/// What a 64-bit vCPU starts with; see [`Vmsa::long_mode`].
#[derive(Clone, Copy, Debug)]
pub struct LongModeEntry {
    /// The level the vCPU runs at.
    pub vmpl: Vmpl,
    /// SEV features.
    pub sev_features: SevFeatures,
    /// Code segment selector.
    pub code_selector: u16,
    /// Data segment selector.
    pub data_selector: u16,
    /// Global descriptor table: base and limit in bytes.
    pub gdt: (u64, u32),
    /// CR3, with the C-bit where the tables are private.
    pub cr3: u64,
    /// First instruction.
    pub rip: u64,
    /// Stack pointer.
    pub rsp: u64,
}

impl Vmsa {
    /// The state in which the IGVM file starts the SVSM: 32-bit protected mode, paging off, flat
    /// segments, VMPL0. With paging off every access is private whatever the C-bit's position is.
    #[must_use]
    pub fn unpaged_32(entry_gpa: u32, sev_features: SevFeatures) -> Self {
        let mut vmsa = Self::reset(Vmpl::Vmpl0, sev_features);
        vmsa.cs = Segment::flat(0x08, CODE_32_ATTRIBUTES);
        vmsa.set_data_segments(Segment::flat(0x10, DATA_ATTRIBUTES));
        vmsa.gdtr = Segment::table(0, 0xffff);
        vmsa.cr0 = CR0_PROTECTED;
        vmsa.rip = u64::from(entry_gpa);
        // KVM fills this field from FXSAVE's abridged tag word, where 0 means "all empty". The
        // launch digest must come out the same there.
        vmsa.x87_ftw = 0;
        vmsa
    }

    /// A vCPU in 64-bit mode with interrupts off and no IDT.
    #[must_use]
    pub fn long_mode(entry: &LongModeEntry) -> Self {
        let mut vmsa = Self::reset(entry.vmpl, entry.sev_features);
        vmsa.cs = Segment::flat(entry.code_selector, CODE_64_ATTRIBUTES);
        vmsa.set_data_segments(Segment::flat(entry.data_selector, DATA_ATTRIBUTES));
        vmsa.gdtr = Segment::table(entry.gdt.0, entry.gdt.1);
        vmsa.efer = EFER_SVME | EFER_NXE | EFER_LMA | EFER_LME;
        vmsa.cr4 = CR4_LONG_MODE;
        vmsa.cr3 = entry.cr3;
        vmsa.cr0 = CR0_LONG_MODE;
        vmsa.rip = entry.rip;
        vmsa.rsp = entry.rsp;
        vmsa
    }

    /// What every launch state has in common.
    fn reset(vmpl: Vmpl, sev_features: SevFeatures) -> Self {
        let mut vmsa = Self::new_zeroed();
        vmsa.ldtr = Segment { selector: 0, attributes: LDT_ATTRIBUTES, limit: 0xffff, base: 0 };
        vmsa.tr = Segment { selector: 0, attributes: TSS_ATTRIBUTES, limit: 0xffff, base: 0 };
        vmsa.idtr = Segment::table(0, 0);
        vmsa.vmpl = vmpl as u8;
        vmsa.efer = EFER_SVME;
        vmsa.dr7 = DR7_RESET;
        vmsa.dr6 = DR6_RESET;
        vmsa.rflags = RFLAGS_RESET;
        vmsa.pat = PAT_RESET;
        vmsa.sev_features = sev_features.bits();
        vmsa.xcr0 = 1;
        vmsa.mxcsr = MXCSR_RESET;
        vmsa.x87_ftw = X87_FTW_EMPTY;
        vmsa.x87_fcw = X87_FCW_INIT;
        vmsa
    }

    fn set_data_segments(&mut self, segment: Segment) {
        for register in [&mut self.ds, &mut self.es, &mut self.ss, &mut self.fs, &mut self.gs] {
            *register = segment;
        }
    }
}

/// Why a VMSA page offered for a new vCPU is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmsaError {
    /// The VMPL in the page isn't the one the vCPU is to run at.
    WrongVmpl,
    /// The SEV features differ from those of the machine.
    WrongSevFeatures,
    /// EFER.SVME is clear: hardware would refuse to enter it.
    SvmeClear,
}

impl Vmsa {
    /// What AMD 58019 (SVSM_CORE_CREATE_VCPU) requires of a guest's VMSA, and no more: clients set
    /// TSC scaling and virtual interrupt bits as they need.
    ///
    /// # Errors
    /// The first rule that the page breaks.
    pub fn check_guest(&self, vmpl: Vmpl, sev_features: SevFeatures) -> Result<(), VmsaError> {
        if self.vmpl != vmpl as u8 {
            return Err(VmsaError::WrongVmpl);
        }
        if self.sev_features != sev_features.bits() {
            return Err(VmsaError::WrongSevFeatures);
        }
        if self.efer & EFER_SVME == 0 {
            return Err(VmsaError::SvmeClear);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long_mode() -> Vmsa {
        Vmsa::long_mode(&LongModeEntry {
            vmpl: Vmpl::Vmpl2,
            sev_features: SevFeatures::SNP_ACTIVE,
            code_selector: 0x10,
            data_selector: 0x18,
            gdt: (0x1000, 0x27),
            cr3: 0x2000 | 1 << 51,
            rip: 0x10_0200,
            rsp: 0x3f000,
        })
    }

    #[test]
    fn a_vmsa_that_breaks_a_rule_is_refused() {
        let good = long_mode();
        assert_eq!(good.check_guest(Vmpl::Vmpl2, SevFeatures::SNP_ACTIVE), Ok(()));
        assert_eq!(
            good.check_guest(Vmpl::Vmpl1, SevFeatures::SNP_ACTIVE),
            Err(VmsaError::WrongVmpl)
        );
        assert_eq!(
            good.check_guest(Vmpl::Vmpl2, SevFeatures::empty()),
            Err(VmsaError::WrongSevFeatures)
        );
        let mut bad = good;
        bad.efer &= !EFER_SVME;
        assert_eq!(
            bad.check_guest(Vmpl::Vmpl2, SevFeatures::SNP_ACTIVE),
            Err(VmsaError::SvmeClear)
        );
    }

    #[test]
    fn the_launch_state_has_paging_off() {
        let vmsa = Vmsa::unpaged_32(0x0401_0000, SevFeatures::SNP_ACTIVE);
        assert_eq!(vmsa.cr0 & 1 << 31, 0);
        assert_eq!(vmsa.cr0 & 1, 1);
        assert_eq!(vmsa.rip, 0x0401_0000);
        assert_eq!(vmsa.efer, EFER_SVME);
        assert_eq!(vmsa.vmpl, 0);
    }

    #[test]
    fn the_64_bit_state_is_in_long_mode() {
        let vmsa = long_mode();
        assert_eq!(vmsa.efer, 0x1d00);
        assert_eq!(vmsa.cr0, 0x8001_0033);
        assert_eq!(vmsa.cr4, 0x6a0);
    }
}
