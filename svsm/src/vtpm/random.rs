// SPDX-License-Identifier: MIT OR Apache-2.0
//! A platform's entropy as the store wants it: for its keys and boot nonces.

use rand_core::{TryCryptoRng, TryRng};

/// The source gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEntropy;

impl core::fmt::Display for NoEntropy {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("no entropy")
    }
}

impl core::error::Error for NoEntropy {}

/// A function that fills a buffer with full-entropy bytes, or says that it can't.
pub struct Randomness<F>(F);

impl<F: FnMut(&mut [u8]) -> bool> Randomness<F> {
    /// Takes the function.
    pub const fn new(fill: F) -> Self {
        Self(fill)
    }

    fn draw<const N: usize>(&mut self) -> Result<[u8; N], NoEntropy> {
        let mut bytes = [0; N];
        self.try_fill_bytes(&mut bytes)?;
        Ok(bytes)
    }
}

impl<F: FnMut(&mut [u8]) -> bool> TryRng for Randomness<F> {
    type Error = NoEntropy;

    fn try_next_u32(&mut self) -> Result<u32, NoEntropy> {
        self.draw().map(u32::from_le_bytes)
    }

    fn try_next_u64(&mut self) -> Result<u64, NoEntropy> {
        self.draw().map(u64::from_le_bytes)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        if (self.0)(bytes) { Ok(()) } else { Err(NoEntropy) }
    }
}

impl<F: FnMut(&mut [u8]) -> bool> TryCryptoRng for Randomness<F> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_fails_gives_nothing() {
        let mut random = Randomness::new(|_: &mut [u8]| false);
        assert_eq!(random.try_next_u32(), Err(NoEntropy));
        assert_eq!(random.try_next_u64(), Err(NoEntropy));
        assert_eq!(random.try_fill_bytes(&mut [0; 3]), Err(NoEntropy));
    }

    #[test]
    fn everything_comes_from_the_source() {
        let mut next = 0;
        let mut random = Randomness::new(|bytes: &mut [u8]| {
            bytes.iter_mut().for_each(|byte| {
                next += 1;
                *byte = next;
            });
            true
        });
        assert_eq!(random.try_next_u32(), Ok(0x0403_0201));
        let mut bytes = [0; 2];
        random.try_fill_bytes(&mut bytes).unwrap();
        assert_eq!(bytes, [5, 6]);
    }
}
