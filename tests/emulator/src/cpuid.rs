// SPDX-License-Identifier: MIT OR Apache-2.0
//! What CPUID tells the guest: the same in the CPUID page, in the MSR protocol and in the GHCB.
//!
//! Hidden: what TCG lacks or has inconsistently (XSAVE with all that needs it), what the machine
//! has no way to follow (x2APIC, MONITOR, SVM, PCID, five-level paging, protection keys).

use snp_abi::cpuid::{CpuidFunction, CpuidPage};

use crate::fatal;
use crate::layout::C_BIT_POSITION;
use crate::processor;

const LAST_STANDARD_LEAF: u32 = 0xb;
const LAST_EXTENDED_LEAF: u32 = 0x8000_001f;
const MEMORY_ENCRYPTION: u32 = 0x8000_001f;

// Leaf 1 ECX: MONITOR, FMA, PCID, x2APIC, XSAVE, OSXSAVE, AVX, F16C; and the hypervisor's bit.
const HIDDEN_1_ECX: u32 =
    1 << 3 | 1 << 12 | 1 << 17 | 1 << 21 | 1 << 26 | 1 << 27 | 1 << 28 | 1 << 29;
const HYPERVISOR: u32 = 1 << 31;
// Leaf 7 EBX: AVX2, the AVX-512 family. ECX: PKU, OSPKE, VAES, VPCLMULQDQ, LA57.
const HIDDEN_7_EBX: u32 =
    1 << 5 | 1 << 16 | 1 << 17 | 1 << 21 | 1 << 26 | 1 << 27 | 1 << 28 | 1 << 30 | 1 << 31;
const HIDDEN_7_ECX: u32 = 1 << 3 | 1 << 4 | 1 << 9 | 1 << 10 | 1 << 16;
const SVM: u32 = 1 << 2;
const INVARIANT_TSC: u32 = 1 << 8;
const VMPLS: u32 = 4;
/// SEV, SEV-ES, SEV-SNP.
const ENCRYPTION_FEATURES: u32 = 1 << 1 | 1 << 3 | 1 << 4;

/// The four registers for a leaf and subleaf.
pub(crate) fn guest_cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
    apply_policy(leaf, processor::cpuid(leaf, subleaf))
}

fn apply_policy(leaf: u32, real: [u32; 4]) -> [u32; 4] {
    let [eax, ebx, ecx, edx] = real;
    match leaf {
        0 => [LAST_STANDARD_LEAF, ebx, ecx, edx],
        1 => [eax, ebx, ecx & !HIDDEN_1_ECX | HYPERVISOR, edx],
        7 => [eax, ebx & !HIDDEN_7_EBX, ecx & !HIDDEN_7_ECX, edx],
        // MONITOR/MWAIT; the topology leaf that TCG fills in only partly.
        5 | 0x8000_001e => [0; 4],
        0x8000_0000 => [LAST_EXTENDED_LEAF, ebx, ecx, edx],
        0x8000_0001 => [eax, ebx, ecx & !SVM, edx],
        0x8000_0007 => [eax, ebx, ecx, edx | INVARIANT_TSC],
        0x8000_0008 => [eax & !0xff | C_BIT_POSITION, ebx, ecx, edx],
        // EBX: C-bit position, no further reduction of physical addresses, number of VMPLs.
        MEMORY_ENCRYPTION => [ENCRYPTION_FEATURES, C_BIT_POSITION | VMPLS << 12, 1, 1],
        0..=LAST_STANDARD_LEAF | 0x8000_0002..=0x8000_0006 => real,
        _ => [0; 4],
    }
}

/// The page is the same for all processors: fields with an APIC id are zero, and guests ask the
/// hypervisor for them.
fn page_cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
    let [eax, ebx, ecx, edx] = guest_cpuid(leaf, subleaf);
    match leaf {
        1 => [eax, ebx & 0x00ff_ffff, ecx, edx],
        0xb => [eax, ebx, ecx, 0],
        _ => [eax, ebx, ecx, edx],
    }
}

/// Fills the CPUID page with every leaf that isn't empty.
pub(crate) fn fill_page(page: &mut CpuidPage) {
    let extended = 0x8000_0000..=0x8000_0008;
    let leaves = (0..=LAST_STANDARD_LEAF).chain(extended).chain([0x8000_001e, MEMORY_ENCRYPTION]);
    for leaf in leaves {
        let subleaves = match leaf {
            4 => 0..4,
            0xb => 0..2,
            _ => 0..1,
        };
        for subleaf in subleaves {
            let [eax, ebx, ecx, edx] = page_cpuid(leaf, subleaf);
            let function =
                CpuidFunction { leaf, subleaf, eax, ebx, ecx, edx, ..Default::default() };
            if page.push(function).is_err() {
                fatal!("the CPUID page is full");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [u32; 4] = [u32::MAX; 4];

    #[test]
    fn what_the_machine_cannot_follow_is_hidden() {
        assert_eq!(apply_policy(1, ALL)[2] & HIDDEN_1_ECX, 0);
        assert_eq!(apply_policy(7, ALL)[1] & HIDDEN_7_EBX, 0);
        assert_eq!(apply_policy(0x8000_0001, ALL)[2] & SVM, 0);
        assert_eq!(apply_policy(0xd, ALL), [0; 4], "XSAVE");
        assert_eq!(apply_policy(0x8000_000a, ALL), [0; 4], "SVM");
        assert_eq!(apply_policy(0x4000_0000, ALL), [0; 4], "no hypervisor's own leaves");
    }

    #[test]
    fn the_encryption_leaf_is_the_machines() {
        let [eax, ebx, ..] = apply_policy(MEMORY_ENCRYPTION, [0; 4]);
        assert_eq!(eax, 0x1a);
        assert_eq!(ebx & 0x3f, C_BIT_POSITION);
        assert_eq!(apply_policy(0x8000_0008, [40; 4])[0] & 0xff, C_BIT_POSITION);
    }
}
