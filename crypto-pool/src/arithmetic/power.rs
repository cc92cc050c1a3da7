// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exponentiation: with secrets by fixed windows, in steps or at once; with a public exponent by
//! squaring and multiplying.

use zeroize::Zeroize;

use super::backend::Backend;
use super::limbs::{bits, select};
use super::modulus::{Modulus, Residue, Scratch};

/// Bits of the exponent that one multiplication takes care of.
pub const WINDOW_BITS: usize = 5;
/// Powers of the base that are kept.
const TABLE_LENGTH: usize = 1 << WINDOW_BITS;

/// base ^ exponent in progress. Every exponent of `N` limbs takes the same operations, and every
/// look-up reads the whole table. Wiped on drop.
pub struct Power<const N: usize> {
    table: [Residue<N>; TABLE_LENGTH],
    exponent: [u64; N],
    accumulator: Residue<N>,
    /// Bits of the exponent that are still to be taken care of.
    left_bits: usize,
}

impl<const N: usize> Power<N> {
    /// Begins `base` ^ `exponent`.
    #[must_use]
    pub fn new(
        modulus: &Modulus<N>,
        scratch: &mut Scratch,
        base: &Residue<N>,
        exponent: &[u64; N],
    ) -> Self {
        let mut table = [modulus.one(); TABLE_LENGTH];
        let mut power = modulus.one();
        for (index, entry) in table.iter_mut().enumerate().skip(1) {
            power = if index == 1 { *base } else { modulus.multiply(scratch, &power, base) };
            *entry = power;
        }
        power.zeroize();
        Self { table, exponent: *exponent, accumulator: modulus.one(), left_bits: 64 * N }
    }

    /// Takes care of the next window. Returns the result after the last one.
    pub fn step(&mut self, modulus: &Modulus<N>, scratch: &mut Scratch) -> Option<Residue<N>> {
        if self.left_bits == 0 {
            return Some(self.accumulator);
        }
        // The first window is what is left over when the others are full.
        let width = match self.left_bits % WINDOW_BITS {
            0 => WINDOW_BITS,
            remainder => remainder,
        };
        self.left_bits -= width;
        if self.left_bits + width < 64 * N {
            modulus.square_times(scratch, &mut self.accumulator, width);
        }
        let mut factor = select(&self.table, bits(&self.exponent, self.left_bits, width));
        modulus.multiply_by(scratch, &mut self.accumulator, &factor);
        factor.zeroize();
        (self.left_bits == 0).then_some(self.accumulator)
    }

    /// Goes on to the end.
    #[must_use]
    pub fn finish(mut self, modulus: &Modulus<N>, scratch: &mut Scratch) -> Residue<N> {
        loop {
            if let Some(result) = self.step(modulus, scratch) {
                return result;
            }
        }
    }
}

impl<const N: usize> Drop for Power<N> {
    fn drop(&mut self) {
        self.table.as_flattened_mut().zeroize();
        self.exponent.zeroize();
        self.accumulator.zeroize();
    }
}

impl<const N: usize> core::fmt::Debug for Power<N> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Power({} bits left)", self.left_bits)
    }
}

/// `base` ^ `exponent` for a public exponent, in constant time for a secret base.
pub(crate) fn small_power<const N: usize>(
    modulus: &Modulus<N>,
    scratch: &mut Scratch,
    base: &Residue<N>,
    exponent: u32,
) -> Residue<N> {
    let mut accumulator = modulus.one();
    for position in (0..u32::BITS - exponent.leading_zeros()).rev() {
        modulus.square_times(scratch, &mut accumulator, 1);
        if exponent >> position & 1 != 0 {
            modulus.multiply_by(scratch, &mut accumulator, base);
        }
    }
    accumulator
}

/// Slices that are not equally long or of no supported length, or an even modulus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLength;

/// `result = base ^ exponent mod modulus`, in constant time for numbers of a given length:
/// 8, 16, 24 or 32 limbs each.
///
/// # Errors
/// [`BadLength`].
pub fn secret_power(
    backend: Backend,
    base: &[u64],
    exponent: &[u64],
    modulus: &[u64],
    result: &mut [u64],
) -> Result<(), BadLength> {
    match modulus.len() {
        8 => secret::<8>(backend, base, exponent, modulus, result),
        16 => secret::<16>(backend, base, exponent, modulus, result),
        24 => secret::<24>(backend, base, exponent, modulus, result),
        32 => secret::<32>(backend, base, exponent, modulus, result),
        _ => Err(BadLength),
    }
}

/// `result = base ^ exponent mod modulus`, in constant time for a secret base: 16, 32, 48 or 64
/// limbs each.
///
/// # Errors
/// [`BadLength`].
pub fn public_power(
    backend: Backend,
    base: &[u64],
    exponent: u32,
    modulus: &[u64],
    result: &mut [u64],
) -> Result<(), BadLength> {
    match modulus.len() {
        16 => public::<16>(backend, base, exponent, modulus, result),
        32 => public::<32>(backend, base, exponent, modulus, result),
        48 => public::<48>(backend, base, exponent, modulus, result),
        64 => public::<64>(backend, base, exponent, modulus, result),
        _ => Err(BadLength),
    }
}

fn secret<const N: usize>(
    backend: Backend,
    base: &[u64],
    exponent: &[u64],
    modulus: &[u64],
    result: &mut [u64],
) -> Result<(), BadLength> {
    let modulus = Modulus::<N>::new(number(modulus)?, backend).ok_or(BadLength)?;
    let mut scratch = Scratch::new();
    let mut base = modulus.enter(&mut scratch, number(base)?);
    let power = Power::new(&modulus, &mut scratch, &base, number(exponent)?);
    let mut residue = power.finish(&modulus, &mut scratch);
    write(&modulus.leave(&mut scratch, &residue), result)?;
    base.zeroize();
    residue.zeroize();
    Ok(())
}

fn public<const N: usize>(
    backend: Backend,
    base: &[u64],
    exponent: u32,
    modulus: &[u64],
    result: &mut [u64],
) -> Result<(), BadLength> {
    let modulus = Modulus::<N>::new(number(modulus)?, backend).ok_or(BadLength)?;
    let mut scratch = Scratch::new();
    let mut base = modulus.enter(&mut scratch, number(base)?);
    let mut residue = small_power(&modulus, &mut scratch, &base, exponent);
    write(&modulus.leave(&mut scratch, &residue), result)?;
    base.zeroize();
    residue.zeroize();
    Ok(())
}

fn number<const N: usize>(limbs: &[u64]) -> Result<&[u64; N], BadLength> {
    limbs.try_into().map_err(|_| BadLength)
}

fn write<const N: usize>(number: &[u64; N], result: &mut [u64]) -> Result<(), BadLength> {
    *<&mut [u64; N]>::try_from(result).map_err(|_| BadLength)? = *number;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_lengths_are_refused() {
        let limbs = [3; 64];
        let mut result = [0; 64];
        let backend = Backend::detect();
        for length in [0, 1, 7, 9, 33, 48, 64] {
            let s = &limbs[..length];
            let refused = secret_power(backend, s, s, s, &mut result[..length]);
            assert_eq!(refused, Err(BadLength));
        }
        for length in [0, 8, 24, 63] {
            let s = &limbs[..length];
            assert_eq!(public_power(backend, s, 3, s, &mut result[..length]), Err(BadLength));
        }
        let even = [2; 16];
        let s = &limbs[..16];
        assert_eq!(public_power(backend, s, 3, &even, &mut result[..16]), Err(BadLength));
        let mixed = secret_power(backend, s, &limbs[..8], s, &mut result[..16]);
        assert_eq!(mixed, Err(BadLength));
    }

    /// Against an implementation that has nothing in common with this one.
    fn agree<const N: usize>(backend: Backend) {
        use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
        use crypto_bigint::{Odd, Uint};
        let mut seed = 7u64;
        let mut number = || {
            core::array::from_fn::<u64, N, _>(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                seed ^ seed >> 29
            })
        };
        for _ in 0..4 {
            let (base, exponent, mut modulus) = (number(), number(), number());
            modulus[0] |= 1;
            let parameters = FixedMontyParams::new(Odd::new(Uint::from_words(modulus)).unwrap());
            let form = FixedMontyForm::new(&Uint::from_words(base), &parameters);
            let mut result = [0; N];
            secret_power(backend, &base, &exponent, &modulus, &mut result).unwrap();
            let expected = form.pow(&Uint::from_words(exponent)).retrieve();
            assert_eq!(result, expected.to_words());
        }
    }

    #[test]
    fn powers_agree_with_another_implementation() {
        for backend in [Backend::portable(), Backend::detect()] {
            agree::<8>(backend);
            agree::<16>(backend);
            agree::<24>(backend);
            agree::<32>(backend);
        }
    }

    #[test]
    fn small_exponents() {
        for backend in [Backend::portable(), Backend::detect()] {
            let mut number = [u64::MAX; 32];
            number[0] = u64::MAX - 1000;
            let (mut base, mut result) = ([0; 32], [0; 32]);
            base[0] = 3;
            public_power(backend, &base, 5, &number, &mut result).unwrap();
            assert_eq!((result[0], result[1..].iter().max()), (243, Some(&0)));
            public_power(backend, &base, 0, &number, &mut result).unwrap();
            assert_eq!((result[0], result[1..].iter().max()), (1, Some(&0)));
            secret_power(backend, &base, &[0; 32], &number, &mut result).unwrap();
            assert_eq!((result[0], result[1..].iter().max()), (1, Some(&0)));
        }
    }
}
