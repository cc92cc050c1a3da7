// SPDX-License-Identifier: MIT OR Apache-2.0
//! A modulus with what Montgomery arithmetic needs of it, and residues.

use crypto_bigint::Uint;
use zeroize::Zeroize;

#[cfg(target_arch = "x86_64")]
use super::adx::Workspace;
use super::backend::{Backend, Kind};
use super::limbs::{double, subtract_once};

/// A residue in Montgomery form, less than its modulus. Plain limbs: whoever holds a secret one
/// wipes it.
pub type Residue<const N: usize> = [u64; N];

/// Room for intermediate results, to be reused from operation to operation; wiped on drop. Counts
/// what it is used for.
pub struct Scratch {
    #[cfg(target_arch = "x86_64")]
    workspace: Workspace,
    multiplications: u32,
}

impl Scratch {
    /// New room.
    #[must_use]
    pub fn new() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            workspace: Workspace::new(),
            multiplications: 0,
        }
    }

    /// Multiplications and squarings that were done in it, modulo 2^32.
    #[must_use]
    pub const fn multiplications(&self) -> u32 {
        self.multiplications
    }

    const fn count(&mut self) {
        self.multiplications = self.multiplications.wrapping_add(1);
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Scratch {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("Scratch")
    }
}

/// An odd modulus. Wiped on drop.
pub struct Modulus<const N: usize> {
    number: [u64; N],
    /// 2^(64·N) modulo the number.
    one: Residue<N>,
    /// -1/number modulo 2^64.
    negative_inverse: u64,
    backend: Backend,
}

impl<const N: usize> Modulus<N> {
    /// The modulus `number`, unless it is even or 1. In constant time for numbers whose highest bit
    /// is set, as those of keys and primes are.
    #[must_use]
    pub fn new(number: &[u64; N], backend: Backend) -> Option<Self> {
        let lowest = number.first().copied().filter(|lowest| lowest & 1 == 1)?;
        let mut modulus = Self {
            number: *number,
            one: [0; N],
            negative_inverse: negative_inverse(lowest),
            backend,
        };
        if modulus.number == unit() {
            return None;
        }
        if number.last().is_some_and(|highest| highest >> 63 == 1) {
            // 2^(64·N) less the number is less than the number.
            let mut borrow = false;
            for (place, limb) in modulus.one.iter_mut().zip(number) {
                (*place, borrow) = 0u64.borrowing_sub(*limb, borrow);
            }
        } else {
            modulus.one = unit();
            for _ in 0..64 * N {
                modulus.one = modulus.double(&modulus.one);
            }
        }
        Some(modulus)
    }

    /// The modulus as a number.
    #[must_use]
    pub const fn number(&self) -> &[u64; N] {
        &self.number
    }

    /// 1.
    #[must_use]
    pub const fn one(&self) -> Residue<N> {
        self.one
    }

    /// -1.
    #[must_use]
    pub fn minus_one(&self) -> Residue<N> {
        let number = Uint::from_words(self.number);
        number.wrapping_sub(&Uint::from_words(self.one)).to_words()
    }

    /// a · b.
    #[must_use]
    pub fn multiply(&self, scratch: &mut Scratch, a: &Residue<N>, b: &Residue<N>) -> Residue<N> {
        let mut product = *a;
        self.multiply_by(scratch, &mut product, b);
        product
    }

    /// a².
    #[must_use]
    pub fn square(&self, scratch: &mut Scratch, a: &Residue<N>) -> Residue<N> {
        let mut square = *a;
        self.square_times(scratch, &mut square, 1);
        square
    }

    /// a = a · b.
    pub fn multiply_by(&self, scratch: &mut Scratch, a: &mut Residue<N>, b: &Residue<N>) {
        scratch.count();
        match self.backend.0 {
            Kind::Portable => {
                *a = self.reduce(Uint::from_words(*a).widening_mul(&Uint::from_words(*b)));
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Adx(adx) => {
                adx.multiply(&mut scratch.workspace, &self.number, self.negative_inverse, a, b);
            }
        }
    }

    /// a = a ^ 2^`count`.
    pub fn square_times(&self, scratch: &mut Scratch, a: &mut Residue<N>, count: usize) {
        for _ in 0..count {
            scratch.count();
            match self.backend.0 {
                Kind::Portable => *a = self.reduce(Uint::from_words(*a).widening_square()),
                #[cfg(target_arch = "x86_64")]
                Kind::Adx(adx) => {
                    adx.square(&mut scratch.workspace, &self.number, self.negative_inverse, a);
                }
            }
        }
    }

    /// A product divided by 2^(64·N), for the portable backend: limb by limb from below, a multiple
    /// of the modulus makes the lowest limb zero.
    fn reduce(&self, (low, high): (Uint<N>, Uint<N>)) -> Residue<N> {
        let (mut low, mut high) = (low.to_words(), high.to_words());
        let mut overflow = 0;
        for row in 0..N {
            let quotient = low.get(row).copied().unwrap_or(0).wrapping_mul(self.negative_inverse);
            let mut carry = 0;
            let sum = low.iter_mut().chain(&mut high).skip(row);
            for (place, limb) in sum.zip(&self.number) {
                (*place, carry) = limb.carrying_mul_add(quotient, *place, carry);
            }
            // The row ends below this limb; what falls out of it belongs to the next row's end.
            if let Some(place) = high.get_mut(row) {
                let (sum, first) = place.overflowing_add(carry);
                let (sum, second) = sum.overflowing_add(overflow);
                *place = sum;
                overflow = u64::from(first) + u64::from(second);
            }
        }
        let result = subtract_once(&high, overflow, &self.number);
        low.zeroize();
        high.zeroize();
        result
    }

    /// 2 · a.
    #[must_use]
    pub fn double(&self, a: &Residue<N>) -> Residue<N> {
        let mut sum = *a;
        let carry = double(&mut sum);
        subtract_once(&sum, carry, self.number())
    }

    /// The Montgomery form of any number of `N` limbs.
    #[must_use]
    pub fn enter(&self, scratch: &mut Scratch, number: &[u64; N]) -> Residue<N> {
        // 2^(64·N) in Montgomery form: 64·N is odd·2^squarings, so 2^odd is squared as often.
        let squarings = (64 * N).trailing_zeros();
        let mut factor = self.one;
        for _ in 0..(64 * N) >> squarings {
            factor = self.double(&factor);
        }
        for _ in 0..squarings {
            self.square_times(scratch, &mut factor, 1);
        }
        // One factor may be any number of N limbs: the product is still less than 2^(64·N) times
        // the modulus, which is all that the reduction needs.
        self.multiply_by(scratch, &mut factor, number);
        factor
    }

    /// The number, less than the modulus, whose Montgomery form is `residue`.
    #[must_use]
    pub fn leave(&self, scratch: &mut Scratch, residue: &Residue<N>) -> [u64; N] {
        self.multiply(scratch, residue, &unit())
    }
}

/// The number 1.
fn unit<const N: usize>() -> [u64; N] {
    let mut one = [0; N];
    if let Some(lowest) = one.first_mut() {
        *lowest = 1;
    }
    one
}

/// -1/`odd` modulo 2^64, by Newton's iteration; x·x = 1 modulo 8 to begin with.
const fn negative_inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut bits = 3;
    while bits < u64::BITS {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        bits *= 2;
    }
    inverse.wrapping_neg()
}

impl<const N: usize> Drop for Modulus<N> {
    fn drop(&mut self) {
        self.number.zeroize();
        self.one.zeroize();
        self.negative_inverse.zeroize();
    }
}

impl<const N: usize> core::fmt::Debug for Modulus<N> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Modulus({} limbs)", N)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    struct Numbers(u64);

    impl Numbers {
        fn word(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        /// A number of random limbs, often with limbs of all ones or zeros, where carries are.
        fn number<const N: usize>(&mut self) -> [u64; N] {
            let kind = self.word() % 4;
            core::array::from_fn(|_| match (kind, self.word() % 4) {
                (0, _) | (1, 0) => self.word(),
                (1, _) | (2, 0) => u64::MAX,
                (2, _) | (3, 0) => 0,
                _ => 1 << (self.word() % 64),
            })
        }
    }

    /// Both backends give the same limbs, for moduli of any size below 2^(64·N).
    fn agree<const N: usize>(rounds: u32) {
        let detected = Backend::detect();
        let mut numbers = Numbers(0x1234_5678_9abc_def1);
        let mut scratch = Scratch::new();
        for round in 0..rounds {
            let mut modulus = numbers.number::<N>();
            modulus[0] |= 1;
            if round % 2 == 0 {
                modulus[N - 1] |= 1 << 63;
            }
            let Some(portable) = Modulus::new(&modulus, Backend::portable()) else { continue };
            let fast = Modulus::new(&modulus, detected).unwrap();
            for _ in 0..4 {
                let (a, b) = (numbers.number::<N>(), numbers.number::<N>());
                let (a, b) = (portable.enter(&mut scratch, &a), portable.enter(&mut scratch, &b));
                for (a, b) in [(a, b), (a, portable.minus_one()), (portable.minus_one(), b)] {
                    let expected = portable.multiply(&mut scratch, &a, &b);
                    assert_eq!(fast.multiply(&mut scratch, &a, &b), expected);
                    let expected = portable.square(&mut scratch, &a);
                    assert_eq!(fast.square(&mut scratch, &a), expected);
                    assert_eq!(fast.multiply(&mut scratch, &a, &a), expected);
                    let number = portable.leave(&mut scratch, &a);
                    assert_eq!(fast.leave(&mut scratch, &a), number);
                    assert_eq!(fast.enter(&mut scratch, &number), a);
                }
            }
        }
    }

    #[test]
    fn the_backends_agree() {
        agree::<8>(2000);
        agree::<16>(2000);
        agree::<24>(1000);
        agree::<32>(1000);
        agree::<48>(300);
        agree::<64>(300);
    }

    /// The long form of the above: `cargo test --release -p crypto-pool -- --ignored`.
    #[test]
    #[ignore = "takes a minute"]
    fn the_backends_agree_on_millions() {
        agree::<8>(200_000);
        agree::<16>(200_000);
        agree::<24>(100_000);
        agree::<32>(100_000);
        agree::<64>(20_000);
    }

    #[test]
    fn even_moduli_and_one_are_refused() {
        let mut one = [0; 8];
        assert!(Modulus::new(&one, Backend::detect()).is_none());
        one[0] = 1;
        assert!(Modulus::new(&one, Backend::detect()).is_none());
        one[0] = 2;
        assert!(Modulus::new(&one, Backend::detect()).is_none());
        one[0] = 3;
        assert!(Modulus::new(&one, Backend::detect()).is_some());
    }

    #[test]
    fn residues_of_one_two_and_minus_one() {
        for backend in [Backend::portable(), Backend::detect()] {
            let mut number = [u64::MAX; 16];
            number[0] = u64::MAX - 104;
            let modulus = Modulus::new(&number, backend).unwrap();
            let mut scratch = Scratch::new();
            let mut expected = [0; 16];
            expected[0] = 1;
            assert_eq!(modulus.leave(&mut scratch, &modulus.one()), expected);
            let two = modulus.double(&modulus.one());
            expected[0] = 2;
            assert_eq!(modulus.leave(&mut scratch, &two), expected);
            let square = modulus.square(&mut scratch, &modulus.minus_one());
            assert_eq!(square, modulus.one());
            let doubled = modulus.double(&modulus.minus_one());
            let minus_two = modulus.multiply(&mut scratch, &two, &modulus.minus_one());
            assert_eq!(doubled, minus_two);
        }
    }
}
