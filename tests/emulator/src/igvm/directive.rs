// SPDX-License-Identifier: MIT OR Apache-2.0
//! Headers as what they ask for. The list is what QEMU honours for SNP.

use igvm_defs::{
    IGVM_VHS_GUEST_POLICY, IGVM_VHS_PAGE_DATA, IGVM_VHS_PARAMETER, IGVM_VHS_PARAMETER_AREA,
    IGVM_VHS_PARAMETER_INSERT, IGVM_VHS_REQUIRED_MEMORY, IGVM_VHS_SNP_ID_BLOCK,
    IGVM_VHS_VP_CONTEXT, IgvmPageDataFlags, IgvmPageDataType, IgvmVariableHeaderType as Type,
};
use snp_abi::{
    PAGE_SIZE_U64,
    launch::{PageType, VMSA_GPA},
};

use super::{IgvmError, ParameterKind, header::Header};

/// What a header asks for; addresses are page aligned.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and no heap to put it on")]
pub(super) enum Directive {
    Policy(u64),
    RequiredMemory {
        gpa: u64,
        size_bytes: u64,
    },
    /// A page; `file_offset` 0 means that it has no data.
    Page {
        gpa: u64,
        page_type: PageType,
        file_offset: u32,
    },
    /// A parameter area; `file_offset` 0 means that it starts as zeros.
    Area {
        index: u32,
        size_bytes: u64,
        file_offset: u32,
    },
    Parameter {
        kind: ParameterKind,
        index: u32,
        offset: u32,
    },
    Insert {
        index: u32,
        gpa: u64,
    },
    Context {
        file_offset: u32,
    },
    IdBlock(IGVM_VHS_SNP_ID_BLOCK),
}

impl Directive {
    /// Reads a header; `None` when it is for another platform, or was read already.
    pub(super) fn decode<E>(
        header: Header<'_>,
        compatibility: u32,
    ) -> Result<Option<Self>, IgvmError<E>> {
        let (mask, directive) = match header.kind {
            Type::IGVM_VHT_SUPPORTED_PLATFORM => return Ok(None),
            Type::IGVM_VHT_GUEST_POLICY => decode_policy(header)?,
            Type::IGVM_VHT_REQUIRED_MEMORY => decode_required_memory(header)?,
            Type::IGVM_VHT_PAGE_DATA => {
                let page: IGVM_VHS_PAGE_DATA = header.read()?;
                // Pages for other platforms may be of kinds that SNP doesn't have.
                if page.compatibility_mask & compatibility == 0 {
                    return Ok(None);
                }
                (page.compatibility_mask, decode_page(&page)?)
            }
            Type::IGVM_VHT_PARAMETER_AREA => {
                let area: IGVM_VHS_PARAMETER_AREA = header.read()?;
                let directive = Self::Area {
                    index: area.parameter_area_index,
                    size_bytes: area.number_of_bytes,
                    file_offset: area.file_offset,
                };
                (compatibility, directive)
            }
            Type::IGVM_VHT_PARAMETER_INSERT => {
                let insert: IGVM_VHS_PARAMETER_INSERT = header.read()?;
                let gpa = aligned(insert.gpa)?;
                (
                    insert.compatibility_mask,
                    Self::Insert { index: insert.parameter_area_index, gpa },
                )
            }
            Type::IGVM_VHT_VP_CONTEXT => decode_context(header)?,
            Type::IGVM_VHT_SNP_ID_BLOCK => {
                let block: IGVM_VHS_SNP_ID_BLOCK = header.read()?;
                (block.compatibility_mask, Self::IdBlock(block))
            }
            kind => {
                let kind = ParameterKind::of(kind).ok_or(IgvmError::UnknownType(header.kind.0))?;
                let parameter: IGVM_VHS_PARAMETER = header.read()?;
                let directive = Self::Parameter {
                    kind,
                    index: parameter.parameter_area_index,
                    offset: parameter.byte_offset,
                };
                (compatibility, directive)
            }
        };
        Ok((mask & compatibility != 0).then_some(directive))
    }
}

type Masked = (u32, Directive);

fn decode_policy<E>(header: Header<'_>) -> Result<Masked, IgvmError<E>> {
    let policy: IGVM_VHS_GUEST_POLICY = header.read()?;
    if policy.reserved != 0 {
        return Err(IgvmError::Reserved);
    }
    Ok((policy.compatibility_mask, Directive::Policy(policy.policy)))
}

fn decode_required_memory<E>(header: Header<'_>) -> Result<Masked, IgvmError<E>> {
    let memory: IGVM_VHS_REQUIRED_MEMORY = header.read()?;
    if memory.reserved != 0 || memory.flags.reserved() != 0 {
        return Err(IgvmError::Reserved);
    }
    let size_bytes = u64::from(memory.number_of_bytes);
    let gpa = aligned(memory.gpa)?;
    aligned(size_bytes)?;
    gpa.checked_add(size_bytes).ok_or(IgvmError::Address(gpa))?;
    Ok((memory.compatibility_mask, Directive::RequiredMemory { gpa, size_bytes }))
}

fn decode_page<E>(page: &IGVM_VHS_PAGE_DATA) -> Result<Directive, IgvmError<E>> {
    let gpa = aligned(page.gpa)?;
    let is_unmeasured = page.flags == IgvmPageDataFlags::new().with_unmeasured(true);
    if page.reserved != 0 || !(is_unmeasured || page.flags == IgvmPageDataFlags::new()) {
        return Err(IgvmError::PageKind(gpa));
    }
    let page_type = match (page.data_type, page.file_offset) {
        (IgvmPageDataType::NORMAL, _) if is_unmeasured => PageType::Unmeasured,
        // As QEMU does; other hosts load a normal page of zeros.
        (IgvmPageDataType::NORMAL, 0) => PageType::Zero,
        (IgvmPageDataType::NORMAL, _) => PageType::Normal,
        (IgvmPageDataType::SECRETS, _) => PageType::Secrets,
        (IgvmPageDataType::CPUID_DATA | IgvmPageDataType::CPUID_XF, _) => PageType::Cpuid,
        _ => return Err(IgvmError::PageKind(gpa)),
    };
    Ok(Directive::Page { gpa, page_type, file_offset: page.file_offset })
}

fn decode_context<E>(header: Header<'_>) -> Result<Masked, IgvmError<E>> {
    let context: IGVM_VHS_VP_CONTEXT = header.read()?;
    // Other processors start through AP creation; KVM knows one place for a VMSA.
    if context.vp_index != 0 || context.reserved != 0 || context.gpa.get() != VMSA_GPA {
        return Err(IgvmError::Context);
    }
    Ok((context.compatibility_mask, Directive::Context { file_offset: context.file_offset }))
}

fn aligned<E>(address: u64) -> Result<u64, IgvmError<E>> {
    if address.is_multiple_of(PAGE_SIZE_U64) {
        Ok(address)
    } else {
        Err(IgvmError::Address(address))
    }
}
