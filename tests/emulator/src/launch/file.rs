// SPDX-License-Identifier: MIT OR Apache-2.0
//! The directives of an IGVM file, as `igvm_defs` describes them, for the SNP platform.

use igvm_defs::{
    IGVM_FIXED_HEADER, IGVM_MAGIC_VALUE, IGVM_VHS_PAGE_DATA, IGVM_VHS_PARAMETER,
    IGVM_VHS_PARAMETER_AREA, IGVM_VHS_PARAMETER_INSERT, IGVM_VHS_VARIABLE_HEADER,
    IGVM_VHS_VP_CONTEXT, IgvmPageDataType, IgvmVariableHeaderType,
};
use zerocopy::FromBytes;

/// A directive that changes memory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Directive {
    Page(IGVM_VHS_PAGE_DATA),
    Area(IGVM_VHS_PARAMETER_AREA),
    MemoryMap(IGVM_VHS_PARAMETER),
    ProcessorCount(IGVM_VHS_PARAMETER),
    Madt(IGVM_VHS_PARAMETER),
    Insert(IGVM_VHS_PARAMETER_INSERT),
    Context(IGVM_VHS_VP_CONTEXT),
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileError {
    Header,
    Truncated,
    UnknownDirective(u32),
    PageType(u16),
    PageOverlaps(u64),
    Area(u32),
    ParameterTooLong(u32),
    NotMemory(u64),
}

/// Calls `sink` for each directive, in the file's order.
pub(super) fn read(
    file: &[u8],
    mut sink: impl FnMut(Directive) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let (header, _) = IGVM_FIXED_HEADER::read_from_prefix(file).map_err(|_| FileError::Header)?;
    if header.magic != IGVM_MAGIC_VALUE || header.format_version != 1 {
        return Err(FileError::Header);
    }
    let first = header.variable_header_offset as usize;
    let mut rest = first
        .checked_add(header.variable_header_size as usize)
        .and_then(|end| file.get(first..end))
        .ok_or(FileError::Truncated)?;
    while !rest.is_empty() {
        let (variable, body) =
            IGVM_VHS_VARIABLE_HEADER::read_from_prefix(rest).map_err(|_| FileError::Truncated)?;
        let length = variable.length as usize;
        let content = body.get(..length).ok_or(FileError::Truncated)?;
        if let Some(directive) = decode(variable.typ, content)? {
            sink(directive)?;
        }
        rest = body.get(length.next_multiple_of(8)..).unwrap_or(&[]);
    }
    Ok(())
}

fn decode(
    kind: IgvmVariableHeaderType,
    content: &[u8],
) -> Result<Option<Directive>, FileError> {
    fn body<T: FromBytes>(content: &[u8]) -> Result<T, FileError> {
        T::read_from_prefix(content).map(|(value, _)| value).map_err(|_| FileError::Truncated)
    }
    Ok(Some(match kind {
        IgvmVariableHeaderType::IGVM_VHT_PAGE_DATA => Directive::Page(body(content)?),
        IgvmVariableHeaderType::IGVM_VHT_PARAMETER_AREA => Directive::Area(body(content)?),
        IgvmVariableHeaderType::IGVM_VHT_PARAMETER_INSERT => Directive::Insert(body(content)?),
        IgvmVariableHeaderType::IGVM_VHT_MEMORY_MAP => Directive::MemoryMap(body(content)?),
        IgvmVariableHeaderType::IGVM_VHT_VP_COUNT_PARAMETER => {
            Directive::ProcessorCount(body(content)?)
        }
        IgvmVariableHeaderType::IGVM_VHT_MADT => Directive::Madt(body(content)?),
        IgvmVariableHeaderType::IGVM_VHT_VP_CONTEXT => Directive::Context(body(content)?),
        IgvmVariableHeaderType::IGVM_VHT_SUPPORTED_PLATFORM
        | IgvmVariableHeaderType::IGVM_VHT_GUEST_POLICY
        | IgvmVariableHeaderType::IGVM_VHT_REQUIRED_MEMORY
        | IgvmVariableHeaderType::IGVM_VHT_SNP_ID_BLOCK => return Ok(None),
        kind if kind.0 & igvm_defs::IGVM_VHT_OPTIONAL_BIT != 0 => return Ok(None),
        kind => return Err(FileError::UnknownDirective(kind.0)),
    }))
}

/// The kinds of pages an SNP launch knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageKind {
    Normal,
    Secrets,
    Cpuid,
}

pub(super) fn page_kind(page: &IGVM_VHS_PAGE_DATA) -> Result<PageKind, FileError> {
    match page.data_type {
        IgvmPageDataType::NORMAL => Ok(PageKind::Normal),
        IgvmPageDataType::SECRETS => Ok(PageKind::Secrets),
        IgvmPageDataType::CPUID_DATA => Ok(PageKind::Cpuid),
        IgvmPageDataType(kind) => Err(FileError::PageType(kind)),
    }
}
