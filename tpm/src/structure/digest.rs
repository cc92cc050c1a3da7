// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hash algorithms, digests and lists of them on the wire (Part 2, 9.32, 10.3, 10.4, 10.9).

use super::algorithm::AlgorithmId;
use super::buffer::Buffer;
use super::response_code::ResponseCode;
use crate::crypto::hash::{DIGEST_SIZE_MAX, Digest, HashAlgorithm};
use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer};

/// TPM2B_AUTH: an authorisation value, as long as a digest at most.
pub type Auth = Buffer<DIGEST_SIZE_MAX>;
/// TPM2B_NONCE.
pub type Nonce = Buffer<DIGEST_SIZE_MAX>;
/// TPM2B_NAME: the algorithm and digest of a public area, or a handle, or nothing.
pub type Name = Buffer<{ DIGEST_SIZE_MAX + 2 }>;
/// TPM2B_DATA: as long as a TPMT_HA at most.
pub type Data = Buffer<{ DIGEST_SIZE_MAX + 2 }>;
/// TPM2B_MAX_BUFFER (TPM_PT_INPUT_BUFFER octets).
pub type MaxBuffer = Buffer<1024>;
/// TPM2B_EVENT.
pub type Event = Buffer<1024>;

/// Entries that a TPML_DIGEST may have (Part 2, 10.9.4).
pub const DIGEST_LIST_MAX: usize = 8;

/// TPMI_ALG_HASH: anything else is TPM_RC_HASH.
impl Unmarshal for HashAlgorithm {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        Self::from_id(reader.value()?).ok_or(ResponseCode::HASH)
    }
}

impl Marshal for HashAlgorithm {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.id())
    }
}

/// TPMI_ALG_HASH+.
impl Unmarshal for Option<HashAlgorithm> {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        match reader.value()? {
            AlgorithmId::NULL => Ok(None),
            AlgorithmId(id) => HashAlgorithm::from_id(id).map(Some).ok_or(ResponseCode::HASH),
        }
    }
}

impl Marshal for Option<HashAlgorithm> {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.map_or(AlgorithmId::NULL.0, HashAlgorithm::id))
    }
}

/// TPM2B_DIGEST.
impl Unmarshal for Digest {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let bytes = reader.sized(DIGEST_SIZE_MAX)?;
        Self::from_slice(bytes.rest()).map_err(|_| ResponseCode::SIZE)
    }
}

impl Marshal for Digest {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.sized_bytes(self.as_bytes())
    }
}

/// TPMT_HA: a hash algorithm and its digest, without a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaggedDigest {
    /// The algorithm.
    pub algorithm: HashAlgorithm,
    /// A digest of exactly that algorithm's size.
    pub digest: Digest,
}

impl TaggedDigest {
    fn of(algorithm: HashAlgorithm, reader: &mut Reader<'_>) -> Result<Self> {
        let digest = Digest::from_slice(reader.take(algorithm.digest_size())?)
            .map_err(|_| ResponseCode::SIZE)?;
        Ok(Self { algorithm, digest })
    }
}

impl Unmarshal for TaggedDigest {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let algorithm = reader.value()?;
        Self::of(algorithm, reader)
    }
}

impl Marshal for TaggedDigest {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.algorithm)?;
        writer.bytes(self.digest.as_bytes())
    }
}

/// A list of at most `N` values with a u32 count (TPML); more are TPM_RC_SIZE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T, const N: usize> {
    count: usize,
    entries: [T; N],
}

impl<T: Copy, const N: usize> List<T, N> {
    /// An empty list; `fill` is what stands in its unused places.
    pub const fn new(fill: T) -> Self {
        Self { count: 0, entries: [fill; N] }
    }

    /// Appends an entry, or TPM_RC_SIZE.
    pub fn push(&mut self, entry: T) -> Result<()> {
        *self.entries.get_mut(self.count).ok_or(ResponseCode::SIZE)? = entry;
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// The entries.
    pub fn as_slice(&self) -> &[T] {
        self.entries.get(..self.count).unwrap_or_default()
    }

    /// The entries, to be changed.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        self.entries.get_mut(..self.count).unwrap_or_default()
    }

    /// Reads a list.
    pub fn read(reader: &mut Reader<'_>, fill: T) -> Result<Self>
    where
        T: Unmarshal,
    {
        let count: u32 = reader.value()?;
        if usize::try_from(count).map_or(true, |count| count > N) {
            return Err(ResponseCode::SIZE);
        }
        let mut list = Self::new(fill);
        for _ in 0..count {
            list.push(reader.value()?)?;
        }
        Ok(list)
    }
}

impl<T: Copy, const N: usize> core::ops::Deref for List<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T: Copy + Marshal, const N: usize> Marshal for List<T, N> {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        let count = u32::try_from(self.count).map_err(|_| ResponseCode::FAILURE)?;
        writer.value(&count)?;
        self.as_slice().iter().try_for_each(|entry| writer.value(entry))
    }
}

/// TPML_DIGEST.
pub type DigestList = List<Digest, DIGEST_LIST_MAX>;

impl Unmarshal for DigestList {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        Self::read(reader, Digest::EMPTY)
    }
}

/// TPML_DIGEST_VALUES (Part 2, 10.9.5): at most one entry for each hash algorithm. What Part 3
/// says of PCR_Extend holds for it: an unknown algorithm in it is TPM_RC_HASH.
pub type DigestValues = List<TaggedDigest, { HashAlgorithm::ALL.len() }>;

/// What stands in the unused places of a [`DigestValues`].
pub const NO_TAGGED_DIGEST: TaggedDigest =
    TaggedDigest { algorithm: HashAlgorithm::Sha256, digest: Digest::EMPTY };

impl Unmarshal for DigestValues {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        Self::read(reader, NO_TAGGED_DIGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_hashes_and_long_digests_are_refused() {
        let mut reader = Reader::new(&[0, 0x10]);
        assert_eq!(HashAlgorithm::unmarshal(&mut reader), Err(ResponseCode::HASH));
        assert_eq!(Option::<HashAlgorithm>::unmarshal(&mut Reader::new(&[0, 0x10])), Ok(None));
        let mut long = [0; 67];
        long[1] = 65;
        assert_eq!(Digest::unmarshal(&mut Reader::new(&long)), Err(ResponseCode::SIZE));
        let list = DigestList::unmarshal(&mut Reader::new(&[0, 0, 0, 9]));
        assert_eq!(list, Err(ResponseCode::SIZE));
        let list = DigestValues::unmarshal(&mut Reader::new(&[0, 0, 0, 1, 0, 4, 1]));
        assert_eq!(list, Err(ResponseCode::INSUFFICIENT));
    }
}
