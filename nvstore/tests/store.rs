// SPDX-License-Identifier: MIT OR Apache-2.0
//! Transactions on an open store: limits, atomicity, what a failing disk does, what a commit costs.

use nvstore::simulation::disk::SimulatedDisk;
use nvstore::simulation::model::{Shape, master_key, open};
use nvstore::simulation::random::SimulatedRandom;
use nvstore::{
    Capacity, DeviceError, Error, Limit, MAX_NAME_BYTES, MAX_VALUE_BYTES, Maintenance, Store,
    Unanchored,
};

type TestStore = Store<SimulatedDisk, Unanchored>;

fn opened(disk: SimulatedDisk, capacity: Capacity) -> TestStore {
    open(disk, capacity, &master_key(1), Unanchored, &mut SimulatedRandom::new(5))
        .expect("a healthy disk")
}

fn fresh(shape: Shape) -> TestStore {
    opened(shape.blank(), shape.capacity)
}

fn for_tpm(block_bytes: usize) -> TestStore {
    let blocks = (3 << 20) / block_bytes;
    opened(SimulatedDisk::blank(block_bytes, blocks), Capacity::for_tpm(block_bytes))
}

fn put(store: &mut TestStore, name: &[u8], value: &[u8]) -> Result<(), Error> {
    let mut transaction = store.transaction();
    transaction.put(name, value)?;
    transaction.commit().map(drop)
}

#[test]
fn a_transaction_can_be_set_aside() {
    let mut store = fresh(Shape::TINY);
    let mut first = store.resume();
    first.put(b"first", &[1]).unwrap();
    first.suspend();
    assert_eq!(store.value(b"first"), None);
    let mut second = store.resume();
    assert_eq!(second.value(b"first"), Some(&[1][..]));
    second.put(b"second", &[2]).unwrap();
    second.commit().unwrap();
    assert_eq!((store.value(b"first"), store.value(b"second")), (Some(&[1][..]), Some(&[2][..])));
    let mut forgotten = store.resume();
    assert_eq!(forgotten.value(b"second"), Some(&[2][..]));
    forgotten.put(b"second", &[3]).unwrap();
    forgotten.suspend();
    drop(store.transaction());
    assert_eq!(store.resume().value(b"second"), Some(&[2][..]), "a new transaction starts empty");
}

#[test]
fn limits_are_named_and_nothing_is_written() {
    let mut store = fresh(Shape::TINY);
    put(&mut store, b"kept", &[1; 100]).unwrap();
    let (before, root) = (store.device().counts(), store.root());
    let refusals = [
        (vec![b'n'; MAX_NAME_BYTES + 1], vec![], Error::Capacity(Limit::NameBytes)),
        (vec![], vec![1], Error::EmptyName),
        (vec![b'n'], vec![0; MAX_VALUE_BYTES + 1], Error::Capacity(Limit::ValueBytes)),
        (vec![b'n'], vec![0; 396], Error::Capacity(Limit::TransactionBytes)),
    ];
    for (name, value, error) in refusals {
        assert_eq!(put(&mut store, &name, &value), Err(error));
    }
    assert_eq!((store.device().counts(), store.root()), (before, root));
    assert_eq!(store.iter().collect::<Vec<_>>(), [(&b"kept"[..], &[1; 100][..])]);
}

#[test]
fn a_full_store_refuses_and_goes_on() {
    let mut store = fresh(Shape::TINY);
    for name in [b"a", b"b", b"c"] {
        put(&mut store, name, &[7; 390]).unwrap();
    }
    assert_eq!(store.used_bytes(), 3 * 395);
    let before = store.device().counts();
    assert_eq!(put(&mut store, b"d", &[7; 390]), Err(Error::Capacity(Limit::StateBytes)));
    assert_eq!(put(&mut store, b"d", &[7; 11]), Err(Error::Capacity(Limit::StateBytes)));
    assert_eq!(store.device().counts(), before);
    // Room that a transaction makes counts in the same transaction, whatever comes first.
    let mut transaction = store.transaction();
    transaction.put(b"A", &[8; 380]).unwrap();
    transaction.delete(b"c").unwrap();
    transaction.commit().unwrap();
    let names: Vec<&[u8]> = store.iter().map(|(name, _)| name).collect();
    assert_eq!(names, [b"A", b"a", b"b"]);
}

#[test]
fn a_transaction_that_is_dropped_changes_nothing() {
    let mut store = fresh(Shape::TINY);
    put(&mut store, b"a", b"old").unwrap();
    let (before, root) = (store.device().counts(), store.root());
    let mut transaction = store.transaction();
    transaction.put(b"a", b"new").unwrap();
    transaction.put(b"b", b"new").unwrap();
    assert_eq!(transaction.value(b"a"), Some(&b"new"[..]));
    drop(transaction);
    assert_eq!(store.value(b"a"), Some(&b"old"[..]));
    assert_eq!(store.value(b"b"), None);
    assert_eq!(store.transaction().commit(), Ok(root));
    assert_eq!(store.device().counts(), before);
}

#[test]
fn the_last_change_of_a_name_counts() {
    let mut store = fresh(Shape::TINY);
    put(&mut store, b"x", b"0").unwrap();
    let mut transaction = store.transaction();
    transaction.put(b"x", b"1").unwrap();
    transaction.delete(b"x").unwrap();
    assert_eq!(transaction.value(b"x"), None);
    transaction.put(b"y", b"1").unwrap();
    transaction.put(b"y", b"22").unwrap();
    transaction.delete(b"never there").unwrap();
    transaction.commit().unwrap();
    let mut store = opened(store.into_device(), Shape::TINY.capacity);
    assert_eq!(store.iter().collect::<Vec<_>>(), [(&b"y"[..], &b"22"[..])]);
    put(&mut store, b"y", &[]).unwrap();
    assert_eq!(store.value(b"y"), Some(&[][..]));
}

#[test]
fn a_failing_disk_stops_the_store() {
    let healthy = fresh(Shape::TINY).into_device();
    let mut failures = 0;
    for countdown in 0..40 {
        let disk = healthy.clone().failing_after(countdown, 1);
        let opened = open(
            disk,
            Shape::TINY.capacity,
            &master_key(1),
            Unanchored,
            &mut SimulatedRandom::new(5),
        );
        let Ok(mut store) = opened else { continue };
        let Err(error) = put(&mut store, b"a", b"1") else { continue };
        failures += 1;
        assert_eq!(error, Error::Device(DeviceError::Failed));
        assert_eq!(store.value(b"a"), None);
        assert_eq!(put(&mut store, b"a", b"2"), Err(Error::Stopped));
        assert_eq!(store.maintain(), Err(Error::Stopped));
        let random = &mut SimulatedRandom::new(6);
        assert_eq!(store.rewrap(&master_key(2), random), Err(Error::Stopped));
        assert_eq!(store.rotate(&master_key(2), random), Err(Error::Stopped));
    }
    // One for the write of the record, one for the flush.
    assert_eq!(failures, 2);
}

#[test]
fn a_small_commit_costs_one_block_and_one_flush() {
    for block_bytes in [512, 4096] {
        let mut store = for_tpm(block_bytes);
        let before = store.device().counts();
        put(&mut store, b"nv/01500020", &[0x11; 64]).unwrap();
        let after = store.device().counts();
        assert_eq!(after.writes - before.writes, 1);
        assert_eq!(after.blocks_written - before.blocks_written, 1);
        assert_eq!(after.flushes - before.flushes, 1);
        assert_eq!(after.reads, before.reads);
    }
}

/// Compaction included, over many laps of the log, with a state as large as a TPM's.
#[test]
fn commits_stay_cheap_while_the_log_is_compacted() {
    for (block_bytes, log_blocks) in [(512, 2048), (4096, 256)] {
        let mut store = for_tpm(block_bytes);
        for number in 0..24_u8 {
            put(&mut store, &[b'k', number], &[number; 1500]).unwrap();
        }
        let commits = 3 * log_blocks;
        let start = store.device().counts();
        let mut most = 0;
        for number in 0..commits {
            let before = store.device().counts();
            put(&mut store, b"nv/01500020", &[u8::try_from(number % 251).unwrap(); 64]).unwrap();
            let after = store.device().counts();
            assert_eq!(after.flushes - before.flushes, 1, "commit {number}");
            most = most.max(after.writes - before.writes);
        }
        let end = store.device().counts();
        // The record, and a unit; the two twins of a header once in a lap.
        assert!(most <= 3, "{most} writes");
        let writes = end.writes - start.writes;
        assert!(writes < commits * 5 / 4, "{writes} writes for {commits} commits");
        let mut store = opened(store.into_device(), Capacity::for_tpm(block_bytes));
        assert_eq!(store.value(&[b'k', 23]), Some(&[23; 1500][..]));
        assert_eq!(store.maintain(), Ok(Maintenance::Done));
    }
}

#[test]
fn idle_time_can_do_the_compaction() {
    let mut store = for_tpm(4096);
    for number in 0..160_u8 {
        put(&mut store, b"n", &[number; 64]).unwrap();
    }
    let mut steps = 0;
    while store.maintain().unwrap() == Maintenance::Pending {
        steps += 1;
        assert!(steps < 100);
    }
    assert!(steps > 0);
    // The log is empty again: half of it takes no more compaction.
    let before = store.device().counts();
    for number in 0..=255_u8 {
        put(&mut store, b"n", &[number; 64]).unwrap();
    }
    assert_eq!(store.device().counts().writes - before.writes, 256);
}

#[test]
fn the_largest_transactions_pass_through_the_smallest_log() {
    let shape = Shape {
        block_bytes: 512,
        capacity: Capacity { state_bytes: 60_000, transaction_bytes: 34_000, log_blocks: 536 },
        blocks: 1000,
        names: 2,
    };
    let mut store = fresh(shape);
    for round in 0..40_u8 {
        let mut transaction = store.transaction();
        transaction.put(b"first", &[round; MAX_VALUE_BYTES]).unwrap();
        transaction.put(b"second", &[!round; MAX_VALUE_BYTES]).unwrap();
        transaction.commit().unwrap();
    }
    let store = opened(store.into_device(), shape.capacity);
    assert_eq!(store.value(b"first"), Some(&[39; MAX_VALUE_BYTES][..]));
    assert_eq!(store.value(b"second"), Some(&[!39; MAX_VALUE_BYTES][..]));
}
