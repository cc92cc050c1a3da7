// SPDX-License-Identifier: MIT OR Apache-2.0
//! Protected storage (Part 1, 22 to 24): sensitive areas and credentials, encrypted in CFB mode and
//! authenticated by an HMAC, both keyed from a seed; and the inner wrapper of duplicates.
//!
//! ```text
//! child      = integrity (TPM2B)  iv (TPM2B)  encrypted       keyed by the parent's seed
//! outer      = integrity (TPM2B)  encrypted                   keyed by a shared secret; iv is zero
//! inner      = encrypted (digest (TPM2B)  sensitive (TPM2B))  under the key of the duplicate
//! ```

use zeroize::Zeroizing;

use crate::crypto::hash::{DIGEST_SIZE_MAX, Digest, HashAlgorithm};
use crate::crypto::hmac::Hmac;
use crate::crypto::kdf::kdfa;
use crate::crypto::symmetric::{BlockCipher, SymmetricAlgorithm, SymmetricMode};
use crate::pipeline::Context;
use crate::state::object::Object;
use crate::structure::buffer::Buffer;
use crate::structure::digest::Name;
use crate::structure::public::Public;
use crate::structure::response_code::ResponseCode;
use crate::structure::sensitive::{Private, Sensitive};
use crate::structure::symmetric::CipherDefinition;
use crate::wire::{Reader, Result, Unmarshal};

const BLOCK_SIZE: usize = 16;
const KEY_SIZE_MAX: usize = 32;

/// What protects: the algorithms of a parent's public area, and a seed.
pub struct Protection<'a> {
    hash: HashAlgorithm,
    cipher: CipherDefinition,
    seed: &'a [u8],
}

impl<'a> Protection<'a> {
    /// The algorithms of `parent` with its own seed or a shared one. TPM_RC_TYPE if it has none.
    pub fn new(parent: &Public, seed: &'a [u8]) -> Result<Self> {
        let hash = parent.name_algorithm.ok_or(ResponseCode::TYPE)?;
        let cipher = parent.parameters.symmetric().ok_or(ResponseCode::TYPE)?;
        Ok(Self { hash, cipher, seed })
    }

    /// Encrypts or decrypts in place under the key that belongs to a Name.
    fn apply(
        &self,
        name: &[u8],
        iv: [u8; BLOCK_SIZE],
        data: &mut [u8],
        is_encryption: bool,
    ) -> Result<()> {
        let mut key = Zeroizing::new([0; KEY_SIZE_MAX]);
        let key = key.get_mut(..self.cipher.key_size()).ok_or(ResponseCode::FAILURE)?;
        let bits = u32::from(self.cipher.key_bits);
        kdfa(self.hash, self.seed, b"STORAGE", name, &[], bits, key)?;
        apply_cfb(self.cipher, key, iv, data, is_encryption)
    }

    /// The HMAC over `parts`.
    fn integrity(&self, parts: &[&[u8]]) -> Result<Digest> {
        let mut key = Zeroizing::new([0; DIGEST_SIZE_MAX]);
        let size = self.hash.digest_size();
        let key = key.get_mut(..size).ok_or(ResponseCode::FAILURE)?;
        let bits = u32::try_from(size.saturating_mul(8)).map_err(|_| ResponseCode::FAILURE)?;
        kdfa(self.hash, self.seed, b"INTEGRITY", &[], &[], bits, key)?;
        Ok(Hmac::mac(self.hash, key, parts))
    }

    /// The outer wrapper around `data`; TPM_RC_SIZE if both together are longer than a private area
    /// can be.
    pub fn wrap(&self, name: &Name, data: &[u8]) -> Result<Private> {
        let mut encrypted = Private::new(data)?;
        self.apply(name, [0; BLOCK_SIZE], encrypted.as_mut_slice(), true)?;
        let integrity = self.integrity(&[&encrypted, name])?;
        let size = u16::try_from(integrity.len()).map_err(|_| ResponseCode::FAILURE)?;
        let mut wrapped = Private::new(&size.to_be_bytes())?;
        wrapped.append(&integrity)?;
        wrapped.append(&encrypted)?;
        Ok(wrapped)
    }

    /// What is in an outer wrapper; TPM_RC_INTEGRITY if it isn't from this seed, for this Name.
    pub fn unwrap(&self, name: &Name, wrapped: &[u8]) -> Result<Private> {
        let mut reader = Reader::new(wrapped);
        let integrity: Digest = reader.value()?;
        if self.integrity(&[reader.rest(), name])? != integrity {
            return Err(ResponseCode::INTEGRITY);
        }
        let mut data = Private::new(reader.rest())?;
        self.apply(name, [0; BLOCK_SIZE], data.as_mut_slice(), false)?;
        Ok(data)
    }
}

fn apply_cfb(
    definition: CipherDefinition,
    key: &[u8],
    mut iv: [u8; BLOCK_SIZE],
    data: &mut [u8],
    is_encryption: bool,
) -> Result<()> {
    let algorithm = SymmetricAlgorithm::from_id(definition.cipher.raw());
    let cipher = BlockCipher::new(algorithm.ok_or(ResponseCode::SYMMETRIC)?, key)
        .map_err(|_| ResponseCode::SYMMETRIC)?;
    if is_encryption {
        cipher.encrypt(SymmetricMode::Cfb, &mut iv, data)?;
    } else {
        cipher.decrypt(SymmetricMode::Cfb, &mut iv, data)?;
    }
    Ok(())
}

fn parent_protection(parent: &Object) -> Result<Protection<'_>> {
    let sensitive = parent.sensitive.as_ref().ok_or(ResponseCode::TYPE)?;
    Protection::new(&parent.public, &sensitive.seed)
}

/// The private area of a child: its sensitive area, wrapped under the parent's seed.
pub fn wrap_child(
    context: &mut Context<'_>,
    parent: crate::structure::handle::Handle,
    sensitive: &Sensitive,
    name: &Name,
) -> Result<Private> {
    let mut iv = [0; BLOCK_SIZE];
    context.state.fill_random(&mut iv)?;
    let protection = parent_protection(context.state.object(parent)?)?;
    let mut encrypted = sized_sensitive(sensitive, name)?;
    protection.apply(name, iv, encrypted.as_mut_slice(), true)?;
    let iv_size = u16::try_from(BLOCK_SIZE).map_err(|_| ResponseCode::FAILURE)?.to_be_bytes();
    let integrity = protection.integrity(&[&iv_size, &iv, &encrypted, name])?;
    Private::written(|writer| {
        writer.value(&integrity)?;
        writer.sized_bytes(&iv)?;
        writer.bytes(&encrypted)
    })
}

/// The sensitive area of a child. TPM_RC_INTEGRITY if the private area isn't the parent's;
/// otherwise what it contains doesn't unmarshal.
pub fn unwrap_child(parent: &Object, private: &[u8], name: &Name) -> Result<Sensitive> {
    let protection = parent_protection(parent)?;
    let mut reader = Reader::new(private);
    let integrity: Digest = reader.value()?;
    if protection.integrity(&[reader.rest(), name])? != integrity {
        return Err(ResponseCode::INTEGRITY);
    }
    let iv: Buffer<BLOCK_SIZE> = reader.value()?;
    let iv: [u8; BLOCK_SIZE] = *iv.first_chunk().ok_or(ResponseCode::SIZE)?;
    let mut data = Private::new(reader.rest())?;
    protection.apply(name, iv, data.as_mut_slice(), false)?;
    read_sized_sensitive(&data)
}

/// TPM2B_SENSITIVE of an object with this Name. The authorisation value is padded to the size of
/// the Name's digest, so that the size of a wrapped area says nothing of it (Part 1, 19.6.5).
pub fn sized_sensitive(sensitive: &Sensitive, name: &Name) -> Result<Private> {
    let algorithm = name.first_chunk().map(|id| u16::from_be_bytes(*id));
    let size = algorithm.and_then(HashAlgorithm::from_id).map_or(0, HashAlgorithm::digest_size);
    let mut padded = sensitive.clone();
    let padding = size.saturating_sub(padded.auth.len());
    padded.auth.append([0; DIGEST_SIZE_MAX].get(..padding).unwrap_or_default())?;
    Private::written(|writer| writer.sized_value(&padded))
}

/// Reads a TPM2B_SENSITIVE with nothing behind it.
pub fn read_sized_sensitive(data: &[u8]) -> Result<Sensitive> {
    let mut reader = Reader::new(data);
    let mut inner = reader.sized(usize::from(u16::MAX))?;
    reader.finish()?;
    let sensitive = Sensitive::unmarshal(&mut inner)?;
    inner.finish()?;
    Ok(sensitive)
}

/// The inner wrapper of a duplicate: a digest of the sensitive area and the Name, then both
/// encrypted under `key`.
pub fn wrap_inner(
    definition: CipherDefinition,
    key: &[u8],
    hash: HashAlgorithm,
    name: &Name,
    sensitive: &Private,
) -> Result<Private> {
    let digest = hash.digest(&[sensitive, name]);
    let mut wrapped = Private::written(|writer| {
        writer.value(&digest)?;
        writer.bytes(sensitive)
    })?;
    apply_cfb(definition, key, [0; BLOCK_SIZE], wrapped.as_mut_slice(), true)?;
    Ok(wrapped)
}

/// What is in an inner wrapper; TPM_RC_INTEGRITY if the digest is another one.
pub fn unwrap_inner(
    definition: CipherDefinition,
    key: &[u8],
    hash: HashAlgorithm,
    name: &Name,
    wrapped: &Private,
) -> Result<Private> {
    let mut data = wrapped.clone();
    apply_cfb(definition, key, [0; BLOCK_SIZE], data.as_mut_slice(), false)?;
    let mut reader = Reader::new(&data);
    let digest: Digest = reader.value()?;
    if hash.digest(&[reader.rest(), name]) != digest {
        return Err(ResponseCode::INTEGRITY);
    }
    Private::new(reader.rest())
}
