// SPDX-License-Identifier: MIT OR Apache-2.0
//! The CPUID table that the firmware checked (AMD 56860, 8.17.2.6), copied once.
//!
//! CPUID itself is a #VC under SNP; the handler answers from here, never from the hypervisor.

use snp_abi::cpuid::{CpuidFunction, CpuidPage, CpuidPageError, MAX_FUNCTIONS};

const LEAF_FEATURES: u32 = 1;
/// CPUID Fn0000_0001 ECX: RDRAND.
const RDRAND: u32 = 1 << 30;
/// CPUID Fn0000_0001 ECX: CR4.OSXSAVE is set.
const OSXSAVE: u32 = 1 << 27;
const LEAF_EXTENDED_FEATURES: u32 = 7;
/// CPUID Fn0000_0007 EBX: SMEP, SMAP.
const SMEP: u32 = 1 << 7;
const SMAP: u32 = 1 << 20;
/// CPUID Fn0000_0007 EBX: RDSEED.
const RDSEED: u32 = 1 << 18;

const LEAF_SIZES: u32 = 0x8000_0008;
/// CPUID Fn8000_0008 EBX: INVLPGB and TLBSYNC.
const INVLPGB: u32 = 1 << 3;

/// EAX, EBX, ECX, EDX.
pub type Registers = [u32; 4];

/// The functions of a checked page.
#[derive(Clone, Debug)]
pub struct CpuidTable {
    functions: [CpuidFunction; MAX_FUNCTIONS],
    count: usize,
    c_bit_position: u32,
}

impl CpuidTable {
    /// Takes over a page that nobody else can write.
    ///
    /// # Errors
    /// What is wrong with the page.
    pub fn new(page: &CpuidPage) -> Result<Self, CpuidPageError> {
        let given = page.functions()?;
        let c_bit_position = page.c_bit_position()?;
        let mut functions = [CpuidFunction::default(); MAX_FUNCTIONS];
        for (place, function) in functions.iter_mut().zip(given) {
            *place = *function;
        }
        Ok(Self { functions, count: given.len(), c_bit_position })
    }

    /// The mask of the bit that marks a private page.
    pub const fn encryption_mask(&self) -> u64 {
        1 << self.c_bit_position
    }

    /// The answer to CPUID: zeros for what the table does not have.
    ///
    /// OSXSAVE follows CR4.OSXSAVE, which the SVSM never sets: whoever asks must not use AVX here.
    pub fn answer(&self, leaf: u32, subleaf: u32) -> Registers {
        let Some(function) = self
            .functions
            .iter()
            .take(self.count)
            .find(|function| function.leaf == leaf && function.subleaf == subleaf)
            .or_else(|| self.find_without_subleaf(leaf))
        else {
            return [0; 4];
        };
        let mut ecx = function.ecx;
        if leaf == LEAF_FEATURES {
            ecx &= !OSXSAVE;
        }
        [function.eax, function.ebx, ecx, function.edx]
    }

    /// A leaf that has no subleaves answers the same for each.
    fn find_without_subleaf(&self, leaf: u32) -> Option<&CpuidFunction> {
        let has_subleaves =
            matches!(leaf, 4 | 7 | 0xb | 0xd | 0xf | 0x10 | 0x12 | 0x14 | 0x17..=0x1f)
                || matches!(leaf, 0x8000_001d | 0x8000_0020 | 0x8000_0026);
        self.functions
            .iter()
            .take(self.count)
            .find(|function| function.leaf == leaf && !has_subleaves)
    }

    /// SMEP and SMAP, without which the SVSM does not run: they keep it from touching guest memory
    /// other than through the copy routines.
    pub fn has_supervisor_protection(&self) -> bool {
        self.answer(LEAF_EXTENDED_FEATURES, 0)[1] & (SMEP | SMAP) == SMEP | SMAP
    }

    /// The INVLPGB and TLBSYNC instructions.
    pub fn has_broadcast_flush(&self) -> bool {
        self.answer(LEAF_SIZES, 0)[1] & INVLPGB != 0
    }

    /// The RDRAND instruction.
    pub fn has_rdrand(&self) -> bool {
        self.answer(LEAF_FEATURES, 0)[2] & RDRAND != 0
    }

    /// The RDSEED instruction.
    pub fn has_rdseed(&self) -> bool {
        self.answer(LEAF_EXTENDED_FEATURES, 0)[1] & RDSEED != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snp_abi::cpuid::LEAF_MEMORY_ENCRYPTION;
    use zerocopy::FromZeros;

    fn function(leaf: u32, subleaf: u32, ebx: u32, ecx: u32) -> CpuidFunction {
        CpuidFunction { leaf, subleaf, ebx, ecx, ..CpuidFunction::default() }
    }

    fn table(functions: &[CpuidFunction]) -> CpuidTable {
        let mut page = CpuidPage::new_zeroed();
        page.push(function(LEAF_MEMORY_ENCRYPTION, 0, 39, 0)).unwrap();
        for function in functions {
            page.push(*function).unwrap();
        }
        CpuidTable::new(&page).unwrap()
    }

    #[test]
    fn a_page_without_the_c_bit_is_refused() {
        let page = CpuidPage::new_zeroed();
        assert_eq!(CpuidTable::new(&page).unwrap_err(), CpuidPageError::NoCBit);
    }

    #[test]
    fn unknown_functions_are_zero() {
        let table = table(&[function(7, 0, 1, 2), function(0xb, 1, 3, 4)]);
        assert_eq!(table.answer(0x4000_0000, 0), [0; 4]);
        assert_eq!(table.answer(7, 1), [0; 4]);
        assert_eq!(table.answer(0xb, 0), [0; 4]);
        assert_eq!(table.answer(0xb, 1), [0, 3, 4, 0]);
        assert_eq!(table.encryption_mask(), 1 << 39);
    }

    #[test]
    fn a_leaf_without_subleaves_ignores_ecx() {
        let table = table(&[function(1, 0, 5, 6)]);
        assert_eq!(table.answer(1, 77), [0, 5, 6, 0]);
    }

    #[test]
    fn osxsave_is_never_shown() {
        assert_eq!(table(&[function(1, 0, 0, u32::MAX)]).answer(1, 0)[2], !OSXSAVE);
    }

    #[test]
    fn supervisor_protection_needs_both_bits() {
        assert!(!table(&[function(7, 0, SMEP, 0)]).has_supervisor_protection());
        assert!(!table(&[function(7, 0, SMAP, 0)]).has_supervisor_protection());
        assert!(table(&[function(7, 0, SMAP | SMEP, 0)]).has_supervisor_protection());
    }
}
