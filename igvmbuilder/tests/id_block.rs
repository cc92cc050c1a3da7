// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files with ID blocks: signed, tampered with, and checked.
#![forbid(unsafe_code)]

mod sample;

use std::io;

use igvm::{IgvmDirectiveHeader, IgvmFile, IgvmInitializationHeader, IgvmRevision};
use igvmbuilder::{
    build::build,
    digest, file,
    id_block::{self, IdBlockError, Identity, Signer, Verified},
    inspect::Description,
    key::{self, PrivateKey},
};

const IDENTITY: Identity = Identity { family_id: [1; 16], image_id: [2; 16], guest_svn: 3 };

fn private_key(byte: u8) -> PrivateKey {
    PrivateKey::generate(&mut io::repeat(byte)).expect("a scalar")
}

fn unsigned() -> IgvmFile {
    file::read(&build(&sample::input()).expect("a good input")).expect("a file of ours")
}

fn signed_by(author: Option<u8>) -> IgvmFile {
    let signer = Signer { id_key: private_key(1), author_key: author.map(private_key) };
    let bytes = id_block::sign(&unsigned(), &IDENTITY, &signer).expect("a signable file");
    file::read(&bytes).expect("a file of ours")
}

fn verified(file: &IgvmFile) -> Verified {
    id_block::verify(file).expect("a good signature")
}

/// The error for a file whose directives were changed after signing.
fn refused(author: Option<u8>, change: impl Fn(&mut Vec<IgvmDirectiveHeader>)) -> IdBlockError {
    let file = signed_by(author);
    let mut directives = file.directives().to_vec();
    change(&mut directives);
    let (platforms, initializations) = (file.platforms(), file.initializations());
    let changed =
        IgvmFile::new(IgvmRevision::V1, platforms.to_vec(), initializations.to_vec(), directives);
    id_block::verify(&changed.expect("the crate accepts it")).expect_err("a changed file")
}

/// Changes one field of the ID block, which comes first.
macro_rules! with_field {
    ($author:expr, $field:ident, $change:expr) => {
        refused($author, |list| match list.first_mut() {
            Some(IgvmDirectiveHeader::SnpIdBlock { $field, .. }) => $change($field),
            _ => panic!("the ID block comes first"),
        })
    };
}

#[test]
fn a_changed_block_is_refused() {
    assert!(matches!(with_field!(None, ld, |v: &mut [u8; 48]| v[0] ^= 1), IdBlockError::Digest(_)));
    let is_bad = |error| matches!(error, IdBlockError::IdKey(_));
    assert!(is_bad(with_field!(None, family_id, |v: &mut [u8; 16]| v[0] ^= 1)));
    assert!(is_bad(with_field!(None, image_id, |v: &mut [u8; 16]| v[0] ^= 1)));
    assert!(is_bad(with_field!(None, guest_svn, |v: &mut u32| *v += 1)));
    assert!(is_bad(with_field!(None, id_public_key, |v: &mut Box<
        igvm_defs::IGVM_VHS_SNP_ID_BLOCK_PUBLIC_KEY,
    >| v.qx[0] ^= 1)));
    assert!(matches!(with_field!(None, version, |v: &mut u32| *v = 2), IdBlockError::Form));
    assert!(matches!(
        with_field!(None, id_key_algorithm, |v: &mut u32| *v = 0),
        IdBlockError::Form
    ));
}

#[test]
fn a_changed_author_is_refused() {
    let enabled = |author| with_field!(author, author_key_enabled, |v: &mut u8| *v ^= 1);
    assert!(matches!(enabled(None), IdBlockError::Author));
    assert!(matches!(enabled(Some(2)), IdBlockError::Author));
    let signature = with_field!(Some(2), author_key_signature, |v: &mut Box<
        igvm_defs::IGVM_VHS_SNP_ID_BLOCK_SIGNATURE,
    >| v.s_comp[0] ^= 1);
    assert!(matches!(signature, IdBlockError::AuthorKey(_)));
    let algorithm = with_field!(Some(2), author_key_algorithm, |v: &mut u32| *v = 0);
    assert!(matches!(algorithm, IdBlockError::Form));
}

#[test]
fn a_changed_file_is_refused() {
    let other_page = refused(None, |list| {
        for directive in list {
            if let IgvmDirectiveHeader::PageData { data, .. } = directive
                && let Some(byte) = data.get_mut(0x800)
            {
                *byte ^= 1;
            }
        }
    });
    assert!(matches!(other_page, IdBlockError::Digest(_)));
    assert!(matches!(refused(None, |list| drop(list.remove(0))), IdBlockError::None));
    let two = refused(None, |list| list.insert(0, list[0].clone()));
    assert!(matches!(two, IdBlockError::Two));

    let file = signed_by(None);
    let policy = vec![IgvmInitializationHeader::GuestPolicy {
        policy: 0xb_0000,
        compatibility_mask: igvmbuilder::SNP_COMPATIBILITY,
    }];
    let platforms = file.platforms().to_vec();
    let debuggable = IgvmFile::new(IgvmRevision::V1, platforms, policy, file.directives().to_vec());
    let error = id_block::verify(&debuggable.expect("the crate accepts it"));
    assert!(matches!(error, Err(IdBlockError::IdKey(_))), "the policy is signed too");
}

#[test]
fn a_signed_file_says_who_signed_what() {
    let file = signed_by(None);
    let found = verified(&file);
    let block = found.block;
    assert_eq!((block.family_id, block.image_id, block.guest_svn), ([1; 16], [2; 16], 3));
    assert_eq!(block.policy, 0x3_0000);
    assert_eq!(block.launch_digest, digest::measure(unsigned().directives()).expect("ours"));
    assert_eq!(found.id_key_digest, key::digest(&private_key(1).public_key()));
    assert_eq!(found.author_key_digest, None);
    let text = Description(&file).to_string();
    for expected in ["signature good", "guest SVN     3", &hex::encode(found.id_key_digest)] {
        assert!(text.contains(expected), "{expected} not in\n{text}");
    }
    let author = verified(&signed_by(Some(2))).author_key_digest;
    assert_eq!(author, Some(key::digest(&private_key(2).public_key())));
}

#[test]
fn signing_again_replaces_the_block() {
    let signer = Signer { id_key: private_key(9), author_key: None };
    let identity = Identity { guest_svn: 4, ..IDENTITY };
    let sign = || id_block::sign(&signed_by(Some(2)), &identity, &signer).expect("a file");
    let bytes = sign();
    assert!(bytes == sign(), "the same input gives the same bytes");
    let again = verified(&file::read(&bytes).expect("a file of ours"));
    assert_eq!((again.block.guest_svn, again.author_key_digest), (4, None));
    assert_eq!(again.id_key_digest, key::digest(&private_key(9).public_key()));
}
