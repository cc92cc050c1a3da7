// SPDX-License-Identifier: MIT OR Apache-2.0
//! The search for one prime (FIPS 186-5, A.1.3): Draw → TrialDivide → Fermat → Confirm.
//!
//! # Which prime is found
//!
//! 1. Draw as many bytes as a prime has. Set the highest and the lowest bit of this big-endian
//!    number. If its highest 64 bits are not above ⌊√2·2^63⌋, draw again.
//! 2. The first such number c that is prime and has gcd(c - 1, e) = 1, e being prime, is the one.
//!
//! The TPM engine derives primary keys by this rule (version 1 of its derivation), so it must never
//! change; how primality is found out may. Every attempt is a fresh draw: numbers that are
//! rejected are independent of the one that is accepted, so that whoever watches the search learns
//! nothing of it. What touches a number that may be accepted takes constant time, except that the
//! count of factors 2 of p - 1 shows in the last test.

use zeroize::Zeroize;

use super::effort::Effort;
use super::trial::{GROUPS_ALL, GROUPS_PER_MULTIPLICATION, has_factor};
use crate::arithmetic::limbs::{bits, subtract_once};
use crate::arithmetic::shift::{SHIFT_MAX, Shift};
use crate::arithmetic::{Backend, Modulus, Power, Residue, Scratch};
use crate::random::{NoRandomness, Random};

/// Draws before a generator is taken for broken. About 1 in 600 draws of 1024 bits and 1 in 1200
/// of 2048 bits is accepted; that none of 100,000 is has a probability of 2^-119.
const DRAWS_MAX: u32 = 100_000;
/// ⌊√2·2^63⌋.
const SQUARE_ROOT_OF_2: u64 = 0xB504_F333_F9DE_6484;
/// What a draw costs, in multiplications.
const DRAW_COST: u32 = 2;
/// Bits of the Fermat test's exponent that one shift takes care of: 2^5 - 1 is the longest.
const FERMAT_WINDOW_BITS: usize = 5;
const _: () = assert!((1 << FERMAT_WINDOW_BITS) - 1 <= SHIFT_MAX);
/// Groups of primes that are divided by in one go.
const GROUPS_AT_ONCE: usize = 32;

/// Why there is no prime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchFault {
    /// A generator has no entropy, or its draws are never prime.
    Randomness,
    /// A key does not work: a fault was induced, or the software is wrong.
    Arithmetic,
    /// There are no such keys.
    Unsupported,
}

impl From<NoRandomness> for SearchFault {
    fn from(_: NoRandomness) -> Self {
        Self::Randomness
    }
}

/// A number that is wiped on drop.
pub(super) struct Secret<const N: usize>(pub(super) [u64; N]);

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> core::fmt::Debug for Secret<N> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("Secret")
    }
}

/// The search for a prime of `N` limbs. Everything secret in it is wiped on drop.
///
/// The parts stand side by side rather than in the variants of an enum, so that a change of phase
/// moves nothing: the table of powers alone has up to 8 KiB.
pub(super) struct PrimeSearch<const N: usize> {
    exponent: u32,
    backend: Backend,
    draws: u32,
    phase: Phase,
    candidate: Secret<N>,
    /// The candidate as a modulus, while it is tested.
    modulus: Option<Modulus<N>>,
    /// The power of 2 of the Fermat test.
    fermat: Secret<N>,
    shift: Option<Shift>,
    /// The power of a random base, while there is one.
    power: Option<Power<N>>,
}

#[derive(Clone, Copy)]
enum Phase {
    Draw,
    /// Trial division goes on with this group of primes.
    TrialDivide(usize),
    /// The Fermat test, with this many bits of its exponent left.
    Fermat(usize),
    /// This many rounds of Miller–Rabin are done.
    Confirm(u32),
}

impl<const N: usize> PrimeSearch<N> {
    /// Miller–Rabin rounds with random bases after the Fermat test: at least what FIPS 186-5,
    /// table B.1 asks for at each length.
    const ROUNDS: u32 = match N {
        0..16 => 7,
        16..24 => 5,
        _ => 4,
    };

    /// Begins a search. `exponent` is an odd prime.
    pub(super) fn new(exponent: u32, backend: Backend) -> Self {
        Self {
            exponent,
            backend,
            draws: 0,
            phase: Phase::Draw,
            candidate: Secret([0; N]),
            modulus: None,
            fermat: Secret([0; N]),
            shift: None,
            power: None,
        }
    }

    /// Goes on until the prime is found or the effort is spent. After a prime is found, the search
    /// for the next one begins.
    ///
    /// * `draws` determines the prime.
    /// * `witnesses` is another generator, for the tests.
    ///
    /// # Errors
    /// [`SearchFault::Randomness`].
    pub(super) fn step(
        &mut self,
        effort: &mut Effort,
        draws: &mut dyn Random,
        witnesses: &mut dyn Random,
    ) -> Result<Option<[u64; N]>, SearchFault> {
        while !effort.is_spent() {
            self.phase = match self.phase {
                Phase::Draw => self.draw(effort, draws)?,
                Phase::TrialDivide(group) => self.trial_divide(effort, group),
                Phase::Fermat(left_bits) => self.fermat(effort, left_bits),
                Phase::Confirm(rounds) if rounds == Self::ROUNDS => {
                    let found = self.candidate.0;
                    *self = Self::new(self.exponent, self.backend);
                    return Ok(Some(found));
                }
                Phase::Confirm(rounds) => self.confirm(effort, witnesses, rounds)?,
            };
        }
        Ok(None)
    }

    fn draw(&mut self, effort: &mut Effort, draws: &mut dyn Random) -> Result<Phase, SearchFault> {
        effort.charge(DRAW_COST);
        if self.draws == DRAWS_MAX {
            return Err(SearchFault::Randomness);
        }
        self.draws += 1;
        self.candidate.0 = random_number(draws)?;
        if let Some(lowest) = self.candidate.0.first_mut() {
            *lowest |= 1;
        }
        let large = self.candidate.0.last_mut().is_some_and(|highest| {
            *highest |= 1 << 63;
            *highest > SQUARE_ROOT_OF_2
        });
        Ok(if large { Phase::TrialDivide(0) } else { Phase::Draw })
    }

    fn trial_divide(&mut self, effort: &mut Effort, group: usize) -> Phase {
        let cost = GROUPS_AT_ONCE / GROUPS_PER_MULTIPLICATION;
        effort.charge(u32::try_from(cost).unwrap_or(u32::MAX));
        if has_factor(&self.candidate.0, group, GROUPS_AT_ONCE) {
            return Phase::Draw;
        }
        let group = group + GROUPS_AT_ONCE;
        if group < GROUPS_ALL {
            return Phase::TrialDivide(group);
        }
        if remainder(&self.candidate.0, self.exponent) == 1 {
            return Phase::Draw;
        }
        self.modulus = Modulus::new(&self.candidate.0, self.backend);
        let Some(modulus) = &self.modulus else { return Phase::Draw };
        self.fermat.0 = modulus.one();
        self.shift = Some(Shift::new(&self.candidate.0));
        Phase::Fermat(64 * N)
    }

    /// 2^(c - 1) modulo c, in windows of a few bits: each takes as many squarings, and one shift,
    /// which is much less than a squaring.
    fn fermat(&mut self, effort: &mut Effort, mut left_bits: usize) -> Phase {
        let (Some(modulus), Some(shift)) = (&self.modulus, &self.shift) else {
            return Phase::Draw;
        };
        let power = &mut self.fermat.0;
        while !effort.is_spent() && left_bits > 0 {
            // The first window is what is left over when the others are full.
            let width = match left_bits % FERMAT_WINDOW_BITS {
                0 => FERMAT_WINDOW_BITS,
                rest => rest,
            };
            if left_bits < 64 * N {
                for _ in 0..width {
                    *power = modulus.square(&mut effort.scratch, power);
                }
            }
            left_bits -= width;
            let window = bits(&self.candidate.0, left_bits, width);
            // c - 1 differs from c in the lowest bit only.
            let window = if left_bits == 0 { window & !1 } else { window };
            *power = shift.apply(&self.candidate.0, power, window);
        }
        if left_bits > 0 {
            Phase::Fermat(left_bits)
        } else if *power == modulus.one() {
            Phase::Confirm(0)
        } else {
            Phase::Draw
        }
    }

    /// Miller–Rabin with random bases (FIPS 186-5, B.3.1).
    fn confirm(
        &mut self,
        effort: &mut Effort,
        witnesses: &mut dyn Random,
        rounds: u32,
    ) -> Result<Phase, SearchFault> {
        let Some(modulus) = &self.modulus else { return Ok(Phase::Draw) };
        let Some(power) = &mut self.power else {
            // Any residue that is random is a random base in Montgomery form; 0, 1 and -1 say
            // nothing and have a negligible probability.
            let mut base = Secret(random_number(witnesses)?);
            base.0 = subtract_once(&base.0, 0, modulus.number());
            let exponent = Secret(odd_part(modulus.number()).0);
            self.power = Some(Power::new(modulus, &mut effort.scratch, &base.0, &exponent.0));
            return Ok(Phase::Confirm(rounds));
        };
        while !effort.is_spent() {
            let scratch = &mut effort.scratch;
            let Some(result) = power.step(modulus, scratch).map(Secret) else { continue };
            let composite = is_witness(modulus, scratch, result);
            self.power = None;
            return Ok(if composite { Phase::Draw } else { Phase::Confirm(rounds + 1) });
        }
        Ok(Phase::Confirm(rounds))
    }
}

impl<const N: usize> core::fmt::Debug for PrimeSearch<N> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "PrimeSearch({} draws)", self.draws)
    }
}

/// Whether the base whose power to the odd part of c - 1 is `power` proves c to be composite.
fn is_witness<const N: usize>(
    modulus: &Modulus<N>,
    scratch: &mut Scratch,
    mut power: Secret<N>,
) -> bool {
    if power.0 == modulus.one() || power.0 == modulus.minus_one() {
        return false;
    }
    for _ in 1..odd_part(modulus.number()).1 {
        power.0 = modulus.square(scratch, &power.0);
        if power.0 == modulus.minus_one() {
            return false;
        }
    }
    true
}

/// d and s with c - 1 = d·2^s and d odd.
fn odd_part<const N: usize>(candidate: &[u64; N]) -> ([u64; N], u32) {
    let mut number = crypto_bigint::Uint::from_words(*candidate);
    number = number.wrapping_sub(&crypto_bigint::Uint::ONE);
    let twos = number.trailing_zeros();
    let odd = number.shr(twos).to_words();
    number.zeroize();
    (odd, twos)
}

/// `number` modulo `divisor`.
fn remainder<const N: usize>(number: &[u64; N], divisor: u32) -> u64 {
    let divisor = crypto_bigint::NonZero::new(crypto_bigint::Limb(u64::from(divisor)));
    let number = crypto_bigint::Uint::from_words(*number);
    divisor.into_option().map_or(0, |divisor| number.rem_limb(divisor).0)
}

/// As many random bytes as `N` limbs have, read as a big-endian number.
pub(super) fn random_number<const N: usize>(
    random: &mut dyn Random,
) -> Result<Residue<N>, NoRandomness> {
    let mut bytes = [[0; 8]; N];
    random.fill(bytes.as_flattened_mut())?;
    let mut number = [0; N];
    for (limb, bytes) in number.iter_mut().zip(bytes.iter().rev()) {
        *limb = u64::from_be_bytes(*bytes);
    }
    bytes.as_flattened_mut().zeroize();
    Ok(number)
}
