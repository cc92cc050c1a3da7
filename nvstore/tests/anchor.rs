// SPDX-License-Identifier: MIT OR Apache-2.0
//! An anchor refuses what is older than promised, and never what a loss of power leaves.

use std::path::PathBuf;

use nvstore::simulation::disk::{Event, SimulatedDisk, Trace};
use nvstore::simulation::model::{Shape, master_key, open};
use nvstore::simulation::random::SimulatedRandom;
use nvstore::simulation::witness::{FileAnchor, Witness};
use nvstore::{
    Anchor, AnchorError, Anchored, Error, Examined, FreshnessRoot, Store, Unanchored, Unrecovered,
};

const SHAPE: Shape = Shape::TINY;

fn opened<A: Anchor>(
    disk: SimulatedDisk,
    anchor: A,
    seed: u64,
) -> Result<Store<SimulatedDisk, A>, Error> {
    open(disk, SHAPE.capacity, &master_key(1), anchor, &mut SimulatedRandom::new(seed))
}

fn put<A: Anchor>(store: &mut Store<SimulatedDisk, A>, value: u8) -> Result<FreshnessRoot, Error> {
    let mut transaction = store.transaction();
    transaction.put(b"value", &[value])?;
    transaction.commit()
}

/// Images and roots after each of some commits.
fn history(commits: u8) -> Vec<(SimulatedDisk, FreshnessRoot)> {
    let mut store = opened(SHAPE.blank(), Unanchored, 1).expect("a healthy disk");
    let mut history = vec![(store.device().clone(), store.root())];
    for value in 0..commits {
        let root = put(&mut store, value).expect("a healthy disk");
        history.push((store.device().clone(), root));
    }
    history
}

fn recover(disk: &SimulatedDisk, anchored: Anchored) -> Result<FreshnessRoot, Error> {
    opened(disk.clone(), Witness::new(anchored), 2).map(|store| store.recovery().root)
}

#[test]
fn older_disks_are_refused_and_left_alone() {
    let history = history(5);
    let (_, last) = history[5];
    for (disk, root) in &history[..5] {
        let mut disk = disk.clone();
        let before = disk.counts();
        let witness = Witness::new(Anchored::At(last));
        let key = master_key(1);
        let mut random = SimulatedRandom::new(2);
        let error = open(&mut disk, SHAPE.capacity, &key, witness, &mut random).err();
        assert_eq!(error, Some(Error::RolledBack { anchored: Some(last), found: Some(*root) }));
        assert_eq!(disk.counts().writes, before.writes);
    }
}

#[test]
fn a_disk_of_the_same_age_and_another_history_is_refused() {
    let (disk, root) = &history(3)[3];
    let other = FreshnessRoot { digest: [9; 32], ..*root };
    let refused = Err(Error::RolledBack { anchored: Some(other), found: Some(*root) });
    assert_eq!(recover(disk, Anchored::At(other)), refused);
    // One step ahead of a history that isn't its own.
    let other = FreshnessRoot { digest: [9; 32], sequence: root.sequence - 1, ..*root };
    let refused = Err(Error::RolledBack { anchored: Some(other), found: Some(*root) });
    assert_eq!(recover(disk, Anchored::At(other)), refused);
}

#[test]
fn an_anchor_that_lost_more_than_a_step_is_refused() {
    let history = history(4);
    let (disk, found) = &history[4];
    let (_, anchored) = history[2];
    let behind = Err(Error::AnchorBehind { anchored, found: *found });
    assert_eq!(recover(disk, Anchored::At(anchored)), behind);
    let unset = Err(Error::RolledBack { anchored: None, found: Some(*found) });
    assert_eq!(recover(disk, Anchored::Unset), unset);
}

#[test]
fn one_step_ahead_is_accepted_and_anchored_first() {
    let history = history(4);
    let (disk, found) = &history[4];
    let trace = Trace::default();
    let witness = Witness::new(Anchored::At(history[3].1)).traced(&trace);
    let store = opened(disk.clone().traced(&trace), witness, 2).unwrap();
    let events = trace.borrow();
    let Event::Anchored(first) = &events[0] else { panic!("the anchor comes before any write") };
    assert_eq!(first, found);
    let Some(Event::Anchored(last)) = events.last() else { panic!("the opening is anchored") };
    assert_eq!(*last, store.root());
}

#[test]
fn the_unacknowledged_step_can_not_come_back_after_another_was_taken() {
    let history = history(4);
    let (_, anchored) = history[3];
    // The host hides the last commit, lets the store go on, and shows it again.
    let witness = Witness::new(Anchored::At(anchored));
    let mut store = opened(history[3].0.clone(), witness, 3).unwrap();
    let now = store.root();
    assert_eq!(now.sequence, history[4].1.sequence);
    let refused = Error::RolledBack { anchored: Some(now), found: Some(history[4].1) };
    assert_eq!(recover(&history[4].0, Anchored::At(now)), Err(refused));
    put(&mut store, 9).unwrap();
}

#[test]
fn a_commit_is_durable_then_anchored_then_acknowledged() {
    let trace = Trace::default();
    let witness = Witness::new(Anchored::Unset).traced(&trace);
    let mut store = opened(SHAPE.blank().traced(&trace), witness, 1).unwrap();
    trace.borrow_mut().clear();
    let root = put(&mut store, 1).unwrap();
    let events = trace.borrow();
    let [Event::Write { .. }, Event::Flush, Event::Anchored(anchored)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(*anchored, root);
}

#[test]
fn an_emptied_disk_is_not_formatted_again() {
    let (_, root) = history(1)[1];
    let error = opened(SHAPE.blank(), Witness::new(Anchored::At(root)), 4).err();
    assert_eq!(error, Some(Error::RolledBack { anchored: Some(root), found: None }));
}

/// An anchor that fails when it is told to.
struct Failing {
    inner: Witness,
    advances_left: u32,
}

impl Anchor for Failing {
    fn read(&mut self) -> Result<Anchored, AnchorError> {
        self.inner.read()
    }
    fn advance(&mut self, root: &FreshnessRoot) -> Result<(), AnchorError> {
        let left = self.advances_left.checked_sub(1).ok_or(AnchorError::Unreachable)?;
        self.advances_left = left;
        self.inner.advance(root)
    }
}

#[test]
fn a_failing_anchor_stops_the_store_and_loses_nothing() {
    let inner = Witness::new(Anchored::Unset);
    let mut failing = Failing { inner, advances_left: 2 };
    let mut random = SimulatedRandom::new(1);
    let key = master_key(1);
    let mut disk = SHAPE.blank();
    let mut store =
        open(&mut disk, SHAPE.capacity, &key, &mut failing, &mut random).expect("one advance");
    let mut transaction = store.transaction();
    transaction.put(b"value", &[1]).unwrap();
    transaction.commit().expect("one advance");
    let mut transaction = store.transaction();
    transaction.put(b"value", &[2]).unwrap();
    assert_eq!(transaction.commit(), Err(Error::Anchor(AnchorError::Unreachable)));
    assert_eq!(store.value(b"value"), Some(&[1][..]));
    assert_eq!(store.transaction().commit(), Err(Error::Stopped));
    drop(store);
    // The commit was durable and never acknowledged: it may be there, and here it is.
    let store = opened(disk, failing.inner, 2).unwrap();
    assert_eq!(store.value(b"value"), Some(&[2][..]));
}

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("nvstore-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        Self(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("the folder is still there");
    }
}

#[test]
fn an_anchor_in_a_file_catches_a_rollback() {
    let scratch = Scratch::new("anchor");
    let anchor = || FileAnchor::new(scratch.0.join("anchor"));
    let mut store = opened(SHAPE.blank(), anchor(), 1).unwrap();
    let old = store.device().clone();
    put(&mut store, 1).unwrap();
    let root = put(&mut store, 2).unwrap();
    let store = opened(store.into_device(), anchor(), 2).unwrap();
    assert_eq!(store.recovery().root, root);
    assert!(matches!(opened(old, anchor(), 3).err(), Some(Error::RolledBack { .. })));
    std::fs::write(scratch.0.join("anchor"), b"short").unwrap();
    let error = opened(store.into_device(), anchor(), 4).err();
    assert_eq!(error, Some(Error::Anchor(AnchorError::Invalid)));
}

#[test]
fn formatting_is_not_promised_before_the_anchor_knows() {
    // The power goes between the first checkpoint and the anchor.
    let store = opened(SHAPE.blank(), Unanchored, 1).unwrap();
    let disk = store.into_device();
    assert!(matches!(
        Unrecovered::new(disk.clone()).examine(SHAPE.capacity),
        Ok(Examined::Formatted(_))
    ));
    assert!(recover(&disk, Anchored::Unset).is_ok());
}
