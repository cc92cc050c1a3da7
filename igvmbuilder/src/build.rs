// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes the IGVM file. Format: the `igvm_defs` crate; what QEMU 10.1 and later honour of it:
//! QEMU, `docs/system/igvm.rst`.

use std::{fmt, ops::Range};

use igvm::{
    IgvmDirectiveHeader, IgvmFile, IgvmInitializationHeader, IgvmPlatformHeader, IgvmRevision,
    snp_defs::SevVmsa,
};
use igvm_defs::{
    IGVM_SEV_SNP_PLATFORM_VERSION, IGVM_VHS_PARAMETER, IGVM_VHS_PARAMETER_INSERT,
    IGVM_VHS_SUPPORTED_PLATFORM, IgvmPageDataFlags, IgvmPageDataType, IgvmPlatformType,
};
use sha2::{Digest, Sha384};
use snp_abi::{
    PAGE_SIZE_U64, Vmpl,
    config::{
        Arguments, CONFIG_OFFSET, CPUID_OFFSET, Console, IMAGE_OFFSET, LaunchConfig, LaunchFlags,
        MADT_OFFSET, MEMORY_MAP_OFFSET, PayloadDigest, REGION_BASE, REGION_SIZE, SECRETS_OFFSET,
        VP_COUNT_OFFSET,
    },
    launch::{GuestPolicy, VMSA_GPA},
    state_key::PublicKey,
    vmsa::{SevFeatures, Vmsa},
};
use zerocopy::{FromBytes, IntoBytes};

use crate::{
    SNP_COMPATIBILITY,
    image::{Image, ImageError},
};

/// What a file is built from.
#[derive(Clone, Debug)]
pub struct Input {
    /// The SVSM's ELF image.
    pub image: Vec<u8>,
    /// The Linux kernel that may be booted.
    pub kernel: Option<Vec<u8>>,
    /// The initial RAM disk that may be used.
    pub initrd: Option<Vec<u8>>,
    /// The command line that may be used.
    pub cmdline: Option<Vec<u8>>,
    /// Text for test payloads.
    pub arguments: String,
    /// The guest policy.
    pub policy: u64,
    /// Where the SVSM logs.
    pub console: Console,
    /// Options for the SVSM.
    pub flags: LaunchFlags,
    /// Who gives the key for the TPM's state; `None`: the platform's firmware.
    pub state_owner: Option<PublicKey>,
}

/// Why a file can't be built.
#[derive(Debug)]
pub enum BuildError {
    /// The image can't be used.
    Image(ImageError),
    /// The policy has a bit that firmware refuses.
    Policy(u64),
    /// The arguments are too long or contain NUL.
    Arguments,
    /// The `igvm` crate refuses the file.
    Igvm(igvm::Error),
    /// A structure doesn't have the size it must have: a fault of this program.
    Layout,
}

impl fmt::Display for BuildError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(error) => write!(formatter, "image: {error}"),
            Self::Policy(policy) => write!(
                formatter,
                "policy {policy:#x}: bit 17 must be set, and no bit that isn't defined"
            ),
            Self::Arguments => write!(formatter, "arguments: at most 511 bytes without NUL"),
            Self::Igvm(error) => write!(formatter, "IGVM: {error}"),
            Self::Layout => write!(formatter, "a VMSA of the igvm crate isn't one of ours"),
        }
    }
}

impl std::error::Error for BuildError {}

/// Builds the file.
///
/// # Errors
/// See [`BuildError`].
pub fn build(input: &Input) -> Result<Vec<u8>, BuildError> {
    let policy = GuestPolicy::parse(input.policy).ok_or(BuildError::Policy(input.policy))?;
    let image = Image::from_elf(&input.image, image_place()).map_err(BuildError::Image)?;
    let config = launch_config(input, policy, &image)?;
    let mut directives = fixed_directives(&config);
    directives.extend(image.pages().map(|(gpa, page)| data_page(gpa, page.to_vec())));
    // Last, since hosts differ in when they measure it: QEMU leaves that to the firmware.
    directives.push(vp_context(&image)?);
    serialize(policy, directives).map_err(BuildError::Igvm)
}

/// Where an image may lie.
#[must_use]
pub const fn image_place() -> Range<u64> {
    REGION_BASE + IMAGE_OFFSET..REGION_BASE + REGION_SIZE
}

fn launch_config(
    input: &Input,
    guest_policy: GuestPolicy,
    image: &Image,
) -> Result<LaunchConfig, BuildError> {
    Ok(LaunchConfig {
        flags: input.flags,
        region_base: REGION_BASE,
        region_size: REGION_SIZE,
        image_start: image.range.start,
        image_end: image.range.end,
        guest_policy,
        console: input.console,
        guest_vmpl: Vmpl::Vmpl2,
        kernel: input.kernel.as_deref().map(payload_digest),
        initrd: input.initrd.as_deref().map(payload_digest),
        cmdline: input.cmdline.as_deref().map(payload_digest),
        arguments: Arguments::new(&input.arguments).ok_or(BuildError::Arguments)?,
        state_owner: input.state_owner,
    })
}

fn payload_digest(file: &[u8]) -> PayloadDigest {
    PayloadDigest { length: file.len() as u64, digest: Sha384::digest(file).into() }
}

/// A parameter that the host fills in.
struct Parameter {
    area: u32,
    offset: u64,
    directive: fn(IGVM_VHS_PARAMETER) -> IgvmDirectiveHeader,
}

const PARAMETERS: [Parameter; 3] = [
    Parameter { area: 0, offset: MEMORY_MAP_OFFSET, directive: IgvmDirectiveHeader::MemoryMap },
    Parameter { area: 1, offset: VP_COUNT_OFFSET, directive: IgvmDirectiveHeader::VpCount },
    Parameter { area: 2, offset: MADT_OFFSET, directive: IgvmDirectiveHeader::Madt },
];

/// Everything in front of the image.
fn fixed_directives(config: &LaunchConfig) -> Vec<IgvmDirectiveHeader> {
    let mut directives = vec![required_memory()];
    for Parameter { area, directive, .. } in PARAMETERS {
        directives.push(IgvmDirectiveHeader::ParameterArea {
            number_of_bytes: PAGE_SIZE_U64,
            parameter_area_index: area,
            initial_data: Vec::new(),
        });
        directives
            .push(directive(IGVM_VHS_PARAMETER { parameter_area_index: area, byte_offset: 0 }));
    }
    directives.push(data_page(REGION_BASE + CONFIG_OFFSET, config.to_page().as_bytes().to_vec()));
    directives.push(filled_page(REGION_BASE + CPUID_OFFSET, IgvmPageDataType::CPUID_DATA));
    directives.push(filled_page(REGION_BASE + SECRETS_OFFSET, IgvmPageDataType::SECRETS));
    for Parameter { area, offset, .. } in PARAMETERS {
        directives.push(IgvmDirectiveHeader::ParameterInsert(IGVM_VHS_PARAMETER_INSERT {
            gpa: REGION_BASE + offset,
            compatibility_mask: SNP_COMPATIBILITY,
            parameter_area_index: area,
        }));
    }
    directives
}

/// The whole region must be RAM.
fn required_memory() -> IgvmDirectiveHeader {
    IgvmDirectiveHeader::RequiredMemory {
        gpa: REGION_BASE,
        compatibility_mask: SNP_COMPATIBILITY,
        number_of_bytes: REGION_BYTES,
        vtl2_protectable: false,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "checked just before")]
const REGION_BYTES: u32 = {
    assert!(REGION_SIZE <= u32::MAX as u64);
    REGION_SIZE as u32
};

/// A measured page. A page of zeros has data like any other: without data, QEMU loads it with the
/// firmware's zero page type and other hosts as a normal page, and the launch digest would depend
/// on the host. The format stores equal pages once.
fn data_page(gpa: u64, data: Vec<u8>) -> IgvmDirectiveHeader {
    page(gpa, IgvmPageDataType::NORMAL, data)
}

/// A page that the firmware fills in.
fn filled_page(gpa: u64, data_type: IgvmPageDataType) -> IgvmDirectiveHeader {
    page(gpa, data_type, Vec::new())
}

fn page(gpa: u64, data_type: IgvmPageDataType, data: Vec<u8>) -> IgvmDirectiveHeader {
    IgvmDirectiveHeader::PageData {
        gpa,
        compatibility_mask: SNP_COMPATIBILITY,
        flags: IgvmPageDataFlags::new(),
        data_type,
        data,
    }
}

fn vp_context(image: &Image) -> Result<IgvmDirectiveHeader, BuildError> {
    let vmsa = Vmsa::unpaged_32(image.entry_gpa, SevFeatures::SNP_ACTIVE);
    let (vmsa, _) = SevVmsa::read_from_prefix(vmsa.as_bytes()).map_err(|_| BuildError::Layout)?;
    Ok(IgvmDirectiveHeader::SnpVpContext {
        gpa: VMSA_GPA,
        compatibility_mask: SNP_COMPATIBILITY,
        vp_index: 0,
        vmsa: Box::new(vmsa),
    })
}

fn serialize(
    policy: GuestPolicy,
    directives: Vec<IgvmDirectiveHeader>,
) -> Result<Vec<u8>, igvm::Error> {
    let platform = IgvmPlatformHeader::SupportedPlatform(IGVM_VHS_SUPPORTED_PLATFORM {
        compatibility_mask: SNP_COMPATIBILITY,
        highest_vtl: 0,
        platform_type: IgvmPlatformType::SEV_SNP,
        platform_version: IGVM_SEV_SNP_PLATFORM_VERSION,
        shared_gpa_boundary: 0,
    });
    let policy = IgvmInitializationHeader::GuestPolicy {
        policy: policy.bits(),
        compatibility_mask: SNP_COMPATIBILITY,
    };
    let file = IgvmFile::new(IgvmRevision::V1, vec![platform], vec![policy], directives)?;
    let mut bytes = Vec::new();
    file.serialize(&mut bytes)?;
    Ok(bytes)
}
