// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pool of ready keys: a shelf for each length of key that people ask for, filled in the
//! background ([`crate::workshop`]). Keys are wiped when they leave it, whichever way.

use crate::search::{KeyKind, RsaPrimes};
use crate::shelf::{Counters, Marks, Shelf};

/// Lengths of keys that are kept ready, in bits; their exponent is 65537.
pub const LENGTHS: [u16; 3] = [2048, 3072, 4096];

/// Ready keys, at most `PLACES` of each length. Shared by all processors.
#[derive(Debug)]
pub struct Pool<const PLACES: usize> {
    shelves: [(KeyKind, Shelf<RsaPrimes, PLACES>); LENGTHS.len()],
}

impl<const PLACES: usize> Pool<PLACES> {
    /// An empty pool with the marks of each length, in the order of [`LENGTHS`].
    #[must_use]
    pub fn new(marks: [Marks; LENGTHS.len()]) -> Self {
        let mut marks = marks.into_iter();
        let none = Marks { low: 0, high: 0 };
        let shelf = |bits| (KeyKind::usual(bits), Shelf::new(marks.next().unwrap_or(none)));
        Self { shelves: LENGTHS.map(shelf) }
    }

    /// A key of this kind, if one is ready.
    pub fn take(&self, kind: KeyKind) -> Option<RsaPrimes> {
        self.shelf(kind)?.take()
    }

    /// Puts a key on its shelf. One that finds no place is wiped.
    pub fn put(&self, kind: KeyKind, primes: RsaPrimes) {
        let _is_kept = self.shelf(kind).is_some_and(|shelf| shelf.put(primes));
    }

    /// The first kind that is to be refilled.
    #[must_use]
    pub fn wanted(&self) -> Option<KeyKind> {
        self.shelves.iter().find_map(|(kind, shelf)| shelf.wants_more().then_some(*kind))
    }

    /// Whether this kind is to be refilled.
    #[must_use]
    pub fn wants(&self, kind: KeyKind) -> bool {
        self.shelf(kind).is_some_and(Shelf::wants_more)
    }

    /// What happened at each shelf.
    pub fn counters(&self) -> impl Iterator<Item = (KeyKind, Counters)> {
        self.shelves.iter().map(|(kind, shelf)| (*kind, shelf.counters()))
    }

    /// Gives out no key any more, and wipes those that are there: the randomness that they were
    /// made of is in doubt.
    pub fn close(&self) {
        self.shelves.iter().for_each(|(_, shelf)| shelf.close());
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shelves.iter().any(|(_, shelf)| shelf.is_closed())
    }

    fn shelf(&self, wanted: KeyKind) -> Option<&Shelf<RsaPrimes, PLACES>> {
        self.shelves.iter().find_map(|(kind, shelf)| (*kind == wanted).then_some(shelf))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Backend;
    use crate::search::tests::find;

    #[test]
    fn only_what_was_put_comes_out_and_odd_kinds_have_no_shelf() {
        let marks = Marks { low: 0, high: 1 };
        let pool = Pool::<2>::new([marks, Marks { low: 0, high: 0 }, marks]);
        assert_eq!(pool.wanted(), Some(KeyKind::usual(2048)));
        assert!(!pool.wants(KeyKind::usual(3072)), "its high mark is zero");
        let odd = KeyKind { bits: 2048, exponent: 3 };
        let primes = find(KeyKind::usual(2048), Backend::detect(), 1, u32::MAX).0;
        assert!(!pool.wants(odd) && pool.take(odd).is_none());
        pool.put(odd, primes.clone());
        assert!(pool.take(KeyKind::usual(2048)).is_none());
        pool.put(KeyKind::usual(2048), primes.clone());
        assert_eq!(pool.wanted(), Some(KeyKind::usual(4096)));
        assert_eq!(pool.take(KeyKind::usual(2048)).unwrap().p(), primes.p());
        pool.close();
        assert!(pool.is_closed() && pool.wanted().is_none());
    }
}
