// SPDX-License-Identifier: MIT OR Apache-2.0
//! Gives a case's IGVM file its ID block, good or not.

use std::io;

use igvm::{IgvmDirectiveHeader, IgvmFile, IgvmRevision};
use igvmbuilder::{
    file,
    id_block::{self, Identity, Signer},
    key::PrivateKey,
};
use payloads::{FAMILY_ID, GUEST_SVN, IMAGE_ID, IdBlock};

/// The file as the case wants it.
pub(super) fn with_id_block(unsigned: &[u8], id_block: IdBlock) -> Result<Vec<u8>, String> {
    if id_block == IdBlock::None {
        return Ok(unsigned.to_vec());
    }
    let text = |error: &dyn std::fmt::Display| format!("ID block: {error}");
    let identity = Identity { family_id: FAMILY_ID, image_id: IMAGE_ID, guest_svn: GUEST_SVN };
    let key = |byte| PrivateKey::generate(&mut io::repeat(byte)).map_err(|error| text(&error));
    let signer = Signer { id_key: key(1)?, author_key: Some(key(2)?) };
    let unsigned = file::read(unsigned).map_err(|error| text(&error))?;
    let signed = id_block::sign(&unsigned, &identity, &signer).map_err(|error| text(&error))?;
    let signed = file::read(&signed).map_err(|error| text(&error))?;

    let mut directives = signed.directives().to_vec();
    directives.iter_mut().for_each(|directive| spoil(directive, id_block));
    let mut bytes = Vec::new();
    IgvmFile::new(
        IgvmRevision::V1,
        signed.platforms().to_vec(),
        signed.initializations().to_vec(),
        directives,
    )
    .and_then(|file| file.serialize(&mut bytes))
    .map_err(|error| text(&error))?;
    Ok(bytes)
}

fn spoil(directive: &mut IgvmDirectiveHeader, id_block: IdBlock) {
    let IgvmDirectiveHeader::SnpIdBlock { ld, guest_svn, author_key_signature, .. } = directive
    else {
        return;
    };
    match id_block {
        IdBlock::None | IdBlock::Signed => {}
        IdBlock::OtherDigest => ld[0] ^= 1,
        IdBlock::OtherSvn => *guest_svn += 1,
        IdBlock::OtherAuthor => author_key_signature.r_comp[0] ^= 1,
    }
}
