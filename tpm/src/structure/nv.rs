// SPDX-License-Identifier: MIT OR Apache-2.0
//! NV indices on the wire (Part 2, 13).

use super::buffer::Buffer;
use super::digest::Name;
use super::handle::{Handle, HandleKind};
use super::response_code::ResponseCode;
use crate::crypto::hash::{Digest, HashAlgorithm, Hasher};
use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer, wire_bits, wire_enum};

/// Octets that one NV command can carry (TPM_PT_NV_BUFFER_MAX).
pub const NV_BUFFER_SIZE_MAX: usize = 1024;
/// Octets that one index can hold (TPM_PT_NV_INDEX_MAX).
pub const NV_INDEX_SIZE_MAX: usize = 2048;
/// Octets of the longest TPMS_NV_PUBLIC.
pub const NV_PUBLIC_SIZE_MAX: usize = 4 + 2 + 4 + 2 + 64 + 2;

/// TPM2B_MAX_NV_BUFFER.
pub type NvBuffer = Buffer<NV_BUFFER_SIZE_MAX>;

wire_enum! {
    /// TPM_NT, the type of an index (Part 2, 13.2). Other values are TPM_RC_VALUE.
    NvType: u8, else VALUE {
        /// Plain data.
        Ordinary = 0x0,
        /// A counter of 8 octets.
        Counter = 0x1,
        /// 64 bits that can only be set.
        Bits = 0x2,
        /// A digest that can only be extended.
        Extend = 0x4,
        /// A counter of failed authorisations with a limit.
        PinFail = 0x8,
        /// A counter of successful authorisations with a limit.
        PinPass = 0x9,
    }
}

wire_bits! {
    /// TPMA_NV (Part 2, 13.4).
    NvAttributes: u32 {
        /// The platform may write.
        PP_WRITE = 1 << 0,
        /// The owner may write.
        OWNER_WRITE = 1 << 1,
        /// The index's own authorisation value may write.
        AUTH_WRITE = 1 << 2,
        /// The index's own policy may write.
        POLICY_WRITE = 1 << 3,
        /// The four bits of the type (TPM_NT).
        TYPE_MASK = 0xf << 4,
        /// Only a policy deletes the index (TPM2_NV_UndefineSpaceSpecial).
        POLICY_DELETE = 1 << 10,
        /// TPM2_NV_Write is denied.
        WRITE_LOCKED = 1 << 11,
        /// A partial write is not allowed.
        WRITE_ALL = 1 << 12,
        /// TPM2_NV_WriteLock locks for good.
        WRITE_DEFINE = 1 << 13,
        /// TPM2_NV_WriteLock locks until the next TPM Reset or Restart.
        WRITE_ST_CLEAR = 1 << 14,
        /// TPM2_NV_GlobalWriteLock locks the index.
        GLOBAL_LOCK = 1 << 15,
        /// The platform may read.
        PP_READ = 1 << 16,
        /// The owner may read.
        OWNER_READ = 1 << 17,
        /// The index's own authorisation value may read.
        AUTH_READ = 1 << 18,
        /// The index's own policy may read.
        POLICY_READ = 1 << 19,
        /// Not subject to dictionary-attack protection.
        NO_DA = 1 << 25,
        /// The state needs only be saved at an orderly shutdown.
        ORDERLY = 1 << 26,
        /// Written is cleared by a TPM Reset or Restart.
        CLEAR_ST_CLEAR = 1 << 27,
        /// Reads are denied until the next TPM Reset or Restart.
        READ_LOCKED = 1 << 28,
        /// The index was written.
        WRITTEN = 1 << 29,
        /// The platform defined it, and TPM2_Clear leaves it.
        PLATFORM_CREATE = 1 << 30,
        /// TPM2_NV_ReadLock is allowed.
        READ_ST_CLEAR = 1 << 31,
    }
}

impl NvAttributes {
    /// The attributes that the TPM, not the caller, sets: not part of the Name's definition.
    pub const VOLATILE: Self = Self::WRITE_LOCKED.with(Self::READ_LOCKED).with(Self::WRITTEN);

    /// The type, or `None` for a number that means nothing.
    pub fn nv_type(self) -> Option<NvType> {
        let [_, _, _, low] = self.raw().to_be_bytes();
        NvType::from_raw(low >> 4)
    }
}

/// TPMS_NV_PUBLIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NvPublic {
    /// The handle.
    pub index: Handle,
    /// The algorithm of the Name.
    pub name_algorithm: HashAlgorithm,
    /// What may be done.
    pub attributes: NvAttributes,
    /// The policy, or empty.
    pub auth_policy: Digest,
    /// Octets of data.
    pub data_size: u16,
}

impl NvPublic {
    /// The Name: algorithm and digest of the public area.
    pub fn name(&self) -> Result<Name> {
        let mut buffer = [0; NV_PUBLIC_SIZE_MAX];
        let mut writer = Writer::new(&mut buffer);
        writer.value(self)?;
        let mut hasher = Hasher::new(self.name_algorithm);
        hasher.update(writer.written());
        let mut name = Name::new(&self.name_algorithm.id().to_be_bytes())?;
        name.append(hasher.finish().as_bytes())?;
        Ok(name)
    }
}

/// The index must be an NV index (TPM_RC_VALUE), and no longer than [`NV_INDEX_SIZE_MAX`]
/// (TPM_RC_SIZE).
impl Unmarshal for NvPublic {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let index: Handle = reader.value()?;
        if index.kind() != Some(HandleKind::NvIndex) {
            return Err(ResponseCode::VALUE);
        }
        let name_algorithm = reader.value()?;
        let attributes = reader.value()?;
        let auth_policy = reader.value()?;
        let data_size = reader.value()?;
        if usize::from(data_size) > NV_INDEX_SIZE_MAX {
            return Err(ResponseCode::SIZE);
        }
        Ok(Self { index, name_algorithm, attributes, auth_policy, data_size })
    }
}

impl Marshal for NvPublic {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.index)?;
        writer.value(&self.name_algorithm)?;
        writer.value(&self.attributes)?;
        writer.value(&self.auth_policy)?;
        writer.value(&self.data_size)
    }
}

/// TPM2B_NV_PUBLIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizedNvPublic(pub NvPublic);

impl Unmarshal for SizedNvPublic {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        reader.sized_value().map(Self)
    }
}

impl Marshal for SizedNvPublic {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.sized_value(&self.0)
    }
}

/// TPM2B_NV_PUBLIC_2 (Part 2, 13.8): a public area behind the kind of its handle. Of the kinds
/// there are only ordinary indices; another one is TPM_RC_SELECTOR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NvPublic2(pub NvPublic);

/// TPM_HT_NV_INDEX.
const NV_INDEX_KIND: u8 = 0x01;

impl Unmarshal for NvPublic2 {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let mut inner = reader.sized(usize::from(u16::MAX))?;
        if inner.is_empty() {
            return Err(ResponseCode::SIZE);
        }
        if inner.value::<u8>()? != NV_INDEX_KIND {
            return Err(ResponseCode::SELECTOR);
        }
        let public = inner.value()?;
        inner.finish()?;
        Ok(Self(public))
    }
}

impl Marshal for NvPublic2 {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.sized(|inner| {
            inner.value(&NV_INDEX_KIND)?;
            inner.value(&self.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_area_is_checked() {
        let mut bytes = [0; 14];
        let mut writer = Writer::new(&mut bytes);
        let public = NvPublic {
            index: Handle(0x0100_0001),
            name_algorithm: HashAlgorithm::Sha256,
            attributes: NvAttributes::AUTH_READ.with(NvAttributes::AUTH_WRITE),
            auth_policy: Digest::EMPTY,
            data_size: 8,
        };
        writer.value(&public).unwrap();
        assert_eq!(NvPublic::unmarshal(&mut Reader::new(&bytes)), Ok(public));
        let mut wrong = bytes;
        wrong[0] = 0x81;
        assert_eq!(NvPublic::unmarshal(&mut Reader::new(&wrong)), Err(ResponseCode::VALUE));
        let mut wrong = bytes;
        wrong[12] = 0x10;
        assert_eq!(NvPublic::unmarshal(&mut Reader::new(&wrong)), Err(ResponseCode::SIZE));
        let mut wrong = bytes;
        wrong[8] = 0x01;
        assert_eq!(NvPublic::unmarshal(&mut Reader::new(&wrong)), Err(ResponseCode::RESERVED_BITS));
    }

    #[test]
    fn the_type_is_four_bits() {
        assert_eq!(NvAttributes::from_raw(0x90).unwrap().nv_type(), Some(NvType::PinPass));
        assert_eq!(NvAttributes::from_raw(0x30).unwrap().nv_type(), None);
    }
}
