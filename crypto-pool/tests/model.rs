// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shelf under all interleavings of its atomic operations and locks, explored by loom: no
//! thing comes out twice, none is lost, a closed shelf is empty and stays so, the count is right.
//!
//! The file under test is the crate's own; only what processors share data with is loom's.

/// The types of `src/sync.rs`, under loom's eyes.
mod sync {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn try_lock(&self) -> Option<loom::sync::MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("nobody panics while holding it")
        }
    }
}

#[expect(unreachable_pub, reason = "it is public in its own crate")]
#[path = "../src/shelf.rs"]
mod shelf;

use loom::sync::Arc;
use loom::thread;
use shelf::{Counters, Marks, Shelf};

const MARKS: Marks = Marks { low: 0, high: 2 };

fn shelf<const PLACES: usize>() -> Arc<Shelf<u8, PLACES>> {
    Arc::new(Shelf::new(MARKS))
}

/// What is left, by one thread at the end.
fn rest<const PLACES: usize>(shelf: &Shelf<u8, PLACES>) -> Vec<u8> {
    std::iter::from_fn(|| shelf.take()).collect()
}

#[test]
fn two_take_and_one_puts() {
    loom::model(|| {
        let shelf = shelf::<2>();
        assert!(shelf.put(1));
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let shelf = Arc::clone(&shelf);
                thread::spawn(move || shelf.take())
            })
            .collect();
        let is_kept = shelf.put(2);
        let mut seen: Vec<u8> =
            takers.into_iter().filter_map(|taker| taker.join().expect("it ends")).collect();
        seen.extend(rest(&shelf));
        seen.sort_unstable();
        let expected: &[u8] = if is_kept { &[1, 2] } else { &[1] };
        assert_eq!(seen, expected);
        assert_eq!(shelf.counters().ready, 0);
        assert!(shelf.wants_more(), "an empty shelf is always refilled");
    });
}

#[test]
fn two_put_into_one_place() {
    loom::model(|| {
        let shelf = shelf::<1>();
        let putter = {
            let shelf = Arc::clone(&shelf);
            thread::spawn(move || shelf.put(1))
        };
        let own = shelf.put(2);
        let others = putter.join().expect("it ends");
        let left = rest(&shelf);
        assert_eq!(left.len(), usize::from(own) + usize::from(others));
        assert!(left.len() <= 1);
        let made = left.len() as u64;
        let missed = 1;
        assert_eq!(shelf.counters(), Counters { ready: 0, made, taken: made, missed });
    });
}

#[test]
fn closing_while_one_takes_and_one_puts() {
    loom::model(|| {
        let shelf = shelf::<2>();
        assert!(shelf.put(1));
        let taker = {
            let shelf = Arc::clone(&shelf);
            thread::spawn(move || shelf.take())
        };
        let putter = {
            let shelf = Arc::clone(&shelf);
            thread::spawn(move || shelf.put(2))
        };
        shelf.close();
        assert!(shelf.is_closed());
        let taken = taker.join().expect("it ends");
        let _is_kept = putter.join().expect("it ends");
        assert!(taken.is_none_or(|thing| thing == 1 || thing == 2));
        assert!(shelf.take().is_none());
        assert_eq!(shelf.counters().ready, 0, "nothing is left in a closed shelf");
        assert!(!shelf.wants_more() && !shelf.put(3));
    });
}

/// Whoever drains the shelf while another fills it: the refilling goes on.
#[test]
fn the_refilling_is_never_forgotten() {
    loom::model(|| {
        let shelf = shelf::<2>();
        assert!(shelf.put(1));
        let drainer = {
            let shelf = Arc::clone(&shelf);
            thread::spawn(move || (shelf.take(), shelf.take()))
        };
        if shelf.wants_more() {
            let _is_kept = shelf.put(2);
        }
        drainer.join().expect("it ends");
        let ready = shelf.counters().ready;
        assert!(ready > 0 || shelf.wants_more());
    });
}
