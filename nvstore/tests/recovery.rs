// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is made of disks that are empty, foreign, damaged, or opened with the wrong key.

use nvstore::simulation::disk::SimulatedDisk;
use nvstore::simulation::model::{Shape, master_key, open};
use nvstore::simulation::random::SimulatedRandom;
use nvstore::{
    Capacity, Error, Evidence, Examined, Fault, GeometryFault, Limit, Store, Unanchored,
    Unrecovered,
};
use sha2::{Digest, Sha256};

type TestStore = Store<SimulatedDisk, Unanchored>;

const SHAPE: Shape = Shape::TINY;
/// First byte of the log: four header slots and two bodies of one unit.
const LOG: usize = 6 * 4096;

fn try_open(image: &[u8], key: u8) -> Result<TestStore, Error> {
    let disk = SimulatedDisk::with_image(SHAPE.block_bytes, image.to_vec());
    open(disk, SHAPE.capacity, &master_key(key), Unanchored, &mut SimulatedRandom::new(77))
}

/// Recovers a disk and shows that a refusal left it alone.
fn refusal(image: &[u8], key: u8) -> Error {
    let mut disk = SimulatedDisk::with_image(SHAPE.block_bytes, image.to_vec());
    let mut random = SimulatedRandom::new(77);
    let result = open(&mut disk, SHAPE.capacity, &master_key(key), Unanchored, &mut random);
    let error = result.err().expect("a refusal");
    assert_eq!((disk.counts().writes, disk.counts().flushes), (0, 0));
    assert_eq!(disk.image(), image);
    error
}

/// A store with records `0`, `1`, … of one commit each, in the log.
fn image_of(commits: u8) -> Vec<u8> {
    let mut random = SimulatedRandom::new(3);
    let mut store = open(SHAPE.blank(), SHAPE.capacity, &master_key(1), Unanchored, &mut random)
        .expect("a healthy disk");
    for number in 0..commits {
        let mut transaction = store.transaction();
        transaction.put(&[number], b"a value that must not be seen").expect("a healthy disk");
        transaction.commit().expect("a healthy disk");
    }
    store.into_device().into_image()
}

#[test]
fn geometries_that_do_not_do_are_refused() {
    let refused = |disk: SimulatedDisk, capacity| {
        Unrecovered::new(disk).examine(capacity).err().expect("a refusal")
    };
    let capacity = SHAPE.capacity;
    let sizes = Error::Geometry(GeometryFault::BlockSize);
    assert_eq!(refused(SimulatedDisk::blank(1024, 100), capacity), sizes);
    let small = Error::Geometry(GeometryFault::TooSmall);
    assert_eq!(refused(SimulatedDisk::blank(512, SHAPE.blocks - 1), capacity), small);
    assert_eq!(refused(SimulatedDisk::blank(512, 0), capacity), small);
    assert_eq!(refused(SimulatedDisk::blank(512, 20), capacity), small);
    let nothing = Capacity { state_bytes: 0, ..capacity };
    assert_eq!(refused(SHAPE.blank(), nothing), Error::Capacity(Limit::Format));
}

#[test]
fn a_disk_that_shrank_or_changed_its_blocks_is_refused() {
    let image = image_of(2);
    assert_eq!(refusal(&image[..image.len() - 512], 1), Error::Geometry(GeometryFault::TooSmall));
    let disk = SimulatedDisk::with_image(4096, image);
    let result =
        open(disk, SHAPE.capacity, &master_key(1), Unanchored, &mut SimulatedRandom::new(1));
    assert_eq!(result.err(), Some(Error::Geometry(GeometryFault::BlockSize)));
}

#[test]
fn a_disk_of_someone_else_is_left_alone() {
    for at in [0, 5, 511, 512, 4096, 9000, LOG + 3, SHAPE.blocks * 512 - 1] {
        let mut image = SHAPE.blank().into_image();
        image[at] = 0x80;
        assert_eq!(refusal(&image, 1), Error::Foreign, "byte {at}");
    }
}

#[test]
fn a_version_of_the_future_is_named() {
    let mut image = image_of(1);
    for slot in [0, 4096, 8192, 12288] {
        image[slot + 8] = 2;
        let mut hash = Sha256::new_with_prefix(b"macadamia-svsm nvstore v1 header checksum");
        hash.update(&image[slot..slot + 320]);
        image[slot + 320..slot + 352].copy_from_slice(&hash.finalize());
    }
    assert_eq!(refusal(&image, 1), Error::UnsupportedVersion { found: 2 });
}

#[test]
fn a_wrong_key_is_named_and_is_not_damage() {
    let error = refusal(&image_of(2), 2);
    assert_eq!(error, Error::WrongKey);
    assert_eq!(error.fault(), Fault::Key);
}

#[test]
fn damage_to_headers_is_named() {
    let image = image_of(2);
    let mut torn = image.clone();
    for slot in [0, 4096, 8192, 12288] {
        torn[slot + 200] ^= 1;
    }
    assert_eq!(refusal(&torn, 1), Error::Tampered(Evidence::Headers));
    // One twin of each is enough to open, whichever.
    for lost in [[0, 8192], [0, 12288], [4096, 8192], [4096, 12288]] {
        let mut image = image.clone();
        for slot in lost {
            image[slot..slot + 512].fill(0xee);
        }
        assert_eq!(try_open(&image, 1).unwrap().iter().count(), 2);
    }
}

#[test]
fn forged_headers_are_not_damage() {
    let mut image = image_of(2);
    for slot in [0, 4096, 8192, 12288] {
        image[slot + 40] ^= 2; // the generation
        let mut hash = Sha256::new_with_prefix(b"macadamia-svsm nvstore v1 header checksum");
        hash.update(&image[slot..slot + 320]);
        image[slot + 320..slot + 352].copy_from_slice(&hash.finalize());
    }
    assert_eq!(refusal(&image, 1), Error::Tampered(Evidence::HeaderAuthentication));
    // Beside authentic headers, a newer forged one is still evidence.
    let mut image = image_of(2);
    let forged = image[8192..8192 + 512].to_vec();
    image[8192..8192 + 512].copy_from_slice(&forged);
    image[8192 + 40] = 9;
    let mut hash = Sha256::new_with_prefix(b"macadamia-svsm nvstore v1 header checksum");
    hash.update(&image[8192..8192 + 320]);
    image[8192 + 320..8192 + 352].copy_from_slice(&hash.finalize());
    assert_eq!(refusal(&image, 1), Error::Tampered(Evidence::NewerHeader));
}

#[test]
fn damage_to_a_checkpoint_is_named() {
    let image = try_open(&image_of(3), 1).unwrap().into_device().into_image();
    for at in [0, 2000, 4095] {
        let mut image = image.clone();
        // Generation 3 lies in area 1.
        image[5 * 4096 + at] ^= 0x10;
        assert_eq!(refusal(&image, 1), Error::Tampered(Evidence::CheckpointBody));
    }
}

#[test]
fn a_lost_commit_is_noticed_when_a_later_one_is_there() {
    let image = image_of(3);
    for lost in 0..2 {
        for damage in [0, 1, 39, 100, 511] {
            let mut image = image.clone();
            image[LOG + lost * 512 + damage] ^= 1;
            let recovered = lost as u64 + 1;
            let Error::Tampered(Evidence::LostCommit { recovered: named, found }) =
                refusal(&image, 1)
            else {
                panic!("a lost commit");
            };
            assert_eq!(named, recovered);
            assert!(found > recovered + 1);
        }
    }
}

#[test]
fn swapped_and_repeated_records_are_noticed() {
    let image = image_of(3);
    let mut swapped = image.clone();
    swapped[LOG..LOG + 512].copy_from_slice(&image[LOG + 512..LOG + 1024]);
    swapped[LOG + 512..LOG + 1024].copy_from_slice(&image[LOG..LOG + 512]);
    assert!(matches!(refusal(&swapped, 1), Error::Tampered(Evidence::LostCommit { .. })));
    // The first record once more after the last says nothing new and gains nothing.
    let mut repeated = image.clone();
    repeated[LOG + 3 * 512..LOG + 4 * 512].copy_from_slice(&image[LOG..LOG + 512]);
    assert_eq!(try_open(&repeated, 1).unwrap().iter().count(), 3);
}

#[test]
fn a_damaged_last_commit_looks_like_one_that_was_never_made() {
    let mut image = image_of(3);
    image[LOG + 2 * 512 + 60] ^= 1;
    let store = try_open(&image, 1).unwrap();
    assert_eq!(store.iter().count(), 2);
    assert!(store.recovery().torn_tail);
    assert_eq!(store.recovery().replayed, 2);
}

#[test]
fn an_old_image_opens_without_an_anchor_and_its_root_shows_it() {
    let old = try_open(&image_of(1), 1).unwrap();
    let new = try_open(&image_of(2), 1).unwrap();
    assert!(old.recovery().root.sequence < new.recovery().root.sequence);
    assert_ne!(old.recovery().root.digest, new.recovery().root.digest);
    assert_ne!(old.root(), new.root());
}

#[test]
fn every_opening_uses_new_keys() {
    let image = image_of(1);
    let commit = |seed| {
        let disk = SimulatedDisk::with_image(512, image.clone());
        let mut random = SimulatedRandom::new(seed);
        let mut store =
            open(disk, SHAPE.capacity, &master_key(1), Unanchored, &mut random).unwrap();
        let mut transaction = store.transaction();
        transaction.put(b"x", b"the same").unwrap();
        let root = transaction.commit().unwrap();
        (root, store.into_device().into_image())
    };
    let ((first_root, first), (second_root, second)) = (commit(1), commit(2));
    assert_eq!(first_root.sequence, second_root.sequence);
    assert_ne!(first_root.digest, second_root.digest);
    // The same text at the same place and sequence: no two bytes in a row of the seals agree often.
    let record = LOG + 512;
    assert_eq!(first[record..record + 48], second[record..record + 48]);
    let equal = (48..512).filter(|at| first[record + at] == second[record + at]).count();
    assert!(equal < 20, "{equal} of 464 bytes agree");
}

#[test]
fn names_and_values_do_not_show() {
    let image = image_of(3);
    let shows = |needle: &[u8]| image.windows(needle.len()).any(|window| window == needle);
    assert!(shows(b"MCDMNVST"));
    assert!(!shows(b"must not be seen"));
    assert!(!shows(b"a value"));
}

#[test]
fn an_interrupted_formatting_is_recognised_and_redone() {
    let blank = SHAPE.blank().into_image();
    let formatted = image_of(0);
    let mut beginnings = vec![(blank.clone(), false)];
    for bytes in [1, 7, 15, 16] {
        let mut marked = blank.clone();
        marked[..bytes].copy_from_slice(&b"MACADAMIA-FORMAT"[..bytes]);
        beginnings.push((marked, true));
    }
    let mut with_headers = beginnings.last().unwrap().0.clone();
    with_headers[8192..8192 + 512].copy_from_slice(&formatted[8192..8192 + 512]);
    beginnings.push((with_headers.clone(), true));
    with_headers[8192..8192 + 300].fill(0x77);
    beginnings.push((with_headers, true));
    for (image, interrupted) in beginnings {
        let disk = SimulatedDisk::with_image(512, image);
        let Examined::Unformatted(disk) = Unrecovered::new(disk).examine(SHAPE.capacity).unwrap()
        else {
            panic!("a beginning");
        };
        assert_eq!(disk.is_interrupted(), interrupted);
        let mut random = SimulatedRandom::new(8);
        let store = disk.format(&master_key(1), Unanchored, &mut random).unwrap();
        assert_eq!(store.iter().count(), 0);
        assert_eq!(store.root().epoch, 1);
    }
}

#[test]
fn a_marker_over_a_store_does_not_make_it_empty() {
    let mut image = image_of(3);
    image[..512].fill(0);
    image[..16].copy_from_slice(b"MACADAMIA-FORMAT");
    assert_eq!(try_open(&image, 1).unwrap().iter().count(), 3);
    // Nor when no header is left.
    for slot in [4096, 8192, 12288] {
        image[slot..slot + 512].fill(0);
    }
    assert_eq!(refusal(&image, 1), Error::Foreign);
}
