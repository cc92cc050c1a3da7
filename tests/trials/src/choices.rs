// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a generator's choices come from: a seed, or a fuzzer's octets.

/// A source of choices. The same source gives the same choices.
#[derive(Clone, Debug)]
pub struct Choices<'a> {
    octets: Option<&'a [u8]>,
    state: u64,
}

impl<'a> Choices<'a> {
    /// Endless choices from a seed.
    pub const fn from_seed(seed: u64) -> Self {
        Self { octets: None, state: seed }
    }

    /// The choices that these octets are; zero once they are used up.
    pub const fn from_octets(octets: &'a [u8]) -> Self {
        Self { octets: Some(octets), state: 0 }
    }

    /// Whether there is nothing left to choose with.
    pub const fn is_exhausted(&self) -> bool {
        matches!(self.octets, Some([]))
    }

    /// Any 64 bits: SplitMix64, or eight octets at most.
    pub fn word(&mut self) -> u64 {
        if self.octets.is_some() {
            return (0..8).fold(0, |word, _| word << 8 | u64::from(self.octet()));
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    /// Any octet.
    pub fn octet(&mut self) -> u8 {
        match &mut self.octets {
            None => self.word().to_be_bytes()[0],
            Some(octets) => match octets.split_first() {
                None => 0,
                Some((first, rest)) => {
                    *octets = rest;
                    *first
                }
            },
        }
    }

    /// A number below `limit`, 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        match limit {
            0 => 0,
            1..=256 if self.octets.is_some() => usize::from(self.octet()) % limit,
            _ => (self.word() >> 16) as usize % limit,
        }
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times.saturating_sub(1)
    }

    /// One of them.
    ///
    /// # Panics
    /// When there are none.
    pub fn one_of<'b, T>(&mut self, all: &'b [T]) -> &'b T {
        &all[self.below(all.len())]
    }

    /// One of them, `None` if there are none.
    pub fn any_of<'b, T>(&mut self, all: &'b [T]) -> Option<&'b T> {
        if all.is_empty() { None } else { Some(self.one_of(all)) }
    }

    /// So many octets.
    pub fn octets(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.octet()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_run_out_and_seeds_do_not() {
        let mut choices = Choices::from_octets(&[7, 200]);
        assert_eq!((choices.below(5), choices.octet()), (2, 200));
        assert!(choices.is_exhausted());
        assert_eq!(choices.word(), 0);
        let mut seeded = Choices::from_seed(1);
        let drawn: Vec<_> = (0..100).map(|_| seeded.below(10)).collect();
        assert!((0..10).all(|number| drawn.contains(&number)));
        assert!(!seeded.is_exhausted());
    }
}
