// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attestation structures (Part 2, 10.12): what a signing key says of the TPM's state.

use super::algorithm::AlgorithmId;
use super::clock::{ClockInfo, TimeInfo};
use super::digest::{Data, Name};
use super::nv::NvBuffer;
use super::pcr_selection::PcrSelectionList;
use super::tag::StructureTag;
use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::wire::{Marshal, Result, Writer};

/// TPM_GENERATED_VALUE: no other structure that a restricted key signs begins with it.
pub const GENERATED_VALUE: u32 = 0xff54_4347;

/// Octets of the longest marshalled attestation: that of NV contents.
pub const ATTEST_SIZE_MAX: usize = 1024 + 512;

/// TPMU_ATTEST with its selector.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is no heap to put NV contents on")]
pub enum Attested {
    /// An object: Name and Qualified Name.
    Certify(Name, Name),
    /// An object's creation: its Name and the digest of its creation data.
    Creation(Name, Digest),
    /// PCRs: which, and their digest.
    Quote(PcrSelectionList, Digest),
    /// Commands: audit counter, digest algorithm, audit digest, digest of the command list.
    CommandAudit(u64, HashAlgorithm, Digest, Digest),
    /// A session: whether exclusive, and its audit digest.
    SessionAudit(bool, Digest),
    /// The time, and the firmware's version.
    Time(TimeInfo, u64),
    /// NV contents: Name of the index, offset, data.
    Nv(Name, u16, NvBuffer),
    /// Digest of NV contents: Name of the index, digest.
    NvDigest(Name, Digest),
}

impl Attested {
    const fn tag(&self) -> StructureTag {
        match self {
            Self::Certify(..) => StructureTag::AttestCertify,
            Self::Creation(..) => StructureTag::AttestCreation,
            Self::Quote(..) => StructureTag::AttestQuote,
            Self::CommandAudit(..) => StructureTag::AttestCommandAudit,
            Self::SessionAudit(..) => StructureTag::AttestSessionAudit,
            Self::Time(..) => StructureTag::AttestTime,
            Self::Nv(..) => StructureTag::AttestNv,
            Self::NvDigest(..) => StructureTag::AttestNvDigest,
        }
    }
}

impl Marshal for Attested {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        match self {
            Self::Certify(name, qualified_name) => {
                writer.value(name)?;
                writer.value(qualified_name)
            }
            Self::Creation(name, digest) | Self::NvDigest(name, digest) => {
                writer.value(name)?;
                writer.value(digest)
            }
            Self::Quote(selection, digest) => {
                writer.value(selection)?;
                writer.value(digest)
            }
            Self::CommandAudit(counter, algorithm, digest, commands) => {
                writer.value(counter)?;
                writer.value(&AlgorithmId(algorithm.id()))?;
                writer.value(digest)?;
                writer.value(commands)
            }
            Self::SessionAudit(exclusive, digest) => {
                writer.value(exclusive)?;
                writer.value(digest)
            }
            Self::Time(time, firmware_version) => {
                writer.value(time)?;
                writer.value(firmware_version)
            }
            Self::Nv(name, offset, data) => {
                writer.value(name)?;
                writer.value(offset)?;
                writer.value(data)
            }
        }
    }
}

/// TPMS_ATTEST.
#[derive(Clone, Debug)]
pub struct Attest {
    /// Qualified Name of the signing key.
    pub qualified_signer: Name,
    /// What the caller wanted to be signed with it.
    pub extra_data: Data,
    /// Clock, perhaps obfuscated.
    pub clock: ClockInfo,
    /// Firmware version, perhaps obfuscated.
    pub firmware_version: u64,
    /// What is attested.
    pub attested: Attested,
}

impl Marshal for Attest {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&GENERATED_VALUE)?;
        writer.value(&self.attested.tag())?;
        writer.value(&self.qualified_signer)?;
        writer.value(&self.extra_data)?;
        writer.value(&self.clock)?;
        writer.value(&self.firmware_version)?;
        writer.value(&self.attested)
    }
}
