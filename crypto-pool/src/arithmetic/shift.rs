// SPDX-License-Identifier: MIT OR Apache-2.0
//! Multiplication by small powers of two, for a test with base 2: a shift, one multiplication of
//! the modulus by a limb, and a subtraction, instead of a doubling for each bit.

use zeroize::Zeroize;

use super::limbs::subtract_once;

/// Bits by which one multiplication shifts at most.
pub(crate) const SHIFT_MAX: u64 = 31;

/// What shifting modulo c needs, for a c whose highest bit is set. Wiped on drop.
pub(crate) struct Shift {
    /// ⌊2^127 / d⌋, where d is the highest limb of c plus 1.
    reciprocal: u64,
}

impl Shift {
    /// For the modulus c. In constant time.
    pub(crate) fn new<const N: usize>(modulus: &[u64; N]) -> Self {
        let divisor = u128::from(modulus.last().copied().unwrap_or(u64::MAX)) + 1;
        // Long division, bit by bit: the divisor is above 2^63 and what is left is below it.
        let (mut rest, mut reciprocal) = (1u128 << 63, 0u64);
        for _ in 0..u64::BITS {
            rest <<= 1;
            let fits = core::hint::black_box(u64::from(rest >= divisor));
            rest -= divisor & u128::from(fits).wrapping_neg();
            reciprocal = reciprocal << 1 | fits;
        }
        Self { reciprocal }
    }

    /// 2^`bits` · `number` modulo the same modulus, for a number less than it and at most
    /// [`SHIFT_MAX`] bits. In constant time.
    ///
    /// The quotient is found from the highest 63 bits of the shifted number: with those that are
    /// left out and d in the place of c it comes out too small by 1 at most, since it has no more
    /// than 32 bits and the errors are below 2^-30 of it.
    pub(crate) fn apply<const N: usize>(
        &self,
        modulus: &[u64; N],
        number: &[u64; N],
        bits: u64,
    ) -> [u64; N] {
        let mut shifted = [0; N];
        let mut carry = 0;
        for (place, limb) in shifted.iter_mut().zip(number) {
            *place = limb << bits | carry;
            // The bits that fall out; none for a shift by 0.
            carry = (limb >> 1) >> (63 - bits);
        }
        let highest = shifted.last().copied().unwrap_or(0);
        let top = carry << 32 | highest >> 32;
        let quotient = top.carrying_mul(self.reciprocal, 0).1 >> 31;
        let (mut product, mut borrow) = (0, false);
        for (place, limb) in shifted.iter_mut().zip(modulus) {
            let low;
            (low, product) = limb.carrying_mul(quotient, product);
            (*place, borrow) = place.borrowing_sub(low, borrow);
        }
        let carry = carry.wrapping_sub(product).wrapping_sub(u64::from(borrow));
        let result = subtract_once(&shifted, carry, modulus);
        shifted.zeroize();
        result
    }
}

impl Drop for Shift {
    fn drop(&mut self) {
        self.reciprocal.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_bigint::{NonZero, Uint};

    /// The same by shifting a longer number and dividing it.
    fn expected(modulus: &[u64; 8], number: &[u64; 8], bits: u64) -> [u64; 8] {
        let wide = |limbs: &[u64; 8]| Uint::<8>::from_words(*limbs).resize::<9>();
        let shifted = wide(number).shl_vartime(u32::try_from(bits).unwrap());
        let divisor = NonZero::new(wide(modulus)).unwrap();
        shifted.rem_vartime(&divisor).resize::<8>().to_words()
    }

    #[test]
    fn the_reciprocal_of_the_least_and_the_greatest_modulus() {
        let of = |highest: u64| Shift::new(&[0, highest]).reciprocal;
        assert_eq!(of(u64::MAX), 1 << 63);
        let least = 1 << 63;
        assert_eq!(u128::from(of(least)), (1u128 << 127) / (u128::from(least) + 1));
    }

    #[test]
    fn shifts_agree_with_division() {
        let mut seed = 5u64;
        let mut word = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1442);
            match seed >> 62 {
                0 => u64::MAX,
                1 => 0,
                _ => seed ^ seed >> 29,
            }
        };
        for round in 0..4000 {
            let mut modulus: [u64; 8] = core::array::from_fn(|_| word());
            modulus[0] |= 1;
            modulus[7] |= 1 << 63;
            let shift = Shift::new(&modulus);
            let largest = Uint::<8>::from_words(modulus).wrapping_sub(&Uint::ONE).to_words();
            let random = core::array::from_fn(|_| word());
            let random = subtract_once(&random, 0, &modulus);
            for number in [random, largest, [0; 8]] {
                let bits = round % (SHIFT_MAX + 1);
                let found = shift.apply(&modulus, &number, bits);
                assert_eq!(found, expected(&modulus, &number, bits), "{modulus:x?} {number:x?}");
            }
        }
    }
}
