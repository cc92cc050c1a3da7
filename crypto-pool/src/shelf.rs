// SPDX-License-Identifier: MIT OR Apache-2.0
//! A shelf of ready things of one kind, which any processor can take without waiting.
//!
//! Taking looks at each place once, passes over places that another processor holds at that
//! moment, and goes away empty-handed if it finds nothing. A thing is handed out once. The state
//! is in the places; what is counted beside them only says when to refill.
//!
//! `tests/model.rs` has this file explored under all interleavings.

use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};

/// Ready things of one kind, at most `PLACES`. Shared by all processors.
pub struct Shelf<T, const PLACES: usize> {
    places: [Mutex<Option<T>>; PLACES],
    marks: Marks,
    refilling: AtomicBool,
    closed: AtomicBool,
    ready: AtomicU64,
    made: AtomicU64,
    taken: AtomicU64,
    missed: AtomicU64,
}

/// When a shelf is refilled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Refilling begins when no more than this are ready.
    pub low: u64,
    /// It goes on until this many are.
    pub high: u64,
}

/// What happened at a shelf since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Things that are ready.
    pub ready: u64,
    /// Things that were put on the shelf.
    pub made: u64,
    /// Things that were taken.
    pub taken: u64,
    /// Times that somebody went away without one.
    pub missed: u64,
}

impl<T, const PLACES: usize> Shelf<T, PLACES> {
    /// An empty shelf; a high mark above its places means all of them.
    #[must_use]
    pub fn new(marks: Marks) -> Self {
        let places = u64::try_from(PLACES).unwrap_or(u64::MAX);
        Self {
            places: core::array::from_fn(|_| Mutex::new(None)),
            marks: Marks { low: marks.low, high: marks.high.min(places) },
            refilling: AtomicBool::new(true),
            closed: AtomicBool::new(false),
            ready: AtomicU64::new(0),
            made: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        }
    }

    /// A thing, if one is ready. What was in its place is dropped there rather than moved, which
    /// would leave its octets behind.
    pub fn take(&self) -> Option<T>
    where
        T: Clone,
    {
        let found = if self.is_closed() {
            None
        } else {
            self.places.iter().find_map(|place| {
                let mut place = place.try_lock()?;
                let found = place.clone();
                *place = None;
                found
            })
        };
        if found.is_some() {
            self.taken.fetch_add(1, Ordering::Relaxed);
            self.ready.fetch_sub(1, Ordering::Relaxed);
        } else {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// Puts a thing on the shelf. One that finds no place is dropped, and the answer is `false`.
    pub fn put(&self, thing: T) -> bool {
        let mut thing = Some(thing);
        for place in &self.places {
            let Some(mut place) = place.try_lock() else { continue };
            // Looked at while the place is held: who closes the shelf comes to it afterwards.
            if place.is_none() && !self.is_closed() {
                *place = thing.take();
                // Counted before the place is let go, so that the count never runs below zero.
                self.ready.fetch_add(1, Ordering::Relaxed);
                self.made.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
        thing.is_none()
    }

    /// Whether the shelf is to be refilled: from the low mark on until the high mark is reached.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        let ready = self.ready.load(Ordering::Relaxed);
        if ready <= self.marks.low {
            self.refilling.store(true, Ordering::Relaxed);
        }
        if ready >= self.marks.high {
            self.refilling.store(false, Ordering::Relaxed);
        }
        self.refilling.load(Ordering::Relaxed) && !self.is_closed()
    }

    /// Gives nothing out any more, and drops what is there: what it was made of is in doubt.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for place in &self.places {
            // Held for a moment only, by a processor that is putting or taking.
            let mut place = place.lock();
            if place.is_some() {
                *place = None;
                self.ready.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            ready: self.ready.load(Ordering::Relaxed),
            made: self.made.load(Ordering::Relaxed),
            taken: self.taken.load(Ordering::Relaxed),
            missed: self.missed.load(Ordering::Relaxed),
        }
    }
}

impl<T, const PLACES: usize> core::fmt::Debug for Shelf<T, PLACES> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Shelf({:?}, {:?})", self.marks, self.counters())
    }
}
