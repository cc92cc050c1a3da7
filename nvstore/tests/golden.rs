// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every image that a released version left must open for ever.

use nvstore::simulation::disk::SimulatedDisk;
use nvstore::simulation::golden::{Golden, images};
use nvstore::simulation::model::{Shape, master_key, open};
use nvstore::simulation::random::SimulatedRandom;
use nvstore::{FreshnessRoot, Unanchored};

const VERSION_1_512: &[u8] = include_bytes!("golden/version-1-512.bin");
const VERSION_1_4096: &[u8] = include_bytes!("golden/version-1-4096.bin");

fn opens(shape: Shape, image: &[u8]) -> FreshnessRoot {
    let disk = SimulatedDisk::with_image(shape.block_bytes, image.to_vec());
    let mut random = SimulatedRandom::new(9);
    let store = open(disk, shape.capacity, &master_key(1), Unanchored, &mut random)
        .expect("a healthy disk");
    let records: Vec<(&[u8], &[u8])> = store.iter().collect();
    let expected: [(&[u8], &[u8]); 3] =
        [(b"counter", &[6; 8]), (b"owner", b"authorization"), (b"pcr", &[0x5a; 300])];
    assert_eq!(records, expected);
    assert_eq!(store.recovery().replayed, 2);
    store.recovery().root
}

#[test]
fn images_of_version_1_open() {
    for (shape, image) in [(Shape::TINY, VERSION_1_512), (Shape::COARSE, VERSION_1_4096)] {
        let root = opens(shape, image);
        assert_eq!((root.epoch, root.sequence), (2, 12));
    }
}

#[test]
fn this_version_still_writes_version_1_to_the_byte() {
    let committed = [VERSION_1_512, VERSION_1_4096];
    for (Golden { name, image, .. }, committed) in images().unwrap().into_iter().zip(committed) {
        let differs = image.iter().zip(committed).position(|(made, committed)| made != committed);
        assert_eq!((image.len(), differs), (committed.len(), None), "{name}");
    }
}
