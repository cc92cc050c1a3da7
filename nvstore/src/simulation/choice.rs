// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a harness takes its decisions from: a seed, or the bytes that a fuzzer gives.

use super::random::SimulatedRandom;

/// A source of decisions.
pub trait Choice {
    /// A number below `bound`, or 0 when that is 0.
    fn below(&mut self, bound: usize) -> usize;

    /// Whether there is nothing left to decide with.
    fn is_exhausted(&self) -> bool;

    /// True once in `n` times.
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Any byte.
    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or_default()
    }
}

impl Choice for SimulatedRandom {
    fn below(&mut self, bound: usize) -> usize {
        SimulatedRandom::below(self, bound)
    }
    fn is_exhausted(&self) -> bool {
        false
    }
}

/// Decisions spelled out in bytes; all 0 once they are used up.
pub struct Script<'a> {
    rest: &'a [u8],
}

impl<'a> Script<'a> {
    /// Takes decisions from these bytes, first to last.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl Choice for Script<'_> {
    fn below(&mut self, bound: usize) -> usize {
        let bytes = if bound > 256 { 2 } else { 1 };
        let (taken, rest) = self.rest.split_at(self.rest.len().min(bytes));
        self.rest = rest;
        let number = taken.iter().fold(0, |number, &byte| number << 8 | usize::from(byte));
        number.checked_rem(bound).unwrap_or(0)
    }
    fn is_exhausted(&self) -> bool {
        self.rest.is_empty()
    }
}
