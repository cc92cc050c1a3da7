// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entropy from the processor's generator, with bounded retries and the continuous health tests of
//! NIST SP 800-90B, section 4.4. It only seeds generators.
//!
//! RDSEED gives full entropy (an SP 800-90C construction). Where there is only RDRAND, a generator
//! that is reseeded at least once in 511 outputs of 128 bits, 512 such outputs are hashed
//! for every 128 bits of seed. The samples of the health tests are the bytes of the raw values; the
//! cut-offs are for a far weaker claim, one bit of entropy in a byte, with a false alarm once in
//! 2^30 samples. A failed test is remembered.

use sha2::{Digest, Sha512};
use zeroize::{Zeroize, Zeroizing};

/// Attempts for one value before the source counts as broken.
const ATTEMPTS_MAX: usize = 10_000;
/// SP 800-90B, 4.4.1: 1 + ceil(30 / 1).
const REPETITION_CUTOFF: u32 = 31;
/// SP 800-90B, 4.4.2: window for samples that are not binary.
const PROPORTION_WINDOW: u32 = 512;
/// Values of eight samples in a window.
const WINDOW_VALUES: u32 = PROPORTION_WINDOW / 8;
/// SP 800-90B, 4.4.2: 1 + the critical binomial value for (512, 1/2, 1 - 2^-30).
const PROPORTION_CUTOFF: u32 = 325;

/// The source is broken; it stays so until the next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntropyFault;

/// Where values come from: one attempt, which may find nothing ready.
pub type Source = fn() -> Option<u64>;

/// What a source's values are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Full entropy: RDSEED.
    Full,
    /// Outputs of a reseeding generator: RDRAND.
    Generated,
}

/// Bytes of seed that are made at a time from generated values.
const BLOCK_SIZE: usize = 32;
/// Values for a block: 512 of 128 bits for every 128 bits.
const VALUES_PER_BLOCK: usize = 512 * 2 * (BLOCK_SIZE / 16);

/// A health-tested source.
#[derive(Debug)]
pub struct Entropy {
    source: Source,
    quality: Quality,
    health: Health,
    broken: bool,
}

impl Entropy {
    /// Starts the source, testing twice a window's worth of samples before the first is used.
    ///
    /// # Errors
    /// It is broken.
    pub fn start(source: Source, quality: Quality) -> Result<Self, EntropyFault> {
        let mut entropy = Self { source, quality, health: Health::new(), broken: false };
        for _ in 0..2 * WINDOW_VALUES {
            entropy.value()?;
        }
        Ok(entropy)
    }

    /// Another user of the same source, with health tests of its own.
    ///
    /// # Errors
    /// It is broken.
    pub fn another(&self) -> Result<Self, EntropyFault> {
        Self::start(self.source, self.quality)
    }

    /// Fills `bytes`.
    ///
    /// # Errors
    /// The source is broken; `bytes` are zeros then.
    pub fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyFault> {
        let filled = match self.quality {
            Quality::Full => self.fill_raw(bytes),
            Quality::Generated => self.fill_conditioned(bytes),
        };
        if filled.is_err() {
            bytes.zeroize();
        }
        filled
    }

    fn fill_raw(&mut self, bytes: &mut [u8]) -> Result<(), EntropyFault> {
        for part in bytes.chunks_mut(8) {
            let value = Zeroizing::new(self.value()?.to_ne_bytes());
            part.copy_from_slice(value.get(..part.len()).ok_or(EntropyFault)?);
        }
        Ok(())
    }

    fn fill_conditioned(&mut self, bytes: &mut [u8]) -> Result<(), EntropyFault> {
        for part in bytes.chunks_mut(BLOCK_SIZE) {
            let mut hash = Sha512::new();
            for _ in 0..VALUES_PER_BLOCK {
                hash.update(Zeroizing::new(self.value()?.to_ne_bytes()));
            }
            let mut digest = hash.finalize();
            part.copy_from_slice(digest.get(..part.len()).ok_or(EntropyFault)?);
            digest.as_mut_slice().zeroize();
        }
        Ok(())
    }

    /// One raw value that passed the tests.
    fn value(&mut self) -> Result<u64, EntropyFault> {
        if self.broken {
            return Err(EntropyFault);
        }
        let value = (0..ATTEMPTS_MAX).find_map(|_| {
            let value = (self.source)();
            if value.is_none() {
                core::hint::spin_loop();
            }
            value
        });
        match value.filter(|value| self.health.accepts_value(*value)) {
            Some(value) => Ok(value),
            None => {
                self.broken = true;
                Err(EntropyFault)
            }
        }
    }
}

/// The two continuous tests.
#[derive(Debug)]
struct Health {
    last: Option<u8>,
    repetitions: u32,
    window_sample: u8,
    window_count: u32,
    window_position: u32,
    windows: u32,
}

impl Health {
    const fn new() -> Self {
        Self {
            last: None,
            repetitions: 0,
            window_sample: 0,
            window_count: 0,
            window_position: 0,
            windows: 0,
        }
    }

    /// All bytes of a value, beginning with another one in each window: the first is what its
    /// window is compared with.
    fn accepts_value(&mut self, value: u64) -> bool {
        let rotated = Zeroizing::new(value.rotate_right(8 * (self.windows % 8)).to_ne_bytes());
        rotated.iter().all(|byte| self.accepts(*byte))
    }

    fn accepts(&mut self, sample: u8) -> bool {
        self.repetitions = if self.last == Some(sample) { self.repetitions + 1 } else { 1 };
        self.last = Some(sample);
        if self.window_position == 0 {
            self.window_sample = sample;
            self.window_count = 0;
            self.windows = self.windows.wrapping_add(1);
        }
        if sample == self.window_sample {
            self.window_count += 1;
        }
        self.window_position = (self.window_position + 1) % PROPORTION_WINDOW;
        self.repetitions < REPETITION_CUTOFF && self.window_count < PROPORTION_CUTOFF
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.last.zeroize();
        self.window_sample.zeroize();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(1) };
    }

    fn next() -> u64 {
        let mut state = STATE.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        STATE.set(state);
        state
    }

    /// A good source, as others' tests want one.
    pub(crate) fn good() -> Entropy {
        let source = || Some(next().wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Entropy::start(source, Quality::Full).unwrap()
    }

    thread_local! {
        static IS_BROKEN: Cell<bool> = const { Cell::new(false) };
    }

    /// A good source that breaks when it is told to.
    pub(crate) fn breakable() -> Entropy {
        let source = || {
            let value = next().wrapping_mul(0x9e37_79b9_7f4a_7c15);
            Some(if IS_BROKEN.get() { 0 } else { value })
        };
        Entropy::start(source, Quality::Full).unwrap()
    }

    /// Breaks this thread's [`breakable`] sources.
    pub(crate) fn break_now() {
        IS_BROKEN.set(true);
    }

    /// A good source that has nothing ready three times out of four.
    fn slow() -> Option<u64> {
        let value = next();
        (value & 3 == 0).then(|| next().wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    #[test]
    fn a_silent_source_is_broken() {
        assert_eq!(Entropy::start(|| None, Quality::Full).unwrap_err(), EntropyFault);
    }

    #[test]
    fn a_stuck_source_is_broken() {
        assert_eq!(Entropy::start(|| Some(u64::MAX), Quality::Full).unwrap_err(), EntropyFault);
        assert_eq!(Entropy::start(|| Some(0), Quality::Generated).unwrap_err(), EntropyFault);
    }

    #[test]
    fn a_source_that_prefers_a_byte_is_broken() {
        // Six of eight bytes equal, never 31 in a row.
        let biased = || Some(next() & 0xffff | 0xaaaa_aaaa_aaaa_0000);
        let outcome = Entropy::start(biased, Quality::Full)
            .and_then(|mut entropy| entropy.fill(&mut [0; 8192]));
        assert_eq!(outcome.unwrap_err(), EntropyFault);
    }

    #[test]
    fn a_fault_is_remembered_and_leaves_zeros() {
        fn fails_later() -> Option<u64> {
            let left = STATE.get();
            STATE.set(left.wrapping_add(1));
            Some(if left > 300 { 0 } else { left.wrapping_mul(0x9e37_79b9_7f4a_7c15) })
        }
        let mut entropy = Entropy::start(fails_later, Quality::Full).unwrap();
        STATE.set(301);
        let mut bytes = [1; 64];
        assert_eq!(entropy.fill(&mut bytes), Err(EntropyFault));
        assert_eq!(bytes, [0; 64]);
        STATE.set(1);
        assert_eq!(entropy.fill(&mut bytes), Err(EntropyFault));
    }

    #[test]
    fn a_good_source_passes_for_long() {
        for quality in [Quality::Full, Quality::Generated] {
            let mut entropy = Entropy::start(slow, quality).unwrap();
            let mut bytes = [0; 1003];
            entropy.fill(&mut bytes).unwrap();
            assert!(bytes.chunks(8).all(|part| part.iter().any(|byte| *byte != 0)));
        }
    }

    #[test]
    fn generated_values_are_hashed() {
        fn count() -> Option<u64> {
            let next = STATE.get().wrapping_add(1);
            STATE.set(next);
            Some(next.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        }
        let mut entropy = Entropy::start(count, Quality::Generated).unwrap();
        let before = STATE.get();
        let mut block = [0; BLOCK_SIZE];
        entropy.fill(&mut block).unwrap();
        assert_eq!(STATE.get() - before, 2048);
        let mut hash = Sha512::new();
        (1..=2048).for_each(|index| {
            hash.update((before + index).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_ne_bytes());
        });
        assert_eq!(block, hash.finalize()[..BLOCK_SIZE]);
    }
}
