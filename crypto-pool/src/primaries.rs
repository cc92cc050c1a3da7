// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cache of derived primary keys. A derivation always gives the same primes, so they need to
//! be found only once, and can be found before anybody asks.

use crate::search::RsaPrimes;

/// The name of a derivation: a digest of all that determines its result (the state of the
/// generator that its draws come from, and the kind of key).
pub type DerivationName = [u8; 32];

/// Primes by the name of their derivation, at most `ENTRIES`; the one that was not used for the
/// longest time makes room for a new one.
#[derive(Debug)]
pub struct Primaries<const ENTRIES: usize> {
    entries: [Option<Entry>; ENTRIES],
    /// Counts uses, to tell which entry was used last.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    name: DerivationName,
    primes: RsaPrimes,
    used: u64,
}

impl<const ENTRIES: usize> Primaries<ENTRIES> {
    /// An empty cache.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: [const { None }; ENTRIES], clock: 0 }
    }

    /// The primes of the derivation `name`, if they are known.
    pub fn find(&mut self, name: &DerivationName) -> Option<RsaPrimes> {
        self.clock += 1;
        let entry = self.entries.iter_mut().flatten().find(|entry| entry.name == *name)?;
        entry.used = self.clock;
        Some(entry.primes.clone())
    }

    /// Whether the primes of the derivation `name` are known.
    #[must_use]
    pub fn contains(&self, name: &DerivationName) -> bool {
        self.entries.iter().flatten().any(|entry| entry.name == *name)
    }

    /// Keeps the primes of the derivation `name`.
    pub fn keep(&mut self, name: DerivationName, primes: RsaPrimes) {
        self.clock += 1;
        let entry = Entry { name, primes, used: self.clock };
        // The same name first, then an empty place, then the oldest.
        let rank = |place: &Option<Entry>| match place {
            Some(old) if old.name == name => (0, 0),
            None => (1, 0),
            Some(old) => (2, old.used),
        };
        if let Some(place) = self.entries.iter_mut().min_by_key(|place| rank(place)) {
            *place = Some(entry);
        }
    }

    /// Forgets and wipes everything: a seed changed.
    pub fn clear(&mut self) {
        self.entries = [const { None }; ENTRIES];
    }
}

impl<const ENTRIES: usize> Default for Primaries<ENTRIES> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Backend;
    use crate::search::KeyKind;
    use crate::search::tests::find;

    #[test]
    fn the_least_recently_used_makes_room() {
        let primes =
            |seed: u64| find(KeyKind::usual(1024), Backend::detect(), seed << 32, u32::MAX).0;
        let (a, b, c) = (primes(1), primes(2), primes(3));
        let mut cache = Primaries::<2>::new();
        assert!(cache.find(&[1; 32]).is_none());
        cache.keep([1; 32], a.clone());
        cache.keep([2; 32], b.clone());
        assert_eq!(cache.find(&[1; 32]).unwrap().p(), a.p());
        cache.keep([3; 32], c.clone());
        assert!(!cache.contains(&[2; 32]));
        assert_eq!(cache.find(&[3; 32]).unwrap().q(), c.q());
        cache.keep([1; 32], b.clone());
        assert_eq!(cache.find(&[1; 32]).unwrap().p(), b.p());
        assert!(cache.contains(&[3; 32]), "a name is kept once");
        cache.clear();
        assert!(!cache.contains(&[1; 32]) && !cache.contains(&[3; 32]));
    }

    #[test]
    fn a_cache_without_room_keeps_nothing() {
        let mut cache = Primaries::<0>::new();
        let primes = find(KeyKind::usual(1024), Backend::detect(), 1, u32::MAX).0;
        cache.keep([1; 32], primes);
        assert!(cache.find(&[1; 32]).is_none());
    }
}
