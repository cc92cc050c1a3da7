// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changing the master key: by wrapping the store key again, or by encrypting everything again.

use nvstore::simulation::disk::{Event, SimulatedDisk, Trace};
use nvstore::simulation::model::{Shape, master_key, open};
use nvstore::simulation::random::SimulatedRandom;
use nvstore::{Error, Examined, KeyLabel, MasterKey, Store, Unanchored, Unrecovered};

const SHAPE: Shape = Shape::FINE;

fn opened(disk: SimulatedDisk, key: u8) -> Result<Store<SimulatedDisk, Unanchored>, Error> {
    open(disk, SHAPE.capacity, &master_key(key), Unanchored, &mut SimulatedRandom::new(4))
}

fn filled() -> Store<SimulatedDisk, Unanchored> {
    let mut store = opened(SHAPE.blank(), 1).expect("a healthy disk");
    for number in 0..5_u8 {
        let mut transaction = store.transaction();
        transaction.put(&[number], &[number; 900]).expect("a healthy disk");
        transaction.commit().expect("a healthy disk");
    }
    store
}

fn check(disk: &SimulatedDisk, key: u8) {
    let mut store = opened(disk.clone(), key).expect("a healthy disk");
    assert_eq!(store.iter().count(), 5);
    assert_eq!(store.value(&[4]), Some(&[4; 900][..]));
    let mut transaction = store.transaction();
    transaction.delete(&[0]).expect("a healthy disk");
    transaction.commit().expect("a healthy disk");
    assert_eq!(opened(store.into_device(), key).expect("a healthy disk").iter().count(), 4);
}

#[test]
fn rewrapping_writes_headers_only() {
    let mut store = filled();
    let root = store.root();
    while store.maintain().unwrap() == nvstore::Maintenance::Pending {}
    let before = store.device().counts();
    store.rewrap(&master_key(2), &mut SimulatedRandom::new(9)).unwrap();
    let after = store.device().counts();
    assert_eq!(after.blocks_written - before.blocks_written, 4);
    assert_eq!(store.root(), root);
    let disk = store.into_device();
    assert_eq!(opened(disk.clone(), 1).err(), Some(Error::WrongKey));
    check(&disk, 2);
}

#[test]
fn rotation_encrypts_everything_again() {
    let mut store = filled();
    let (root, old) = (store.root(), store.device().clone());
    store.rotate(&master_key(2), &mut SimulatedRandom::new(9)).unwrap();
    assert_eq!((store.root().epoch, store.root().sequence), (root.epoch + 1, root.sequence + 1));
    let disk = store.into_device();
    assert_eq!(opened(disk.clone(), 1).err(), Some(Error::WrongKey));
    check(&disk, 2);
    // An old header in the new disk leads the old key nowhere.
    let mut image = disk.image().to_vec();
    let slots = [0, 4096, 8192, 12288].into_iter();
    let wiped = slots.filter(|&slot| image[slot..slot + 512] == [0; 512]).collect::<Vec<usize>>();
    assert_eq!(wiped.len(), 2);
    for slot in wiped {
        image[slot..slot + 512].copy_from_slice(&old.image()[slot..slot + 512]);
    }
    let disk = SimulatedDisk::with_image(512, image);
    assert_eq!(opened(disk.clone(), 1).err(), Some(Error::WrongKey));
    check(&disk, 2);
}

/// Makes the first bytes of a block new.
fn apply(image: &mut [u8], (block, content): (&u64, &Vec<u8>), bytes: usize) {
    let at = usize::try_from(*block).expect("few blocks") * 512;
    image[at..at + bytes].copy_from_slice(&content[..bytes]);
}

/// Wherever a change of keys is cut off, one of the two keys opens.
#[test]
fn an_interrupted_change_of_keys_leaves_a_key_that_opens() {
    for rotate in [false, true] {
        let trace = Trace::default();
        let before = filled().into_device();
        let mut store = opened(before.clone(), 1).unwrap();
        let start = store.device().clone();
        let mut traced = opened(before.traced(&trace), 1).unwrap();
        trace.borrow_mut().clear();
        for store in [&mut store, &mut traced] {
            let mut random = SimulatedRandom::new(9);
            let key = master_key(2);
            if rotate { store.rotate(&key, &mut random) } else { store.rewrap(&key, &mut random) }
                .unwrap();
        }
        let mut image = start.image().to_vec();
        let events = trace.borrow();
        let mut pending = Vec::new();
        for event in events.iter() {
            match event {
                Event::Write { block, content } => pending.push((block, content)),
                Event::Flush => pending.drain(..).for_each(|write| apply(&mut image, write, 512)),
                Event::Anchored(_) => {}
            }
            // Everything that was not flushed is torn, headers in the middle of their wrapped key.
            let mut torn = image.clone();
            pending.iter().for_each(|write| apply(&mut torn, *write, 260));
            let torn = SimulatedDisk::with_image(512, torn);
            let key = if opened(torn.clone(), 2).is_ok() { 2 } else { 1 };
            check(&torn, key);
        }
        assert!(pending.is_empty());
        let complete = SimulatedDisk::with_image(512, image);
        assert_eq!(opened(complete.clone(), 1).err(), Some(Error::WrongKey));
        check(&complete, 2);
    }
}

fn labels(disk: &SimulatedDisk) -> Vec<KeyLabel> {
    match Unrecovered::new(disk.clone()).examine(SHAPE.capacity).expect("a healthy disk") {
        Examined::Formatted(found) => found.labels().collect(),
        Examined::Unformatted(_) => panic!("it was formatted"),
    }
}

#[test]
fn a_label_stays_with_its_key() {
    let labelled = |key: u8| MasterKey::labelled([key; 32].into(), [key; 16]);
    let mut random = SimulatedRandom::new(4);
    let disk = open(SHAPE.blank(), SHAPE.capacity, &labelled(1), Unanchored, &mut random)
        .expect("a healthy disk")
        .into_device();
    assert_eq!(labels(&disk), [[1; 16]]);
    // Who opens it without knowing the label doesn't change it.
    let mut store = opened(disk, 1).expect("a healthy disk");
    assert_eq!((store.label(), labels(store.device())), ([1; 16], vec![[1; 16]]));
    store.rewrap(&labelled(2), &mut random).unwrap();
    assert_eq!((store.label(), labels(store.device())), ([2; 16], vec![[2; 16]]));
    store.rotate(&labelled(3), &mut random).unwrap();
    assert_eq!((store.label(), labels(store.device())), ([3; 16], vec![[3; 16]]));
    opened(store.into_device(), 3).expect("a healthy disk");
}

#[test]
fn a_label_that_the_host_wrote_opens_nothing() {
    let mut disk = filled().into_device();
    let mut image = disk.image().to_vec();
    for slot in image.chunks_mut(4096).take(4) {
        slot[168] ^= 1;
    }
    disk = SimulatedDisk::with_image(SHAPE.block_bytes, image);
    assert!(labels(&disk).is_empty(), "the checksum tells");
    assert!(opened(disk, 1).is_err());
}

#[test]
fn a_key_can_be_tried_before_anything_is_written() {
    let mut store = filled();
    store.rewrap(&master_key(2), &mut SimulatedRandom::new(9)).unwrap();
    let disk = store.into_device();
    match Unrecovered::new(disk).examine(SHAPE.capacity).unwrap() {
        Examined::Formatted(found) => {
            assert_eq!(found.check_key(&master_key(1)), Err(Error::WrongKey));
            assert_eq!(found.check_key(&master_key(2)), Ok(()));
        }
        Examined::Unformatted(_) => panic!("it was formatted"),
    }
}
