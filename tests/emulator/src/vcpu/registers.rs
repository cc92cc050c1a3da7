// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registers that VMRUN doesn't switch, and their places in a VMSA.

use core::mem::offset_of;

use snp_abi::vmsa::Vmsa;

use crate::physical;

/// General registers and the FPU's, in the order world_switch.S knows.
#[repr(C, align(16))]
pub(crate) struct Registers {
    pub(crate) rbx: u64,
    pub(crate) rcx: u64,
    pub(crate) rdx: u64,
    pub(crate) rsi: u64,
    pub(crate) rdi: u64,
    pub(crate) rbp: u64,
    pub(crate) r8_to_r15: [u64; 8],
    padding: [u64; 2],
    fxsave: FxArea,
}

const _: () = assert!(offset_of!(Registers, fxsave) == 0x80);

/// FXSAVE's layout in 64-bit mode. AMD 26569, FXSAVE.
#[repr(C, align(16))]
struct FxArea {
    fcw: u16,
    fsw: u16,
    abridged_ftw: u8,
    reserved_05: u8,
    fop: u16,
    rip: u64,
    dp: u64,
    mxcsr: u32,
    mxcsr_mask: u32,
    x87: [[u8; 16]; 8],
    xmm: [u8; 256],
    reserved: [u8; 96],
}

const _: () = assert!(size_of::<FxArea>() == 512 && offset_of!(FxArea, xmm) == 0xa0);

impl Registers {
    pub(crate) const fn new() -> Self {
        Self {
            rbx: 0,
            rcx: 0,
            rdx: 0,
            rsi: 0,
            rdi: 0,
            rbp: 0,
            r8_to_r15: [0; 8],
            padding: [0; 2],
            fxsave: FxArea {
                fcw: 0x37f,
                fsw: 0,
                abridged_ftw: 0,
                reserved_05: 0,
                fop: 0,
                rip: 0,
                dp: 0,
                mxcsr: 0x1f80,
                mxcsr_mask: 0,
                x87: [[0; 16]; 8],
                xmm: [0; 256],
                reserved: [0; 96],
            },
        }
    }

    /// The register with this number in instruction encodings; `None` for RAX and RSP, which live
    /// in the VMCB.
    pub(crate) fn by_number(&self, number: u8) -> Option<u64> {
        match number {
            1 => Some(self.rcx),
            2 => Some(self.rdx),
            3 => Some(self.rbx),
            5 => Some(self.rbp),
            6 => Some(self.rsi),
            7 => Some(self.rdi),
            8..=15 => self.r8_to_r15.get(usize::from(number) - 8).copied(),
            _ => None,
        }
    }

    /// Takes the registers from a VMSA.
    pub(crate) fn load(&mut self, vmsa: u64) {
        let quadword = |offset: usize| physical::read::<u64>(vmsa + offset as u64);
        self.rbx = quadword(offset_of!(Vmsa, rbx));
        self.rcx = quadword(offset_of!(Vmsa, rcx));
        self.rdx = quadword(offset_of!(Vmsa, rdx));
        self.rsi = quadword(offset_of!(Vmsa, rsi));
        self.rdi = quadword(offset_of!(Vmsa, rdi));
        self.rbp = quadword(offset_of!(Vmsa, rbp));
        self.r8_to_r15 = core::array::from_fn(|i| quadword(offset_of!(Vmsa, r8) + 8 * i));
        let fx = &mut self.fxsave;
        let word = |offset: usize| physical::read::<u16>(vmsa + offset as u64);
        fx.fcw = word(offset_of!(Vmsa, x87_fcw));
        fx.fsw = word(offset_of!(Vmsa, x87_fsw));
        fx.fop = word(offset_of!(Vmsa, x87_fop));
        fx.abridged_ftw = abridge_tags(word(offset_of!(Vmsa, x87_ftw)));
        fx.rip = quadword(offset_of!(Vmsa, x87_rip));
        fx.dp = quadword(offset_of!(Vmsa, x87_dp));
        // A reserved bit would raise #GP in FXRSTOR, in the machine.
        fx.mxcsr = physical::read::<u32>(vmsa + offset_of!(Vmsa, mxcsr) as u64) & 0xffff;
        for (i, register) in fx.x87.iter_mut().enumerate() {
            let bytes: [u8; 10] =
                physical::read(vmsa + (offset_of!(Vmsa, x87_registers) + 10 * i) as u64);
            register[..10].copy_from_slice(&bytes);
        }
        physical::read_bytes(vmsa + offset_of!(Vmsa, xmm_registers) as u64, &mut fx.xmm);
    }

    /// Puts them into a VMSA.
    pub(crate) fn store(&self, vmsa: u64) {
        let quadword = |offset: usize, value: u64| physical::write(vmsa + offset as u64, value);
        quadword(offset_of!(Vmsa, rbx), self.rbx);
        quadword(offset_of!(Vmsa, rcx), self.rcx);
        quadword(offset_of!(Vmsa, rdx), self.rdx);
        quadword(offset_of!(Vmsa, rsi), self.rsi);
        quadword(offset_of!(Vmsa, rdi), self.rdi);
        quadword(offset_of!(Vmsa, rbp), self.rbp);
        for (i, value) in self.r8_to_r15.iter().enumerate() {
            quadword(offset_of!(Vmsa, r8) + 8 * i, *value);
        }
        let fx = &self.fxsave;
        let word = |offset: usize, value: u16| physical::write(vmsa + offset as u64, value);
        word(offset_of!(Vmsa, x87_fcw), fx.fcw);
        word(offset_of!(Vmsa, x87_fsw), fx.fsw);
        word(offset_of!(Vmsa, x87_fop), fx.fop);
        word(offset_of!(Vmsa, x87_ftw), expand_tags(fx.abridged_ftw));
        quadword(offset_of!(Vmsa, x87_rip), fx.rip);
        quadword(offset_of!(Vmsa, x87_dp), fx.dp);
        physical::write(vmsa + offset_of!(Vmsa, mxcsr) as u64, fx.mxcsr);
        for (i, register) in fx.x87.iter().enumerate() {
            let at = vmsa + (offset_of!(Vmsa, x87_registers) + 10 * i) as u64;
            physical::write_bytes(at, &register[..10]);
        }
        physical::write_bytes(vmsa + offset_of!(Vmsa, xmm_registers) as u64, &fx.xmm);
    }
}

/// FXSAVE keeps one bit for each x87 register, "not empty"; a VMSA two bits, 3 = empty.
fn abridge_tags(tags: u16) -> u8 {
    (0..8).fold(0, |bits, i| bits | u8::from(tags >> (2 * i) & 3 != 3) << i)
}

/// The opposite; what kind of value a register holds is lost, as it is in FXSAVE.
fn expand_tags(abridged: u8) -> u16 {
    (0..8).fold(0, |tags, i| tags | if abridged >> i & 1 == 0 { 3 << (2 * i) } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_survive() {
        assert_eq!(abridge_tags(0xffff), 0);
        assert_eq!(expand_tags(0), 0xffff);
        for abridged in 0..=u8::MAX {
            assert_eq!(abridge_tags(expand_tags(abridged)), abridged);
        }
    }

    #[test]
    fn register_numbers() {
        let registers =
            Registers { rdi: 7, r8_to_r15: [8, 9, 10, 11, 12, 13, 14, 15], ..Registers::new() };
        assert_eq!(registers.by_number(0), None);
        assert_eq!(registers.by_number(4), None);
        assert_eq!(registers.by_number(16), None);
        assert_eq!(registers.by_number(7), Some(7));
        assert_eq!(registers.by_number(15), Some(15));
    }
}
