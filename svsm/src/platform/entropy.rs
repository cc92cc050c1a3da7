// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entropy from RDSEED, with bounded retries and the continuous health tests of NIST SP 800-90B,
//! section 4.4. It only seeds generators.
//!
//! The samples are RDSEED's bytes. RDSEED is conditioned to full entropy (Intel and AMD specify it
//! as an SP 800-90C construction); the cut-offs are for the far weaker claim of one bit of
//! entropy in a byte, with a false alarm once in 2^30 samples. A failed test is remembered.

use zeroize::Zeroize;

/// Attempts for one value before the source counts as broken.
const ATTEMPTS_MAX: usize = 10_000;
/// SP 800-90B, 4.4.1: 1 + ceil(30 / 1).
const REPETITION_CUTOFF: u32 = 31;
/// SP 800-90B, 4.4.2: window for samples that are not binary.
const PROPORTION_WINDOW: u32 = 512;
/// SP 800-90B, 4.4.2: 1 + the critical binomial value for (512, 1/2, 1 - 2^-30).
const PROPORTION_CUTOFF: u32 = 325;

/// The source is broken; it stays so until the next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntropyFault;

/// Where values come from: one attempt, which may find nothing ready.
pub type Source = fn() -> Option<u64>;

/// A health-tested source.
#[derive(Debug)]
pub struct Entropy {
    source: Source,
    health: Health,
    broken: bool,
}

impl Entropy {
    /// Starts the source, testing twice a window's worth of samples before the first is used.
    ///
    /// # Errors
    /// It is broken.
    pub fn start(source: Source) -> Result<Self, EntropyFault> {
        let mut entropy = Self { source, health: Health::new(), broken: false };
        let mut discarded = [0; 2 * PROPORTION_WINDOW as usize];
        let tested = entropy.fill(&mut discarded);
        discarded.zeroize();
        tested.map(|()| entropy)
    }

    /// Fills `bytes`.
    ///
    /// # Errors
    /// The source is broken; `bytes` are zeros then.
    pub fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyFault> {
        for part in bytes.chunks_mut(8) {
            let Some(mut value) = self.value().map(u64::to_ne_bytes) else {
                self.broken = true;
                break;
            };
            part.copy_from_slice(value.get(..part.len()).unwrap_or(&[0; 8]));
            value.zeroize();
        }
        if self.broken {
            bytes.zeroize();
            return Err(EntropyFault);
        }
        Ok(())
    }

    fn value(&mut self) -> Option<u64> {
        if self.broken {
            return None;
        }
        let value = (0..ATTEMPTS_MAX).find_map(|_| {
            let value = (self.source)();
            if value.is_none() {
                core::hint::spin_loop();
            }
            value
        })?;
        let mut bytes = value.to_ne_bytes();
        let healthy = bytes.iter().all(|byte| self.health.accepts(*byte));
        bytes.zeroize();
        healthy.then_some(value)
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
}

impl Health {
    const fn new() -> Self {
        Self { last: None, repetitions: 0, window_sample: 0, window_count: 0, window_position: 0 }
    }

    fn accepts(&mut self, sample: u8) -> bool {
        self.repetitions = if self.last == Some(sample) { self.repetitions + 1 } else { 1 };
        self.last = Some(sample);
        if self.window_position == 0 {
            self.window_sample = sample;
            self.window_count = 0;
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
mod tests {
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

    /// A good source that has nothing ready three times out of four.
    fn slow() -> Option<u64> {
        let value = next();
        (value & 3 == 0).then(|| next().wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    #[test]
    fn a_silent_source_is_broken() {
        assert_eq!(Entropy::start(|| None).unwrap_err(), EntropyFault);
    }

    #[test]
    fn a_stuck_source_is_broken() {
        assert_eq!(Entropy::start(|| Some(u64::MAX)).unwrap_err(), EntropyFault);
        assert_eq!(Entropy::start(|| Some(0)).unwrap_err(), EntropyFault);
    }

    #[test]
    fn a_source_that_prefers_a_byte_is_broken() {
        // Five of eight bytes equal, never 31 in a row.
        let biased = || Some(next() & 0xff_ffff | 0xaaaa_aaaa_aa00_0000);
        let outcome = Entropy::start(biased).and_then(|mut entropy| entropy.fill(&mut [0; 4096]));
        assert_eq!(outcome.unwrap_err(), EntropyFault);
    }

    #[test]
    fn a_fault_is_remembered_and_leaves_zeros() {
        fn fails_later() -> Option<u64> {
            let left = STATE.get();
            STATE.set(left.wrapping_add(1));
            Some(if left > 300 { 0 } else { left.wrapping_mul(0x9e37_79b9_7f4a_7c15) })
        }
        let mut entropy = Entropy::start(fails_later).unwrap();
        STATE.set(301);
        let mut bytes = [1; 64];
        assert_eq!(entropy.fill(&mut bytes), Err(EntropyFault));
        assert_eq!(bytes, [0; 64]);
        STATE.set(1);
        assert_eq!(entropy.fill(&mut bytes), Err(EntropyFault));
    }

    #[test]
    fn a_good_source_passes_for_long() {
        let mut entropy = Entropy::start(slow).unwrap();
        let mut bytes = [0; 100_003];
        entropy.fill(&mut bytes).unwrap();
        assert!(bytes.iter().any(|byte| *byte != 0));
    }
}
