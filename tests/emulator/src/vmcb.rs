// SPDX-License-Identifier: MIT OR Apache-2.0
//! The virtual machine control block that the real processor (QEMU) runs from. AMD 24593, appendix
//! B.
//!
//! Its save area has the layout of the first 0x298 bytes of a VMSA, so entering and leaving a VMPL
//! is a copy between the two.

use core::mem::offset_of;

use snp_abi::vmsa::{Segment, Vmsa};

use crate::layout::PAGE;
use crate::{physical, pool};

const SAVE_AREA: u64 = 0x400;
/// Bytes of the save area that VMCB and VMSA have in common.
pub(crate) const COMMON_STATE_SIZE: u64 = 0x298;
/// CR0.PG.
pub(crate) const CR0_PAGING: u64 = 1 << 31;

// Control area offsets.
const INTERCEPT_CR_WRITE: u64 = 0x02;
const INTERCEPT_DR: u64 = 0x04;
const INTERCEPT_EXCEPTIONS: u64 = 0x08;
const INTERCEPT_1: u64 = 0x0c;
const INTERCEPT_2: u64 = 0x10;
const IOPM_BASE: u64 = 0x40;
const MSRPM_BASE: u64 = 0x48;
const ASID: u64 = 0x58;
const TLB_CONTROL: u64 = 0x5c;
const INTERRUPT_SHADOW: u64 = 0x68;
const EXIT_CODE: u64 = 0x70;
const EXIT_INFO_1: u64 = 0x78;
const EXIT_INFO_2: u64 = 0x80;
const EXIT_INTERRUPT_INFO: u64 = 0x88;
const NESTED_CONTROL: u64 = 0x90;
const EVENT_INJECTION: u64 = 0xa8;
const NESTED_CR3: u64 = 0xb0;

/// MSRs that the guest reaches directly: VMRUN, VMLOAD and VMSAVE swap them, or they are harmless.
const DIRECT_MSRS: [u32; 17] = [
    0xc000_0080, // EFER
    0xc000_0081, // STAR
    0xc000_0082, // LSTAR
    0xc000_0083, // CSTAR
    0xc000_0084, // SFMASK
    0xc000_0100, // FS base
    0xc000_0101, // GS base
    0xc000_0102, // kernel GS base
    0xc000_0103, // TSC_AUX
    0x174,       // SYSENTER_CS
    0x175,       // SYSENTER_ESP
    0x176,       // SYSENTER_EIP
    0x277,       // PAT
    0x10,        // TSC
    0x48,        // SPEC_CTRL
    0x49,        // PRED_CMD
    0xda0,       // XSS
];

/// A control block in the machine's page pool.
pub(crate) struct Vmcb {
    address: u64,
}

/// Accessors for 64-bit registers of the save area, at the VMSA's offsets.
macro_rules! saved_registers {
    ($($get:ident, $set:ident: $field:ident;)*) => {
        $(
            pub(crate) fn $get(&self) -> u64 {
                physical::read(self.address + SAVE_AREA + offset_of!(Vmsa, $field) as u64)
            }
            #[allow(dead_code, reason = "one pair of accessors for each register")]
            pub(crate) fn $set(&mut self, value: u64) {
                physical::write(self.address + SAVE_AREA + offset_of!(Vmsa, $field) as u64, value);
            }
        )*
    };
}

/// Accessors for segment registers.
macro_rules! saved_segments {
    ($($get:ident, $set:ident: $field:ident;)*) => {
        $(
            pub(crate) fn $get(&self) -> Segment {
                physical::read(self.address + SAVE_AREA + offset_of!(Vmsa, $field) as u64)
            }
            #[allow(dead_code, reason = "one pair of accessors for each register")]
            pub(crate) fn $set(&mut self, value: Segment) {
                physical::write(self.address + SAVE_AREA + offset_of!(Vmsa, $field) as u64, value);
            }
        )*
    };
}

impl Vmcb {
    /// A block with the intercepts that every VMPL has.
    pub(crate) fn new(asid: u32) -> Self {
        let vmcb = Self { address: pool::pages(1) };
        let port_bitmap = pool::pages(3);
        physical::fill_pages(port_bitmap, 3, 0xff);
        let msr_bitmap = pool::pages(2);
        physical::fill_pages(msr_bitmap, 2, 0xff);
        for msr in DIRECT_MSRS {
            let bit = 2 * u64::from(if msr < 0x2000 { msr } else { msr - 0xc000_0000 + 0x2000 });
            let byte: u8 = physical::read(msr_bitmap + bit / 8);
            physical::write(msr_bitmap + bit / 8, byte & !(3 << (bit % 8)));
        }
        // DR7 is guarded as without debug swap: both directions exit.
        vmcb.write_control(INTERCEPT_DR, 1u32 << 7 | 1 << (16 + 7));
        // #UD: TCG knows neither PVALIDATE nor RMPADJUST nor RMPQUERY.
        vmcb.write_control(INTERCEPT_EXCEPTIONS, 1u32 << 6);
        // NMI (other processors' kicks), RDPMC, CPUID, INVD, IOIO, MSR, SHUTDOWN.
        vmcb.write_control(
            INTERCEPT_1,
            1u32 << 1 | 1 << 15 | 1 << 18 | 1 << 22 | 1 << 27 | 1 << 28 | 1 << 31,
        );
        // VMRUN, VMMCALL (TCG decodes VMGEXIT as VMMCALL), VMLOAD, VMSAVE, STGI, CLGI, SKINIT,
        // WBINVD, MONITOR, MWAIT.
        vmcb.write_control(INTERCEPT_2, 0x7fu32 | 1 << 9 | 1 << 10 | 1 << 11);
        vmcb.write_control(IOPM_BASE, port_bitmap);
        vmcb.write_control(MSRPM_BASE, msr_bitmap);
        vmcb.write_control(ASID, asid);
        // Every entry flushes: world.rs relies on it.
        vmcb.write_control(TLB_CONTROL, 1u8);
        vmcb.write_control(NESTED_CONTROL, 1u64);
        vmcb
    }

    /// Physical address, for VMRUN.
    pub(crate) fn address(&self) -> u64 {
        self.address
    }

    fn write_control<T: zerocopy::IntoBytes>(&self, offset: u64, value: T) {
        physical::write(self.address + offset, value);
    }

    pub(crate) fn exit_code(&self) -> u64 {
        physical::read(self.address + EXIT_CODE)
    }
    pub(crate) fn exit_info_1(&self) -> u64 {
        physical::read(self.address + EXIT_INFO_1)
    }
    pub(crate) fn exit_info_2(&self) -> u64 {
        physical::read(self.address + EXIT_INFO_2)
    }
    pub(crate) fn exit_interrupt_info(&self) -> u64 {
        physical::read(self.address + EXIT_INTERRUPT_INFO)
    }
    pub(crate) fn nested_root(&self) -> u64 {
        physical::read(self.address + NESTED_CR3)
    }

    /// Chooses the nested page tables, and whether CR0 writes exit.
    pub(crate) fn set_nested_root(&mut self, root: u64, intercept_cr0_writes: bool) {
        self.write_control(INTERCEPT_CR_WRITE, u16::from(intercept_cr0_writes));
        self.write_control(NESTED_CR3, root);
    }

    /// Has the processor raise an event (EVENTINJ format) at the next entry.
    pub(crate) fn inject(&mut self, event: u64) {
        self.write_control(EVENT_INJECTION, event);
    }
    pub(crate) fn has_injection(&self) -> bool {
        let event: u64 = physical::read(self.address + EVENT_INJECTION);
        event >> 31 & 1 != 0
    }

    /// After an instruction was emulated.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.set_rip(self.rip().wrapping_add(bytes));
        self.clear_interrupt_shadow();
    }
    pub(crate) fn clear_interrupt_shadow(&mut self) {
        self.write_control(INTERRUPT_SHADOW, 0u64);
    }

    /// Loads the state that VMCB and VMSA have in common.
    pub(crate) fn load_state(&mut self, vmsa: u64) {
        physical::copy(vmsa, self.address + SAVE_AREA, COMMON_STATE_SIZE);
        self.clear_interrupt_shadow();
        self.inject(0);
    }
    /// Stores it. VMPL and the quadwords around it aren't the processor's: they stay.
    pub(crate) fn store_state(&self, vmsa: u64) {
        let vmpl: u8 = physical::read(vmsa + offset_of!(Vmsa, vmpl) as u64);
        physical::copy(self.address + SAVE_AREA, vmsa, COMMON_STATE_SIZE);
        physical::write(vmsa + offset_of!(Vmsa, vmpl) as u64, vmpl);
    }

    /// With paging off every access is private.
    pub(crate) fn is_unpaged(&self) -> bool {
        self.cr0() & CR0_PAGING == 0
    }

    /// CPL; TCG keeps it in SS.DPL.
    pub(crate) fn cpl(&self) -> u8 {
        (self.ss().attributes >> 5 & 3) as u8
    }

    saved_registers! {
        efer, set_efer: efer;
        cr0, set_cr0: cr0;
        cr2, set_cr2: cr2;
        cr3, set_cr3: cr3;
        cr4, set_cr4: cr4;
        rflags, set_rflags: rflags;
        rip, set_rip: rip;
        rsp, set_rsp: rsp;
        rax, set_rax: rax;
    }
    saved_segments! {
        cs, set_cs: cs;
        ss, set_ss: ss;
        tr, set_tr: tr;
        idtr, set_idtr: idtr;
    }
}

const _: () = assert!(COMMON_STATE_SIZE < PAGE - SAVE_AREA);
