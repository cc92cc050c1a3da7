// SPDX-License-Identifier: MIT OR Apache-2.0
//! The search for the two primes of a key (FIPS 186-5, A.1.3): two prime searches, then Assemble
//! and PairwiseTest.

use crypto_bigint::{Limb, NonZero, Odd, Uint};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::effort::Effort;
use super::prime::{PrimeSearch, SearchFault, Secret, random_number};
use crate::arithmetic::limbs::subtract_once;
use crate::arithmetic::power::small_power;
use crate::arithmetic::{Backend, Modulus, Power};
use crate::random::{NoRandomness, Random};

/// The two primes of a key must differ by more than 2 to the power of their length less this
/// (A.1.3, step 5.5).
const DIFFERENCE_BITS: u32 = 100;
/// What else the beginning of a pairwise test takes beside multiplications: the inversion.
const ASSEMBLE_COST: u32 = 10;
/// Multiplications by which a step can be longer than its budget: between two looks at what was
/// done there are a window of six and the 64 of the longest public exponent. (A prime less 1 with
/// more than 64 factors of 2 would take as many in the last test; one in 2^64 is like that.)
pub const OVERSHOOT: u32 = 6 + 64 - 1;
/// Bytes of the longest prime.
const PRIME_SIZE_MAX: usize = 256;

/// A kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyKind {
    /// Length of the modulus: 1024, 2048, 3072 or 4096.
    pub bits: u16,
    /// The public exponent, an odd prime.
    pub exponent: u32,
}

impl KeyKind {
    /// Keys of `bits` bits with the usual exponent, 65537.
    #[must_use]
    pub const fn usual(bits: u16) -> Self {
        Self { bits, exponent: 65537 }
    }

    /// How many multiplications of its primes' length take as long as `budget` of 1024 bits: that
    /// grows with the square of the length.
    #[must_use]
    pub fn scale(self, budget: u32) -> u32 {
        let ratio = u64::from(self.bits.max(1));
        let scaled = u64::from(budget) * 2048 * 2048 / (ratio * ratio);
        u32::try_from(scaled).unwrap_or(u32::MAX).max(1)
    }

    /// How many multiplications of 1024 bits take as long as `count` of its primes' length.
    #[must_use]
    pub fn weigh(self, count: u32) -> u32 {
        let ratio = u64::from(self.bits);
        let weight = u64::from(count) * ratio * ratio / (2048 * 2048);
        u32::try_from(weight).unwrap_or(u32::MAX)
    }

    /// Length of a prime, in bytes.
    #[must_use]
    pub fn prime_size(self) -> usize {
        usize::from(self.bits / 16)
    }
}

/// The two primes of a key, big-endian; wiped on drop.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RsaPrimes {
    size: usize,
    p: [u8; PRIME_SIZE_MAX],
    q: [u8; PRIME_SIZE_MAX],
}

impl RsaPrimes {
    /// The prime that was found first.
    #[must_use]
    pub fn p(&self) -> &[u8] {
        self.p.get(..self.size).unwrap_or(&self.p)
    }

    /// The prime that was found second.
    #[must_use]
    pub fn q(&self) -> &[u8] {
        self.q.get(..self.size).unwrap_or(&self.q)
    }

    fn new<const N: usize>(p: &[u64; N], q: &[u64; N]) -> Self {
        let mut primes = Self { size: 8 * N, p: [0; PRIME_SIZE_MAX], q: [0; PRIME_SIZE_MAX] };
        for (number, bytes) in [(p, &mut primes.p), (q, &mut primes.q)] {
            let chunks = bytes.as_chunks_mut::<8>().0;
            chunks.iter_mut().zip(number.iter().rev()).for_each(|(chunk, limb)| {
                *chunk = limb.to_be_bytes();
            });
        }
        primes
    }
}

impl core::fmt::Debug for RsaPrimes {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "RsaPrimes({} bytes each)", self.size)
    }
}

/// The search for a key. Everything secret in it is wiped on drop.
#[derive(Debug)]
pub struct KeySearch {
    search: Search,
    draws: u32,
    work: u32,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is no allocator to put a variant away")]
enum Search {
    Rsa1024(PairSearch<8>),
    Rsa2048(PairSearch<16>),
    Rsa3072(PairSearch<24>),
    Rsa4096(PairSearch<32>),
}

impl KeySearch {
    /// Begins a search.
    ///
    /// # Errors
    /// [`SearchFault::Unsupported`] for other lengths, or an exponent that is even or less than 3
    /// (that it is prime is for the caller to know).
    pub fn new(kind: KeyKind, backend: Backend) -> Result<Self, SearchFault> {
        if kind.exponent < 3 || kind.exponent.is_multiple_of(2) {
            return Err(SearchFault::Unsupported);
        }
        let search = match kind.bits {
            1024 => Search::Rsa1024(PairSearch::new(kind.exponent, backend)),
            2048 => Search::Rsa2048(PairSearch::new(kind.exponent, backend)),
            3072 => Search::Rsa3072(PairSearch::new(kind.exponent, backend)),
            4096 => Search::Rsa4096(PairSearch::new(kind.exponent, backend)),
            _ => return Err(SearchFault::Unsupported),
        };
        Ok(Self { search, draws: 0, work: 0 })
    }

    /// Goes on until the key is found or `budget` multiplications of primes' length are used up (at
    /// most [`OVERSHOOT`] more): then there is none yet. After it is found, a new search begins.
    ///
    /// * `draws` determines the primes.
    /// * `witnesses` is another generator, for the tests.
    ///
    /// # Errors
    /// [`SearchFault::Randomness`] and, if the key does not work, [`SearchFault::Arithmetic`].
    pub fn step(
        &mut self,
        budget: u32,
        draws: &mut dyn Random,
        witnesses: &mut dyn Random,
    ) -> Result<Option<RsaPrimes>, SearchFault> {
        let draws = &mut Counted { random: draws, requests: &mut self.draws };
        let effort = &mut Effort::new(budget);
        let found = match &mut self.search {
            Search::Rsa1024(search) => search.step(effort, draws, witnesses),
            Search::Rsa2048(search) => search.step(effort, draws, witnesses),
            Search::Rsa3072(search) => search.step(effort, draws, witnesses),
            Search::Rsa4096(search) => search.step(effort, draws, witnesses),
        };
        self.work = self.work.saturating_add(effort.done());
        found
    }

    /// Multiplications of primes' length since this was asked last, as they were counted where they
    /// are done, and what other work weighs.
    pub const fn take_work(&mut self) -> u32 {
        core::mem::replace(&mut self.work, 0)
    }

    /// Numbers that were drawn since this was asked last. All but the primes of a key that was
    /// found are rejected, or still being tested.
    pub const fn take_draws(&mut self) -> u32 {
        core::mem::replace(&mut self.draws, 0)
    }
}

/// A generator, and how often it was asked: once for each number that is drawn.
struct Counted<'a> {
    random: &'a mut dyn Random,
    requests: &'a mut u32,
}

impl Random for Counted<'_> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        *self.requests = self.requests.saturating_add(1);
        self.random.fill(bytes)
    }
}

struct PairSearch<const N: usize> {
    exponent: u32,
    backend: Backend,
    phase: Phase<N>,
}

/// Changes in place, as the variants are large.
enum Phase<const N: usize> {
    Search {
        p: Option<Secret<N>>,
        search: PrimeSearch<N>,
    },
    /// The test modulo one of the primes, if it has begun, and whether it is the second one.
    PairwiseTest {
        p: Secret<N>,
        q: Secret<N>,
        half: Option<Half<N>>,
        second: bool,
    },
}

/// The pairwise test modulo one of the primes.
#[derive(Debug)]
struct Half<const N: usize> {
    modulus: Modulus<N>,
    message: Secret<N>,
    power: Power<N>,
}

impl<const N: usize> PairSearch<N> {
    fn new(exponent: u32, backend: Backend) -> Self {
        let search = PrimeSearch::new(exponent, backend);
        Self { exponent, backend, phase: Phase::Search { p: None, search } }
    }

    fn step(
        &mut self,
        effort: &mut Effort,
        draws: &mut dyn Random,
        witnesses: &mut dyn Random,
    ) -> Result<Option<RsaPrimes>, SearchFault> {
        let result = self.go_on(effort, draws, witnesses);
        if !matches!(result, Ok(None)) {
            *self = Self::new(self.exponent, self.backend);
        }
        result
    }

    fn go_on(
        &mut self,
        effort: &mut Effort,
        draws: &mut dyn Random,
        witnesses: &mut dyn Random,
    ) -> Result<Option<RsaPrimes>, SearchFault> {
        let (exponent, backend) = (self.exponent, self.backend);
        while !effort.is_spent() {
            match &mut self.phase {
                Phase::Search { p, search } => {
                    let found = search.step(effort, draws, witnesses)?;
                    let Some(found) = found.map(Secret) else { continue };
                    let Some(first) = p.as_ref().map(|first| Secret(first.0)) else {
                        *p = Some(found);
                        continue;
                    };
                    if !differ(&first.0, &found.0) {
                        continue;
                    }
                    // Wiped where it is, before something else comes there.
                    *p = None;
                    self.phase =
                        Phase::PairwiseTest { p: first, q: found, half: None, second: false };
                }
                Phase::PairwiseTest { p, q, half, second } => {
                    let Some(begun) = half else {
                        let prime = if *second { q } else { p };
                        *half = Some(Half::new(prime, exponent, backend, witnesses, effort)?);
                        continue;
                    };
                    if !begun.passes(exponent, effort)? {
                        continue;
                    }
                    if *second {
                        return Ok(Some(RsaPrimes::new(&p.0, &q.0)));
                    }
                    (*half, *second) = (None, true);
                }
            }
        }
        Ok(None)
    }
}

impl<const N: usize> core::fmt::Debug for PairSearch<N> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self.phase {
            Phase::Search { p: None, .. } => "First",
            Phase::Search { p: Some(_), .. } => "Second",
            Phase::PairwiseTest { .. } => "PairwiseTest",
        })
    }
}

impl<const N: usize> Half<N> {
    /// Begins the test modulo `prime`: a random message to the power of d modulo `prime` - 1.
    /// (That d is large enough, A.1.3's last condition, follows from e having 32 bits and p - 1 and
    /// q - 1 having no large common factor, except with negligible probability.)
    fn new(
        prime: &Secret<N>,
        exponent: u32,
        backend: Backend,
        witnesses: &mut dyn Random,
        effort: &mut Effort,
    ) -> Result<Self, SearchFault> {
        effort.charge(ASSEMBLE_COST);
        let modulus = Modulus::new(&prime.0, backend).ok_or(SearchFault::Arithmetic)?;
        let mut message = Secret(random_number(witnesses)?);
        message.0 = subtract_once(&message.0, 0, &prime.0);
        let exponent = inverse_of_exponent(&prime.0, exponent)?;
        let power = Power::new(&modulus, &mut effort.scratch, &message.0, &exponent.0);
        Ok(Self { modulus, message, power })
    }

    /// Goes on with the power; at its end checks that the public exponent undoes it, and answers
    /// `true`. By the Chinese remainder theorem, both halves together are the test of the key.
    fn passes(&mut self, exponent: u32, effort: &mut Effort) -> Result<bool, SearchFault> {
        while !effort.is_spent() {
            let scratch = &mut effort.scratch;
            if let Some(signature) = self.power.step(&self.modulus, scratch).map(Secret) {
                let opened = Secret(small_power(&self.modulus, scratch, &signature.0, exponent));
                let undone = opened.0 == self.message.0;
                return if undone { Ok(true) } else { Err(SearchFault::Arithmetic) };
            }
        }
        Ok(false)
    }
}

/// Whether |p - q| is above 2^(length - [`DIFFERENCE_BITS`]), in constant time. Not for each length
/// by itself: the image has it once.
fn differ(p: &[u64], q: &[u64]) -> bool {
    exceeds(p, q) | exceeds(q, p)
}

/// Whether `one` is above `other` + 2^(length - [`DIFFERENCE_BITS`]): then `one` can't be
/// subtracted from that.
fn exceeds(one: &[u64], other: &[u64]) -> bool {
    let mut carry = 0;
    for (above, (one, other)) in (0..one.len()).rev().zip(one.iter().zip(other)) {
        // The limit's only bit is in the second limb from the top.
        let limit = if above == 1 { 1 << (u128::BITS - DIFFERENCE_BITS) } else { 0 };
        carry = (i128::from(*other) + limit - i128::from(*one) + carry) >> u64::BITS;
    }
    carry < 0
}

/// e⁻¹ modulo `prime` - 1. With `prime` - 1 = e·t + r and k = -r⁻¹ modulo e, e divides
/// k·(`prime` - 1) + 1, and the quotient k·t + (k·r + 1)/e is the inverse. In constant time: the
/// divisions are multiplications by a reciprocal of e, the processor's own would not be.
fn inverse_of_exponent<const N: usize>(
    prime: &[u64; N],
    exponent: u32,
) -> Result<Secret<N>, SearchFault> {
    let e = Uint::<1>::from_u32(exponent);
    let divisor = NonZero::new(Limb::from_u32(exponent)).into_option();
    let divisor = divisor.ok_or(SearchFault::Unsupported)?;
    let modulus = Odd::new(e).into_option().ok_or(SearchFault::Unsupported)?;
    let (mut t, rest) = Uint::from_words(*prime).div_rem_limb(divisor);
    // No multiple of e is prime: the rest is not 0.
    let r = Uint::<1>::from_u64(rest.0).wrapping_sub(&Uint::ONE);
    let inverse = r.invert_odd_mod(&modulus).into_option().ok_or(SearchFault::Arithmetic)?;
    let k = e.wrapping_sub(&inverse);
    // k, r and e have at most 32 bits.
    let last = k.wrapping_mul(&r).wrapping_add(&Uint::ONE).div_rem_limb(divisor).0;
    let inverse = t.wrapping_mul(&k).wrapping_add(&last.resize());
    t.zeroize();
    Ok(Secret(inverse.to_words()))
}

#[cfg(test)]
pub(crate) mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    /// A generator for tests: SHA-256 in counter mode.
    #[derive(Debug)]
    pub(crate) struct Hashed(pub(crate) u64);

    impl Random for Hashed {
        fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
            use sha2::Digest;
            for chunk in bytes.chunks_mut(32) {
                self.0 += 1;
                let block = sha2::Sha256::digest(self.0.to_le_bytes());
                chunk.copy_from_slice(&block[..chunk.len()]);
            }
            Ok(())
        }
    }

    struct Constant(u8);

    impl Random for Constant {
        fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
            bytes.fill(self.0);
            Ok(())
        }
    }

    struct Nothing;

    impl Random for Nothing {
        fn fill(&mut self, _: &mut [u8]) -> Result<(), NoRandomness> {
            Err(NoRandomness)
        }
    }

    /// The key that `draws` gives, and the steps it took with this budget.
    pub(crate) fn find(
        kind: KeyKind,
        backend: Backend,
        seed: u64,
        budget: u32,
    ) -> (RsaPrimes, u32) {
        let (mut draws, mut witnesses) = (Hashed(seed), Hashed(u64::MAX / 2));
        let mut search = KeySearch::new(kind, backend).unwrap();
        for steps in 1.. {
            if let Some(primes) = search.step(budget, &mut draws, &mut witnesses).unwrap() {
                return (primes, steps);
            }
        }
        unreachable!("the loop has no end")
    }

    #[test]
    fn keys_that_do_not_exist_are_refused() {
        let backend = Backend::detect();
        for (bits, exponent) in [(512, 65537), (0, 3), (2047, 3), (2048, 0), (2048, 1), (2048, 4)] {
            let search = KeySearch::new(KeyKind { bits, exponent }, backend);
            assert_eq!(search.err(), Some(SearchFault::Unsupported));
        }
    }

    #[test]
    fn broken_generators_end_the_search() {
        let backend = Backend::detect();
        for (draws, expected) in [
            (&mut Nothing as &mut dyn Random, SearchFault::Randomness),
            (&mut Constant(0), SearchFault::Randomness),
            (&mut Constant(0xff), SearchFault::Randomness),
        ] {
            let mut search = KeySearch::new(KeyKind::usual(2048), backend).unwrap();
            let result = loop {
                match search.step(1_000_000, draws, &mut Hashed(1)) {
                    Ok(None) => {}
                    other => break other,
                }
            };
            assert_eq!(result.err(), Some(expected));
        }
        let mut search = KeySearch::new(KeyKind::usual(1024), backend).unwrap();
        let result = search.step(u32::MAX, &mut Hashed(1), &mut Nothing);
        assert_eq!(result.err(), Some(SearchFault::Randomness));
    }

    /// Neither budget nor backend nor witnesses have a say in which key is found.
    #[test]
    fn the_draws_alone_determine_the_key() {
        let kind = KeyKind::usual(1024);
        let (first, _) = find(kind, Backend::detect(), 5, u32::MAX);
        for (backend, budget) in
            [(Backend::detect(), 1), (Backend::detect(), 333), (Backend::portable(), 5000)]
        {
            let (again, steps) = find(kind, backend, 5, budget);
            assert_eq!((again.p(), again.q()), (first.p(), first.q()));
            assert!(steps > 1);
        }
        let (other, _) = find(kind, Backend::detect(), 1_000_000, u32::MAX);
        assert_ne!(other.p(), first.p());
    }

    /// The rule by which primary keys are derived never changes: these lines stay as they are.
    #[test]
    fn the_rule_is_frozen() {
        let lines = include_str!("../../vectors/primes.txt").lines();
        for line in lines.filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split(' ').collect();
            let kind =
                KeyKind { bits: fields[0].parse().unwrap(), exponent: fields[1].parse().unwrap() };
            let (primes, _) = find(kind, Backend::detect(), fields[2].parse().unwrap(), 100_000);
            let hex = |bytes: &[u8]| -> std::string::String {
                bytes.iter().map(|byte| std::format!("{byte:02x}")).collect()
            };
            assert_eq!((hex(primes.p()), hex(primes.q())), (fields[3].into(), fields[4].into()));
        }
    }

    #[test]
    fn a_found_key_has_what_the_standard_asks_for() {
        for exponent in [3, 17, 65537, 4_294_967_291] {
            let kind = KeyKind { bits: 1024, exponent };
            let (primes, _) = find(kind, Backend::detect(), u64::from(exponent), 10_000);
            let mut numbers = Vec::new();
            for bytes in [primes.p(), primes.q()] {
                assert_eq!(bytes.len(), kind.prime_size());
                let number = Uint::<8>::from_be_slice(bytes);
                assert!(bytes[..8] > 0xB504_F333_F9DE_6484u64.to_be_bytes()[..]);
                let divisor = NonZero::new(Limb::from_u32(exponent)).unwrap();
                assert_ne!(number.rem_limb(divisor), Limb::ONE);
                numbers.push(number);
            }
            assert_ne!(primes.p()[..13], primes.q()[..13]);
            // a^(p-1) = 1 modulo p for another base than any the search used.
            for number in numbers {
                let modulus = Odd::new(number).unwrap();
                let parameters = crypto_bigint::modular::FixedMontyParams::new(modulus);
                let base = crypto_bigint::modular::FixedMontyForm::new(
                    &Uint::from_u64(1_234_567),
                    &parameters,
                );
                let power = base.pow(&number.wrapping_sub(&Uint::ONE));
                assert_eq!(power.retrieve(), Uint::ONE);
            }
        }
    }

    /// What a key takes with slices of this budget, and the longest of them.
    fn work(kind: KeyKind, budget: u32) -> (u32, u32) {
        let mut search = KeySearch::new(kind, Backend::detect()).unwrap();
        let (mut draws, mut witnesses) = (Hashed(9), Hashed(1 << 40));
        let (mut sum, mut longest) = (0, 0);
        loop {
            let found = search.step(budget, &mut draws, &mut witnesses).unwrap();
            let work = search.take_work();
            (sum, longest) = (sum + work, longest.max(work));
            if found.is_some() {
                return (sum, longest);
            }
        }
    }

    /// The smallest budget ends a step at the first look: what was done by then is the longest
    /// stretch without one. For the usual exponent these are the powers of a base, with the
    /// inversion; for the longest ones the end of the pairwise test.
    #[test]
    fn steps_overshoot_by_what_is_promised() {
        for (exponent, longest) in [(3, 40), (65537, 40), (4_294_967_291, 6 + 63)] {
            let kind = KeyKind { bits: 1024, exponent };
            let (sum, stretch) = work(kind, 1);
            assert_eq!(stretch, longest, "with exponent {exponent}");
            assert!(stretch - 1 <= OVERSHOOT);
            for budget in [2, 100, 333, 4000, u32::MAX] {
                let (other, longest) = work(kind, budget);
                assert_eq!(other, sum, "slices change nothing of the work");
                assert!(longest <= budget.saturating_add(OVERSHOOT));
            }
        }
    }

    #[test]
    fn inverses_of_the_exponent() {
        for (prime, exponent) in [(1_000_003u64, 17u32), (4_294_967_291, 65537), (u64::MAX - 58, 3)]
        {
            let mut limbs = [0; 8];
            limbs[0] = prime;
            let inverse = inverse_of_exponent(&limbs, exponent).unwrap();
            let product = u128::from(inverse.0[0]) * u128::from(exponent);
            assert_eq!(product % u128::from(prime - 1), 1);
        }
        let mut limbs = [0; 8];
        for (number, exponent, expected) in [
            (29, 7, SearchFault::Arithmetic),
            (8, 7, SearchFault::Arithmetic),
            (29, 0, SearchFault::Unsupported),
            (29, 4, SearchFault::Unsupported),
        ] {
            limbs[0] = number;
            assert_eq!(inverse_of_exponent(&limbs, exponent).err(), Some(expected));
        }
    }

    #[test]
    fn budgets_follow_the_length() {
        let scaled = |bits| KeyKind::usual(bits).scale(2000);
        assert_eq!([1024, 2048, 3072, 4096].map(scaled), [8000, 2000, 888, 500]);
        assert_eq!(KeyKind::usual(4096).scale(0), 1, "a step always gets on");
    }

    /// A wrong prime does not get through the pairwise test.
    #[test]
    fn the_pairwise_test_fails_for_composites() {
        let effort = &mut Effort::new(u32::MAX);
        let number = Secret([u64::MAX - 2; 8]);
        let backend = Backend::detect();
        let mut half = Half::new(&number, 65537, backend, &mut Hashed(3), effort).unwrap();
        let result = half.passes(65537, effort);
        assert_eq!(result, Err(SearchFault::Arithmetic));
    }

    #[test]
    fn a_search_fits_a_small_stack() {
        let size = core::mem::size_of::<KeySearch>();
        assert!(size <= 12 * 1024, "{size} bytes");
    }

    #[test]
    fn primes_too_close_to_each_other() {
        // 2^412 is the limit for 512 bits: bit 28 of the seventh limb.
        let q = [7; 8];
        let mut p = q;
        assert!(!differ(&p, &q));
        p[6] = 7 + (1 << 28);
        assert!(!differ(&p, &q) && !differ(&q, &p), "as much as the limit");
        p[0] = 8;
        assert!(differ(&p, &q) && differ(&q, &p), "one more");
        // Numbers with different highest bits can be neighbours.
        let (above, mut below) = ([0, 0, 0, 0, 0, 0, 0, 1 << 63], [u64::MAX; 8]);
        below[7] = (1 << 63) - 1;
        assert!(!differ(&above, &below) && !differ(&below, &above));
        assert!(differ(&[u64::MAX; 8], &above) && differ(&above, &[u64::MAX; 8]));
    }
}
