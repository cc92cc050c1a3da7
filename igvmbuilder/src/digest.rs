// SPDX-License-Identifier: MIT OR Apache-2.0
//! The launch digest that the firmware will arrive at. AMD 56860, 8.17 (SNP_LAUNCH_UPDATE).

use std::{collections::HashMap, fmt};

use igvm::IgvmDirectiveHeader;
use igvm_defs::IgvmPageDataType;
use sha2::{Digest as _, Sha384};
use snp_abi::{
    PAGE_SIZE,
    launch::{Digest, PageInfo, PageType},
};
use zerocopy::IntoBytes;

use crate::SNP_COMPATIBILITY;

/// A digest in the making.
#[derive(Clone, Debug)]
pub struct LaunchDigest {
    current: Digest,
}

/// A page as the launch digest sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeasuredPage {
    /// Its type.
    pub page_type: PageType,
    /// Its GPA.
    pub gpa: u64,
    /// SHA-384 of its contents; zeros for types whose contents don't count.
    pub contents: Digest,
    /// The digest with this page.
    pub digest_after: Digest,
}

/// Why a file can't be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeasureError {
    /// A page's data is longer than a page.
    PageSize(usize),
    /// A parameter area is inserted that wasn't declared.
    ParameterArea(u32),
    /// Large or shared pages, which this project doesn't use.
    PageFlags(u64),
    /// A context for another platform.
    VpContext,
}

impl fmt::Display for MeasureError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PageSize(size) => write!(formatter, "page with {size} bytes of data"),
            Self::ParameterArea(index) => write!(formatter, "no parameter area {index}"),
            Self::PageFlags(gpa) => write!(formatter, "large or shared page at {gpa:#x}"),
            Self::VpContext => write!(formatter, "a vCPU context that isn't a VMSA"),
        }
    }
}

impl std::error::Error for MeasureError {}

impl Default for LaunchDigest {
    fn default() -> Self {
        Self { current: [0; 48] }
    }
}

impl LaunchDigest {
    /// Adds a page. `data` shorter than a page is extended by zeros; it counts only for types
    /// whose contents are measured.
    ///
    /// # Errors
    /// [`MeasureError::PageSize`].
    pub fn add(
        &mut self,
        page_type: PageType,
        gpa: u64,
        data: &[u8],
    ) -> Result<MeasuredPage, MeasureError> {
        let mut page = [0; PAGE_SIZE];
        page.get_mut(..data.len()).ok_or(MeasureError::PageSize(data.len()))?.copy_from_slice(data);
        let contents = Sha384::digest(page).into();
        let info = PageInfo::new(self.current, page_type, contents, gpa);
        self.current = Sha384::digest(info.as_bytes()).into();
        Ok(MeasuredPage { page_type, gpa, contents: info.contents, digest_after: self.current })
    }

    /// The digest of everything added.
    #[must_use]
    pub const fn value(&self) -> Digest {
        self.current
    }
}

/// The launch digest of a file's directives.
///
/// # Errors
/// See [`MeasureError`].
pub fn measure(directives: &[IgvmDirectiveHeader]) -> Result<Digest, MeasureError> {
    let pages = pages(directives)?;
    Ok(pages.last().map_or(LaunchDigest::default().value(), |page| page.digest_after))
}

/// The pages of a file's directives, in the order in which they are measured.
///
/// # Errors
/// See [`MeasureError`].
pub fn pages(directives: &[IgvmDirectiveHeader]) -> Result<Vec<MeasuredPage>, MeasureError> {
    let mut pages = Vec::new();
    let mut digest = LaunchDigest::default();
    let mut area_sizes = HashMap::new();
    for directive in directives {
        let mask = directive.compatibility_mask();
        if mask.is_some_and(|mask| mask & SNP_COMPATIBILITY == 0) {
            continue;
        }
        match directive {
            IgvmDirectiveHeader::PageData { gpa, flags, data_type, data, .. } => {
                if flags.is_2mb_page() || flags.shared() {
                    return Err(MeasureError::PageFlags(*gpa));
                }
                let page_type = page_type(*data_type, flags.unmeasured());
                pages.push(digest.add(page_type, *gpa, data)?);
            }
            IgvmDirectiveHeader::ParameterArea {
                number_of_bytes, parameter_area_index, ..
            } => {
                area_sizes.insert(*parameter_area_index, *number_of_bytes);
            }
            IgvmDirectiveHeader::ParameterInsert(insert) => {
                let index = insert.parameter_area_index;
                let size = *area_sizes.get(&index).ok_or(MeasureError::ParameterArea(index))?;
                for offset in (0..size).step_by(PAGE_SIZE) {
                    let gpa = insert.gpa.wrapping_add(offset);
                    pages.push(digest.add(PageType::Unmeasured, gpa, &[])?);
                }
            }
            IgvmDirectiveHeader::SnpVpContext { gpa, vmsa, .. } => {
                pages.push(digest.add(PageType::Vmsa, *gpa, vmsa.as_bytes())?);
            }
            IgvmDirectiveHeader::X64NativeVpContext { .. }
            | IgvmDirectiveHeader::X64VbsVpContext { .. }
            | IgvmDirectiveHeader::AArch64VbsVpContext { .. }
            | IgvmDirectiveHeader::AArch64CcaVpContext { .. } => {
                return Err(MeasureError::VpContext);
            }
            _ => {}
        }
    }
    Ok(pages)
}

/// The type that the firmware gets for a page of the file.
#[must_use]
pub fn page_type(data_type: IgvmPageDataType, unmeasured: bool) -> PageType {
    match data_type {
        IgvmPageDataType::SECRETS => PageType::Secrets,
        IgvmPageDataType::CPUID_DATA | IgvmPageDataType::CPUID_XF => PageType::Cpuid,
        _ if unmeasured => PageType::Unmeasured,
        _ => PageType::Normal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_too_long_is_refused() {
        let mut digest = LaunchDigest::default();
        let refused = digest.add(PageType::Normal, 0, &[0; PAGE_SIZE + 1]);
        assert_eq!(refused, Err(MeasureError::PageSize(PAGE_SIZE + 1)));
        assert_eq!(digest.value(), [0; 48]);
    }

    #[test]
    fn an_undeclared_parameter_area_is_refused() {
        let insert = IgvmDirectiveHeader::ParameterInsert(igvm_defs::IGVM_VHS_PARAMETER_INSERT {
            gpa: 0,
            compatibility_mask: SNP_COMPATIBILITY,
            parameter_area_index: 7,
        });
        assert_eq!(measure(&[insert]), Err(MeasureError::ParameterArea(7)));
    }

    #[test]
    fn short_data_is_extended_by_zeros() {
        let mut short = LaunchDigest::default();
        let mut whole = LaunchDigest::default();
        let measured = short.add(PageType::Normal, 0x1000, &[]).expect("short enough");
        assert_eq!(whole.add(PageType::Normal, 0x1000, &[0; PAGE_SIZE]), Ok(measured));
        assert_eq!((short.value(), measured.digest_after), (whole.value(), short.value()));
        assert_ne!(measured.contents, [0; 48]);
        let mut unmeasured = LaunchDigest::default();
        let page = unmeasured.add(PageType::Unmeasured, 0x1000, &[1]).expect("short enough");
        assert_eq!(page.contents, [0; 48]);
        assert_ne!(short.value(), unmeasured.value());
    }
}
