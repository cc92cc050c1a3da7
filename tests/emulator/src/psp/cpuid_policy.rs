// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a CPUID page may promise a guest. AMD 56860, 8.17.2.6, and the processors' manuals:
//! a feature that the processor lacks must not be claimed.

use snp_abi::cpuid::{CpuidFunction, CpuidPage, CpuidPageError, LEAF_MEMORY_ENCRYPTION};

/// Why the firmware refuses a CPUID page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CpuidRefusal {
    /// The page's structure isn't right.
    Page(CpuidPageError),
    /// A function is listed twice.
    Twice(u32, u32),
    /// A feature is claimed that the processor lacks.
    Feature(u32, u32),
    /// Fn8000_001F doesn't show an SNP guest.
    NotSnp,
}

/// Bits of a register that only say what the processor can do.
struct FeatureBits {
    leaf: u32,
    subleaf: u32,
    /// EAX, EBX, ECX, EDX.
    masks: [u32; 4],
}

/// OSXSAVE mirrors CR4, and bit 31 says that there is a hypervisor.
const LEAF_1_ECX: u32 = !(1 << 27 | 1 << 31);
/// The local APIC can be switched off.
const LEAF_1_EDX: u32 = !(1 << 9);
/// OSPKE mirrors CR4.
const LEAF_7_ECX: u32 = !(1 << 4);
/// Likewise the local APIC.
const LEAF_EXTENDED_1_EDX: u32 = !(1 << 9);

const FEATURES: [FeatureBits; 5] = [
    FeatureBits { leaf: 1, subleaf: 0, masks: [0, 0, LEAF_1_ECX, LEAF_1_EDX] },
    FeatureBits { leaf: 7, subleaf: 0, masks: [0, u32::MAX, LEAF_7_ECX, u32::MAX] },
    FeatureBits { leaf: 7, subleaf: 1, masks: [u32::MAX, 0, 0, 0] },
    FeatureBits { leaf: 0x8000_0001, subleaf: 0, masks: [0, 0, u32::MAX, LEAF_EXTENDED_1_EDX] },
    FeatureBits { leaf: 0x8000_0008, subleaf: 0, masks: [0, u32::MAX, 0, 0] },
];

/// SEV, SEV-ES and SEV-SNP in Fn8000_001F EAX.
const SNP_GUEST: u32 = 1 << 1 | 1 << 3 | 1 << 4;

/// Checks a page against the processor: `processor` answers CPUID for a leaf and subleaf with EAX,
/// EBX, ECX, EDX.
///
/// # Errors
/// The first rule that is broken.
pub(crate) fn check(
    page: &CpuidPage,
    processor: impl Fn(u32, u32) -> [u32; 4],
) -> Result<(), CpuidRefusal> {
    let functions = page.functions().map_err(CpuidRefusal::Page)?;
    for (index, function) in functions.iter().enumerate() {
        let is_same = |other: &CpuidFunction| {
            (other.leaf, other.subleaf, other.xcr0_in, other.xss_in)
                == (function.leaf, function.subleaf, function.xcr0_in, function.xss_in)
        };
        if functions.iter().take(index).any(is_same) {
            return Err(CpuidRefusal::Twice(function.leaf, function.subleaf));
        }
        check_features(function, &processor)?;
        if function.leaf == LEAF_MEMORY_ENCRYPTION && function.eax & SNP_GUEST != SNP_GUEST {
            return Err(CpuidRefusal::NotSnp);
        }
    }
    page.c_bit_position().map_err(CpuidRefusal::Page)?;
    Ok(())
}

fn check_features(
    function: &CpuidFunction,
    processor: impl Fn(u32, u32) -> [u32; 4],
) -> Result<(), CpuidRefusal> {
    let (leaf, subleaf) = (function.leaf, function.subleaf);
    let rule = FEATURES.iter().find(|rule| (rule.leaf, rule.subleaf) == (leaf, subleaf));
    let Some(rule) = rule else { return Ok(()) };
    let claimed = [function.eax, function.ebx, function.ecx, function.edx];
    let real = processor(leaf, subleaf);
    let honest = claimed
        .iter()
        .zip(real)
        .zip(rule.masks)
        .all(|((claimed, real), mask)| claimed & mask & !real == 0);
    if honest { Ok(()) } else { Err(CpuidRefusal::Feature(leaf, subleaf)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    fn page(functions: &[CpuidFunction]) -> CpuidPage {
        let mut page = CpuidPage::new_zeroed();
        for function in functions {
            page.push(*function).expect("a few functions");
        }
        page
    }

    fn function(leaf: u32) -> CpuidFunction {
        CpuidFunction { leaf, ..CpuidFunction::default() }
    }

    fn encryption() -> CpuidFunction {
        CpuidFunction { eax: 0x1a, ebx: 39, ..function(LEAF_MEMORY_ENCRYPTION) }
    }

    fn processor(leaf: u32, _subleaf: u32) -> [u32; 4] {
        if leaf == 1 { [0, 0, 1, 0x200] } else { [0; 4] }
    }

    #[test]
    fn pages_that_claim_too_much_are_refused() {
        let refused = |functions: &[CpuidFunction]| check(&page(functions), processor).err();
        let avx = CpuidFunction { ecx: 1 << 28, ..function(1) };
        assert_eq!(refused(&[encryption(), avx]), Some(CpuidRefusal::Feature(1, 0)));
        let smep = CpuidFunction { ebx: 1 << 7, ..function(7) };
        assert_eq!(refused(&[encryption(), smep]), Some(CpuidRefusal::Feature(7, 0)));
        let twice = [encryption(), function(2), function(2)];
        assert_eq!(refused(&twice), Some(CpuidRefusal::Twice(2, 0)));
        let plain = CpuidFunction { eax: 2, ..encryption() };
        assert_eq!(refused(&[plain]), Some(CpuidRefusal::NotSnp));
        let no_bit = CpuidRefusal::Page(CpuidPageError::NoCBit);
        assert_eq!(refused(&[function(1)]), Some(no_bit));
        assert_eq!(refused(&[CpuidFunction { ebx: 3, ..encryption() }]), Some(no_bit));
        let reserved = CpuidFunction { reserved: 1, ..function(1) };
        assert_eq!(
            refused(&[encryption(), reserved]),
            Some(CpuidRefusal::Page(CpuidPageError::Reserved))
        );
    }

    #[test]
    fn an_honest_page_is_accepted() {
        let known = CpuidFunction { ecx: 1 | 1 << 31, edx: 0x200, ..function(1) };
        assert_eq!(check(&page(&[known, encryption()]), processor), Ok(()));
    }
}
