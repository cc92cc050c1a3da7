// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who opens the TPM's store: images of the same signer with the same or a higher security version,
//! and nobody else; once it is bound to an image, that image alone. Who doesn't open it leaves it
//! alone, and its TPM says why.

mod guest;
mod start;

use launcher::{IdBlock, Images, Options};
use start::{Outcome, Run, outcome, run};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A policy that allows debugging as well (AMD 56860, 4.3).
const OTHER_POLICY: u64 = 0xb_0000;

/// A signer of our own.
fn other_signer(folder: &Path) -> PathBuf {
    let path = folder.join("other-signer.pem");
    let _absent = std::fs::remove_file(&path);
    let images = Images::build(&[]).expect("the images");
    let made = Command::new(images.igvmbuilder).arg("keygen").arg("--output").arg(&path).status();
    assert!(made.expect("igvmbuilder starts").success());
    path
}

#[test]
fn only_the_signer_and_no_older_image_opens_the_store() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let signed = |guest_svn| Some(IdBlock { guest_svn, ..IdBlock::default() });
    let machine = Options { id_block: signed(2), ..guest::options(1) };
    let first = start::options(folder.join("upgrade.img"), machine);
    let Run { outcome: outcome_of_first, acknowledged, launch_digest: first_digest } = run(&first);
    assert_eq!(outcome_of_first, Outcome::Found(0));
    let mut count = acknowledged.expect("it counted");

    // Nobody else: a lower version, another signer, another policy, no ID block.
    let other = IdBlock { id_key: Some(other_signer(&folder)), guest_svn: 2 };
    let strangers = [
        (Options { id_block: signed(1), ..first.clone() }, 33),
        (Options { id_block: Some(other), ..first.clone() }, 5),
        (Options { policy: Some(OTHER_POLICY), ..first.clone() }, 5),
        (Options { id_block: None, ..first.clone() }, 40),
    ];
    for (options, reason) in strangers {
        assert_eq!(outcome(&options), (Outcome::Failure(reason), None), "{:?}", options.id_block);
    }

    // Another image with a higher version; afterwards the lower one doesn't any more.
    let mut goes_on = |options: &Options| {
        let Run { outcome, acknowledged, launch_digest } = run(options);
        assert!(
            outcome == Outcome::Found(count) || outcome == Outcome::Found(count + 1),
            "{outcome:?} after {count}"
        );
        count = acknowledged.expect("it counted");
        launch_digest
    };
    let other_initrd = folder.join("upgraded-initrd");
    std::fs::write(&other_initrd, b"another").expect("a file");
    let upgraded = Options { initrd: Some(other_initrd), id_block: signed(3), ..first.clone() };
    // On a host that runs no firmware before the SVSM: nobody has given the disk addresses.
    let upgraded = Options { machine_switches: vec!["bare-disk".to_owned()], ..upgraded };
    let upgraded_digest = goes_on(&upgraded);
    assert_ne!(upgraded_digest, first_digest, "it is another image");
    let refused = run(&first);
    assert_eq!((refused.outcome, refused.launch_digest), (Outcome::Failure(33), first_digest));

    // The owner of the image binds the store to it: then the signer's other images don't open it.
    let bound = Options { bind_measurement: true, ..upgraded.clone() };
    assert_ne!(goes_on(&bound), upgraded_digest, "the binding is measured");
    assert_eq!(outcome(&upgraded), (Outcome::Failure(5), None));
    goes_on(&bound);
}
