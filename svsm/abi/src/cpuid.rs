// SPDX-License-Identifier: MIT OR Apache-2.0
//! The CPUID page that the firmware checks and measures the place of. AMD 56860, 8.17.2.6
//! (SNP_LAUNCH_UPDATE, PAGE_TYPE_CPUID) and table "CPUID_FUNCTION".

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most functions a CPUID page can hold.
pub const MAX_FUNCTIONS: usize = 64;
/// The leaf that carries the C-bit's position in EBX `[5:0]` and SVSM presence in EAX `[28]`.
pub const LEAF_MEMORY_ENCRYPTION: u32 = 0x8000_001f;
/// Bit of Fn8000_001F EAX: an SVSM is present.
pub const SVSM_PRESENT: u32 = 1 << 28;

/// One CPUID function and its result.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct CpuidFunction {
    /// EAX in: the leaf.
    pub leaf: u32,
    /// ECX in: the subleaf.
    pub subleaf: u32,
    /// XCR0 the result was taken with.
    pub xcr0_in: u64,
    /// IA32_XSS the result was taken with.
    pub xss_in: u64,
    /// EAX out.
    pub eax: u32,
    /// EBX out.
    pub ebx: u32,
    /// ECX out.
    pub ecx: u32,
    /// EDX out.
    pub edx: u32,
    /// Reserved.
    pub reserved: u64,
}

/// The page: a count, then that many functions.
#[repr(C)]
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CpuidPage {
    /// Functions in use.
    pub count: u32,
    /// Reserved.
    pub reserved_04: u32,
    /// Reserved.
    pub reserved_08: u64,
    /// The functions.
    pub functions: [CpuidFunction; MAX_FUNCTIONS],
    /// Reserved.
    pub reserved_c10: [u8; 0x3f0],
}

assert_layout!(CpuidFunction, size 48, leaf: 0, subleaf: 4, xcr0_in: 8, xss_in: 16, eax: 24,
    ebx: 28, ecx: 32, edx: 36, reserved: 40);
assert_layout!(CpuidPage, size 0x1000, count: 0, functions: 16, reserved_c10: 0xc10);

/// What is wrong with a CPUID page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuidPageError {
    /// The count is above [`MAX_FUNCTIONS`].
    TooMany(u32),
    /// A reserved field isn't zero.
    Reserved,
    /// The page has no Fn8000_001F, or its C-bit position can't be one (below 32 or above 51).
    NoCBit,
    /// One more function doesn't fit.
    Full,
}

impl CpuidPage {
    /// Checks the page's structure.
    ///
    /// # Errors
    /// [`CpuidPageError::TooMany`] or [`CpuidPageError::Reserved`].
    pub fn functions(&self) -> Result<&[CpuidFunction], CpuidPageError> {
        let functions = usize::try_from(self.count)
            .ok()
            .and_then(|count| self.functions.get(..count))
            .ok_or(CpuidPageError::TooMany(self.count))?;
        if self.reserved_04 != 0
            || self.reserved_08 != 0
            || functions.iter().any(|function| function.reserved != 0)
        {
            return Err(CpuidPageError::Reserved);
        }
        Ok(functions)
    }

    /// Adds a function.
    ///
    /// # Errors
    /// [`CpuidPageError::Full`] beyond [`MAX_FUNCTIONS`].
    pub fn push(&mut self, function: CpuidFunction) -> Result<(), CpuidPageError> {
        let index = usize::try_from(self.count).map_err(|_| CpuidPageError::Full)?;
        *self.functions.get_mut(index).ok_or(CpuidPageError::Full)? = function;
        self.count = self.count.wrapping_add(1);
        Ok(())
    }

    /// The function for a leaf and subleaf. Leaf 0xD also depends on XCR0 and XSS: the caller looks
    /// through [`Self::functions`] for those.
    #[must_use]
    pub fn find(&self, leaf: u32, subleaf: u32) -> Option<&CpuidFunction> {
        self.functions()
            .ok()?
            .iter()
            .find(|function| function.leaf == leaf && function.subleaf == subleaf)
    }

    /// The bit that marks a private page in page table entries.
    ///
    /// # Errors
    /// The page is malformed, or has no plausible position.
    pub fn c_bit_position(&self) -> Result<u32, CpuidPageError> {
        let position = self
            .functions()?
            .iter()
            .find(|function| function.leaf == LEAF_MEMORY_ENCRYPTION)
            .ok_or(CpuidPageError::NoCBit)?
            .ebx
            & 0x3f;
        if (32..=51).contains(&position) { Ok(position) } else { Err(CpuidPageError::NoCBit) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    #[test]
    fn a_malformed_page_is_refused() {
        let mut page = CpuidPage::new_zeroed();
        page.count = 65;
        assert_eq!(page.functions(), Err(CpuidPageError::TooMany(65)));
        page.count = u32::MAX;
        assert_eq!(page.functions(), Err(CpuidPageError::TooMany(u32::MAX)));
        page.count = 1;
        page.functions[0].reserved = 1;
        assert_eq!(page.functions(), Err(CpuidPageError::Reserved));
        page.functions[0].reserved = 0;
        assert_eq!(page.c_bit_position(), Err(CpuidPageError::NoCBit));
    }

    #[test]
    fn the_c_bit_must_be_plausible() {
        let mut page = CpuidPage::new_zeroed();
        for (ebx, expected) in [
            (39 | 1 << 31, Ok(39)),
            (51, Ok(51)),
            (52, Err(CpuidPageError::NoCBit)),
            (12, Err(CpuidPageError::NoCBit)),
        ] {
            page.count = 0;
            let function =
                CpuidFunction { leaf: LEAF_MEMORY_ENCRYPTION, ebx, ..CpuidFunction::default() };
            assert_eq!(page.push(function), Ok(()));
            assert_eq!(page.c_bit_position(), expected);
        }
    }

    #[test]
    fn the_65th_function_does_not_fit() {
        let mut page = CpuidPage::new_zeroed();
        for leaf in 0..64 {
            assert_eq!(page.push(CpuidFunction { leaf, ..CpuidFunction::default() }), Ok(()));
        }
        assert_eq!(page.push(CpuidFunction::default()), Err(CpuidPageError::Full));
        assert_eq!(page.find(63, 0).map(|function| function.leaf), Some(63));
        assert_eq!(page.find(63, 1), None);
    }
}
