// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ID block: who made the guest, signed. The firmware launches the guest only if its digest and
//! policy are the block's, and names the signer in reports and derived keys. AMD 56860, 8.18
//! (SNP_LAUNCH_FINISH), tables 76 and 77.
//!
//! The ID key signs the block. An author key, if there is one, signs the ID key, so that ID keys
//! can change while the author stays.

use std::fmt;

use igvm::{IgvmDirectiveHeader, IgvmFile, IgvmRevision};
use igvm_defs::{
    IGVM_VHS_SNP_ID_BLOCK_PUBLIC_KEY as PublicKey, IGVM_VHS_SNP_ID_BLOCK_SIGNATURE as Signature,
};
use snp_abi::{
    launch::{Digest, IdBlock, IdKey},
    report::ALGORITHM_ECDSA_P384_SHA384,
};
use zerocopy::{FromZeros, IntoBytes};

use crate::{
    SNP_COMPATIBILITY,
    digest::{self, MeasureError},
    file,
    key::{self, KeyError, PrivateKey},
};

/// Version of the block; QEMU gives the firmware this one whatever the file says.
const ID_BLOCK_VERSION: u32 = 1;

/// What a signer says of a guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Family.
    pub family_id: [u8; 16],
    /// Image.
    pub image_id: [u8; 16],
    /// Security version.
    pub guest_svn: u32,
}

/// The keys that sign.
#[derive(Clone, Debug)]
pub struct Signer {
    /// Signs the block.
    pub id_key: PrivateKey,
    /// Signs the ID key.
    pub author_key: Option<PrivateKey>,
}

/// A block whose signatures are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What was signed.
    pub block: IdBlock,
    /// SHA-384 of the key that signed it.
    pub id_key_digest: Digest,
    /// SHA-384 of the key that signed that key.
    pub author_key_digest: Option<Digest>,
}

/// Why a file can't be signed, or its ID block isn't good.
#[derive(Debug)]
pub enum IdBlockError {
    /// The file has no ID block.
    None,
    /// The file has two.
    Two,
    /// The file has no guest policy.
    NoPolicy,
    /// The block is for another launch digest, this one.
    Digest(Digest),
    /// Something other than ECDSA P-384 with SHA-384, or another version.
    Form,
    /// The author key isn't enabled, and yet there is one; or the other way round.
    Author,
    /// The ID key's signature of the block.
    IdKey(KeyError),
    /// The author key's signature of the ID key.
    AuthorKey(KeyError),
    /// The file can't be measured.
    Measure(MeasureError),
    /// The `igvm` crate refuses the file.
    Igvm(igvm::Error),
}

impl fmt::Display for IdBlockError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(formatter, "no ID block in the file"),
            Self::Two => write!(formatter, "two ID blocks in the file"),
            Self::NoPolicy => write!(formatter, "no guest policy in the file"),
            Self::Digest(digest) => {
                write!(formatter, "ID block is for launch digest {}", hex::encode(digest))
            }
            Self::Form => write!(formatter, "ID block isn't version 1, ECDSA P-384 with SHA-384"),
            Self::Author => write!(formatter, "ID block: author key without its flag, or reverse"),
            Self::IdKey(error) => write!(formatter, "ID block, ID key: {error}"),
            Self::AuthorKey(error) => write!(formatter, "ID block, author key: {error}"),
            Self::Measure(error) => write!(formatter, "{error}"),
            Self::Igvm(error) => write!(formatter, "IGVM: {error}"),
        }
    }
}

impl std::error::Error for IdBlockError {}

/// The file with an ID block for what is in it; one that is there already is replaced.
///
/// # Errors
/// See [`IdBlockError`].
pub fn sign(
    igvm: &IgvmFile,
    identity: &Identity,
    signer: &Signer,
) -> Result<Vec<u8>, IdBlockError> {
    let block = IdBlock {
        launch_digest: digest::measure(igvm.directives()).map_err(IdBlockError::Measure)?,
        family_id: identity.family_id,
        image_id: identity.image_id,
        version: ID_BLOCK_VERSION,
        guest_svn: identity.guest_svn,
        policy: file::policy(igvm).ok_or(IdBlockError::NoPolicy)?,
    };
    // In front, where the last place stays the VMSA's. It isn't measured.
    let mut directives = vec![directive(&block, signer)?];
    directives.extend(igvm.directives().iter().filter(|other| !is_id_block(other)).cloned());
    let signed = IgvmFile::new(
        IgvmRevision::V1,
        igvm.platforms().to_vec(),
        igvm.initializations().to_vec(),
        directives,
    );
    let mut bytes = Vec::new();
    signed.and_then(|file| file.serialize(&mut bytes)).map_err(IdBlockError::Igvm)?;
    Ok(bytes)
}

fn is_id_block(directive: &IgvmDirectiveHeader) -> bool {
    matches!(directive, IgvmDirectiveHeader::SnpIdBlock { .. })
}

fn directive(block: &IdBlock, signer: &Signer) -> Result<IgvmDirectiveHeader, IdBlockError> {
    let id_key = signer.id_key.public_key();
    let (author_key, author_signature) = match &signer.author_key {
        Some(author) => {
            (author.public_key(), author.sign(id_key.as_bytes()).map_err(IdBlockError::AuthorKey)?)
        }
        None => (IdKey::new_zeroed(), Signature::new_zeroed()),
    };
    let has_author = signer.author_key.is_some();
    Ok(IgvmDirectiveHeader::SnpIdBlock {
        compatibility_mask: SNP_COMPATIBILITY,
        author_key_enabled: u8::from(has_author),
        reserved: [0; 3],
        ld: block.launch_digest,
        family_id: block.family_id,
        image_id: block.image_id,
        version: block.version,
        guest_svn: block.guest_svn,
        id_key_algorithm: ALGORITHM_ECDSA_P384_SHA384,
        author_key_algorithm: if has_author { ALGORITHM_ECDSA_P384_SHA384 } else { 0 },
        id_key_signature: Box::new(
            signer.id_key.sign(block.as_bytes()).map_err(IdBlockError::IdKey)?,
        ),
        id_public_key: Box::new(key::in_file(&id_key)),
        author_key_signature: Box::new(author_signature),
        author_public_key: Box::new(key::in_file(&author_key)),
    })
}

/// Checks the file's ID block as the firmware does at the end of the launch.
///
/// # Errors
/// See [`IdBlockError`].
pub fn verify(igvm: &IgvmFile) -> Result<Verified, IdBlockError> {
    let mut blocks = igvm.directives().iter().filter(|directive| is_id_block(directive));
    let found = blocks.next().ok_or(IdBlockError::None)?;
    if blocks.next().is_some() {
        return Err(IdBlockError::Two);
    }
    let measured = digest::measure(igvm.directives()).map_err(IdBlockError::Measure)?;
    let policy = file::policy(igvm).ok_or(IdBlockError::NoPolicy)?;
    verify_directive(found, measured, policy)
}

fn verify_directive(
    directive: &IgvmDirectiveHeader,
    measured: Digest,
    policy: u64,
) -> Result<Verified, IdBlockError> {
    let IgvmDirectiveHeader::SnpIdBlock {
        author_key_enabled,
        ld,
        family_id,
        image_id,
        version,
        guest_svn,
        id_key_algorithm,
        author_key_algorithm,
        id_key_signature,
        id_public_key,
        author_key_signature,
        author_public_key,
        ..
    } = directive
    else {
        return Err(IdBlockError::None);
    };
    if *ld != measured {
        return Err(IdBlockError::Digest(*ld));
    }
    let author = Author {
        enabled: *author_key_enabled,
        algorithm: *author_key_algorithm,
        key: author_public_key,
        signature: author_key_signature,
    };
    if *version != ID_BLOCK_VERSION || *id_key_algorithm != ALGORITHM_ECDSA_P384_SHA384 {
        return Err(IdBlockError::Form);
    }
    let block = IdBlock {
        launch_digest: measured,
        family_id: *family_id,
        image_id: *image_id,
        version: ID_BLOCK_VERSION,
        guest_svn: *guest_svn,
        policy,
    };
    let id_key = key::from_file(id_public_key);
    key::verify(&id_key, block.as_bytes(), id_key_signature).map_err(IdBlockError::IdKey)?;
    Ok(Verified {
        block,
        id_key_digest: key::digest(&id_key),
        author_key_digest: author.verify(&id_key)?,
    })
}

/// The part of a block about the author key.
struct Author<'file> {
    enabled: u8,
    algorithm: u32,
    key: &'file PublicKey,
    signature: &'file Signature,
}

impl Author<'_> {
    /// The key's digest, if there is a key.
    fn verify(&self, id_key: &IdKey) -> Result<Option<Digest>, IdBlockError> {
        // QEMU goes by the key's curve, not by the flag.
        match (self.enabled, self.key.curve) {
            (0, 0) => return Ok(None),
            (1, 1..) => {}
            _ => return Err(IdBlockError::Author),
        }
        if self.algorithm != ALGORITHM_ECDSA_P384_SHA384 {
            return Err(IdBlockError::Form);
        }
        let author_key = key::from_file(self.key);
        key::verify(&author_key, id_key.as_bytes(), self.signature)
            .map_err(IdBlockError::AuthorKey)?;
        Ok(Some(key::digest(&author_key)))
    }
}

impl fmt::Display for Verified {
    /// A line for each field.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "family ID     {}", hex::encode(self.block.family_id))?;
        writeln!(formatter, "image ID      {}", hex::encode(self.block.image_id))?;
        writeln!(formatter, "guest SVN     {}", self.block.guest_svn)?;
        writeln!(formatter, "ID key        {}", hex::encode(self.id_key_digest))?;
        match self.author_key_digest {
            Some(digest) => writeln!(formatter, "author key    {}", hex::encode(digest)),
            None => writeln!(formatter, "author key    none"),
        }
    }
}
