// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shelf by itself. Not in its own file, which `tests/model.rs` has with other types.

extern crate std;
use std::cell::RefCell;
use std::collections::HashSet;
use std::vec::Vec;

use crate::shelf::{Counters, Marks, Shelf};
use crate::sync::{AtomicU64, Ordering};

const MARKS: Marks = Marks { low: 1, high: 3 };

#[test]
fn an_empty_shelf_gives_nothing_and_counts_it() {
    let shelf = Shelf::<u8, 2>::new(MARKS);
    assert!(shelf.wants_more());
    assert!(shelf.take().is_none());
    assert_eq!(shelf.counters(), Counters { missed: 1, ..Counters::default() });
}

#[test]
fn marks_say_when_to_refill() {
    let shelf = Shelf::<_, 4>::new(MARKS);
    for thing in 0..3 {
        assert!(shelf.wants_more());
        assert!(shelf.put(thing));
    }
    assert!(!shelf.wants_more(), "the high mark is reached");
    assert!(shelf.put(3) && !shelf.put(4), "there is no fifth place");
    assert_eq!((shelf.take(), shelf.take()), (Some(0), Some(1)));
    assert!(!shelf.wants_more(), "two are left, more than the low mark");
    assert_eq!(shelf.take(), Some(2));
    assert!(shelf.wants_more());
    assert!(shelf.put(5) && shelf.wants_more(), "until the high mark");
    assert_eq!(shelf.counters(), Counters { ready: 2, made: 5, taken: 3, missed: 0 });
}

#[test]
fn a_closed_shelf_stays_empty() {
    let shelf = Shelf::<_, 3>::new(MARKS);
    assert!(shelf.put(1));
    shelf.close();
    assert!(shelf.take().is_none());
    assert!(!shelf.put(2));
    assert!(!shelf.wants_more());
    assert_eq!(shelf.counters().ready, 0);
}

/// A secret that tells when it is dropped, and where.
struct Secret<'a>(&'a RefCell<Vec<*const u8>>, u8);

impl Clone for Secret<'_> {
    fn clone(&self) -> Self {
        Self(self.0, self.1)
    }
}

impl Drop for Secret<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().push(&raw const self.1);
    }
}

/// What drops in its place is wiped there.
#[test]
fn things_are_dropped_in_their_places_when_they_leave() {
    let dropped = RefCell::new(Vec::new());
    let shelf = Shelf::<_, 2>::new(MARKS);
    let is_on_the_shelf = |place: *const u8| {
        let begin = (&raw const shelf).addr();
        (begin..begin + size_of_val(&shelf)).contains(&place.addr())
    };
    assert!(shelf.put(Secret(&dropped, 1)) && shelf.put(Secret(&dropped, 2)));
    assert!(!shelf.put(Secret(&dropped, 3)));
    assert_eq!(dropped.borrow().len(), 1, "one that finds no place");
    let taken = shelf.take().unwrap();
    let places = dropped.borrow_mut().split_off(1);
    assert!(places.len() == 1 && is_on_the_shelf(places[0]), "handed over");
    shelf.close();
    let places = dropped.borrow_mut().split_off(1);
    assert!(places.len() == 1 && is_on_the_shelf(places[0]), "the shelf was closed");
    assert!(!shelf.put(taken.clone()) && shelf.take().is_none());
    drop(taken);
    assert_eq!(dropped.borrow().len(), 3, "a closed shelf keeps nothing");
}

/// Many threads put and take at once: nothing comes out twice, and nothing is lost.
#[test]
fn everything_is_handed_out_once() {
    for _ in 0..50 {
        let shelf = Shelf::<u32, 4>::new(MARKS);
        let taken = std::sync::Mutex::new(Vec::new());
        let kept = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let (shelf, taken, kept) = (&shelf, &taken, &kept);
            for thing in 0..4 {
                scope.spawn(move || {
                    if shelf.put(thing) {
                        kept.fetch_add(1, Ordering::Relaxed);
                    }
                });
                scope.spawn(move || {
                    for _ in 0..50 {
                        taken.lock().unwrap().extend(shelf.take());
                    }
                });
            }
        });
        let mut taken = taken.into_inner().unwrap();
        taken.extend(core::iter::from_fn(|| shelf.take()));
        let different: HashSet<_> = taken.iter().collect();
        assert_eq!(different.len(), taken.len());
        assert_eq!(taken.len() as u64, kept.into_inner());
        assert_eq!(shelf.counters().ready, 0);
    }
}
