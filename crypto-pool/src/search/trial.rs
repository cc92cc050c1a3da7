// SPDX-License-Identifier: MIT OR Apache-2.0
//! Trial division by the odd primes below 2^14, in groups whose product fits 64 bits and without
//! any division: a number is divided exactly by a group's product from its lowest limb on, and
//! what is left over at the top is zero modulo a prime exactly when the number is.

/// Odd primes to divide by.
const PRIMES: [u16; PRIME_COUNT] = odd_primes();
/// Number of odd primes below [`PRIME_LIMIT`].
const PRIME_COUNT: usize = 1899;
const PRIME_LIMIT: usize = 1 << 14;
/// The groups: products of consecutive primes.
const GROUPS: [Group; GROUP_COUNT] = groups();
const GROUP_COUNT: usize = 417;
/// Inverses of the primes modulo 2^64.
const INVERSES: [u64; PRIME_COUNT] = inverses();

/// Groups that cost as much as one multiplication of `N` limbs, about.
pub(super) const GROUPS_PER_MULTIPLICATION: usize = 4;
/// All groups.
pub(super) const GROUPS_ALL: usize = GROUP_COUNT;

/// Groups that are divided by side by side.
const ABREAST: usize = 4;

/// Consecutive primes and their product.
#[derive(Clone, Copy)]
struct Group {
    product: u64,
    /// Of the product, modulo 2^64.
    inverse: u64,
    first: u16,
    count: u8,
}

/// Whether a prime of the groups from `first` on, `count` of them, divides `number`. Leaves at the
/// first one: numbers that are rejected have nothing to do with those that are not.
pub(super) fn has_factor<const N: usize>(number: &[u64; N], first: usize, count: usize) -> bool {
    let groups = GROUPS.get(first..).unwrap_or_default();
    let groups = groups.get(..count).unwrap_or(groups);
    // The smallest primes reject most numbers: they go alone.
    let (smallest, others) = groups.split_at_checked(1).unwrap_or_default();
    let (abreast, rest) = others.as_chunks::<ABREAST>();
    divides(smallest, number)
        || abreast.iter().any(|groups| {
            let rests = exact_remainders(groups, number);
            groups.iter().zip(rests).any(|(group, rest)| group.has_factor_in_common(rest))
        })
        || divides(rest, number)
}

/// Whether a prime of these groups divides `number`, one group after the other.
fn divides<const N: usize>(groups: &[Group], number: &[u64; N]) -> bool {
    groups.iter().any(|group| {
        let [rest] = exact_remainders(&[*group], number);
        group.has_factor_in_common(rest)
    })
}

/// Numbers that are congruent to -`number` / 2^(64·N) modulo the groups' products, and at most
/// that. Each limb waits for the one before, so several groups at a time keep the processor busy.
fn exact_remainders<const N: usize, const COUNT: usize>(
    groups: &[Group; COUNT],
    number: &[u64; N],
) -> [u64; COUNT] {
    let mut carries = [0; COUNT];
    for limb in number {
        for (carry, group) in carries.iter_mut().zip(groups) {
            let (difference, borrow) = limb.overflowing_sub(*carry);
            let quotient = difference.wrapping_mul(group.inverse);
            *carry = high(quotient, group.product) + u64::from(borrow);
        }
    }
    carries
}

impl Group {
    /// Whether one of its primes divides the rest of a number.
    fn has_factor_in_common(&self, rest: u64) -> bool {
        let primes = usize::from(self.first)..usize::from(self.first) + usize::from(self.count);
        let inverses = INVERSES.get(primes.clone()).unwrap_or_default();
        let primes = PRIMES.get(primes).unwrap_or_default();
        primes.iter().zip(inverses).any(|(prime, inverse)| {
            // The quotient of an exact division times the prime does not exceed a limb.
            high(rest.wrapping_mul(*inverse), u64::from(*prime)) == 0
        })
    }
}

/// The high half of a product.
fn high(one: u64, other: u64) -> u64 {
    one.carrying_mul(other, 0).1
}

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time only")]
#[expect(clippy::cast_possible_truncation, reason = "evaluated at compile time only")]
const fn odd_primes() -> [u16; PRIME_COUNT] {
    let mut composite = [false; PRIME_LIMIT];
    let mut primes = [0; PRIME_COUNT];
    let (mut count, mut number) = (0, 3);
    while number < PRIME_LIMIT {
        if !composite[number] {
            primes[count] = number as u16;
            count += 1;
            let mut multiple = number * number;
            while multiple < PRIME_LIMIT {
                composite[multiple] = true;
                multiple += 2 * number;
            }
        }
        number += 2;
    }
    assert!(count == PRIME_COUNT);
    primes
}

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time only")]
#[expect(clippy::cast_possible_truncation, reason = "evaluated at compile time only")]
const fn groups() -> [Group; GROUP_COUNT] {
    let mut groups = [Group { product: 1, inverse: 1, first: 0, count: 0 }; GROUP_COUNT];
    let (mut group, mut next) = (0, 0);
    while next < PRIME_COUNT {
        let first = next;
        let mut product = 1u64;
        while next < PRIME_COUNT
            && let Some(larger) = product.checked_mul(PRIMES[next] as u64)
        {
            product = larger;
            next += 1;
        }
        let (first, count) = (first as u16, (next - first) as u8);
        groups[group] = Group { product, inverse: inverse(product), first, count };
        group += 1;
    }
    assert!(group == GROUP_COUNT);
    groups
}

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time only")]
const fn inverses() -> [u64; PRIME_COUNT] {
    let mut inverses = [0; PRIME_COUNT];
    let mut i = 0;
    while i < PRIME_COUNT {
        inverses[i] = inverse(PRIMES[i] as u64);
        i += 1;
    }
    inverses
}

/// The inverse of an odd number modulo 2^64, by Newton's iteration; x·x = 1 modulo 8 to begin with.
const fn inverse(number: u64) -> u64 {
    let mut inverse = number;
    let mut i = 0;
    while i < 5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(number.wrapping_mul(inverse)));
        i += 1;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_bigint::{Limb, NonZero, Uint};

    #[test]
    fn the_tables_are_right() {
        for (prime, inverse) in PRIMES.iter().zip(INVERSES) {
            assert_eq!(u64::from(*prime).wrapping_mul(inverse), 1);
        }
        let count: usize = GROUPS.iter().map(|group| usize::from(group.count)).sum();
        assert_eq!(count, PRIME_COUNT);
        assert_eq!((PRIMES[0], PRIMES[1], PRIMES[PRIME_COUNT - 1]), (3, 5, 16_381));
    }

    #[test]
    fn every_factor_is_found_and_no_other() {
        let mut seed = 99u64;
        for round in 0..300u64 {
            let words = core::array::from_fn::<u64, 16, _>(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1442);
                if round % 7 == 0 { u64::MAX } else { seed ^ seed >> 31 }
            });
            let number = Uint::<16>::from_words(words).wrapping_sub(&Uint::from_u64(round));
            for group in &GROUPS {
                let [rest] = exact_remainders(&[*group], number.as_words());
                assert!(rest <= group.product);
                let product = NonZero::new(Limb(group.product)).unwrap();
                assert_eq!(number.rem_limb(product).0 == 0, rest % group.product == 0);
            }
            let divided =
                |prime: u16| number.rem_limb(NonZero::new(Limb(u64::from(prime))).unwrap()).0 == 0;
            let expected = PRIMES.iter().any(|prime| divided(*prime));
            assert_eq!(has_factor(number.as_words(), 0, GROUPS_ALL), expected);
        }
    }

    #[test]
    fn the_largest_prime_alone_is_found() {
        let prime = Uint::<8>::from_u64(16_381);
        // A prime of 2^61 - 1 has no other small factor.
        let number = prime.wrapping_mul(&Uint::<8>::from_u64((1 << 61) - 1));
        assert!(has_factor(number.as_words(), 0, GROUPS_ALL));
        assert!(!has_factor(number.as_words(), 0, GROUPS_ALL - 1));
    }
}
