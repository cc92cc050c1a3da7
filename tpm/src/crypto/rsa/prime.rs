// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSA primes (FIPS 186-5, A.1.3) by a rule that says which primes a generator of draws gives.
//!
//! # The derivation rule, version 1
//!
//! 1. Draw as many bytes as a prime has. Set the highest and the lowest bit of this big-endian
//!    number. If its highest 64 bits are not above ⌊√2·2^63⌋, draw again (what remains is uniform
//!    over the odd numbers that A.1.3 allows).
//! 2. The first such number c that is prime and has gcd(c - 1, e) = 1 is the prime.
//! 3. The second prime of a key is found likewise by drawing on; also |p - q| must be above
//!    2^(length - 100) (A.1.3, step 5.5).
//!
//! "Is prime" is mathematics: how it is found out (trial division, which Miller–Rabin bases, how
//! many) does not matter, and the bases never come from the generator of draws. A primary key is
//! what this rule makes of its own generator, so the rule must never change under the same
//! `DerivationVersion`; a faster search elsewhere must find the same primes.

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Limb, NonZero, Odd, Uint};
use zeroize::{Zeroize, Zeroizing};

use super::limbs::{LIMB_SIZE, from_bytes, to_bytes};
use super::power::ModularPower;
use super::{PRIME_SIZE_MAX, RsaPrivateKey};
use crate::crypto::{CryptoError, Random};

/// Draws before a generator is taken for broken. About 1 in 1200 draws of 1024 bits and 1 in
/// 2400 of 2048 bits is accepted; that none of 100,000 is has a probability of 2^-60.
pub const PRIME_DRAWS_MAX: usize = 100_000;

/// ⌊√2·2^63⌋.
const SQUARE_ROOT_OF_2: u64 = 0xB504_F333_F9DE_6484;
/// Miller–Rabin rounds with random bases (FIPS 186-5, table B.1 asks for 5 or fewer from 1024
/// bits on; 512-bit primes need 7).
const ROUNDS: usize = 7;
/// The two primes of a key must differ by more than 2 to the power of their length less this.
const DIFFERENCE_BITS: u32 = 100;
/// Limbs of the longest prime.
const LIMBS: usize = PRIME_SIZE_MAX / LIMB_SIZE;

/// Finds both primes of a key of `key_size` bytes and makes the key.
///
/// * `draws`: the generator that determines the primes.
/// * `witnesses`: another one, for the tests.
///
/// # Errors
/// [`CryptoError::KeySize`], [`CryptoError::Random`] if `draws` gives no prime, those of the
/// generators.
pub fn generate_prime_pair(
    key_size: usize,
    exponent: u32,
    power: &dyn ModularPower,
    draws: &mut dyn Random,
    witnesses: &mut dyn Random,
) -> Result<RsaPrivateKey, CryptoError> {
    let mut bytes = Zeroizing::new([0; 2 * PRIME_SIZE_MAX]);
    let pair = bytes.get_mut(..key_size).ok_or(CryptoError::KeySize)?;
    let (p, q) = pair.split_at_mut(key_size / 2);
    next_prime(p, exponent, power, draws, witnesses)?;
    for _ in 0..PRIME_DRAWS_MAX {
        next_prime(q, exponent, power, draws, witnesses)?;
        if differ(p, q)? {
            return RsaPrivateKey::from_primes(p, q, exponent);
        }
    }
    Err(CryptoError::Random)
}

/// Whether |p - q| is above 2^(length - [`DIFFERENCE_BITS`]), for numbers of the same length of at
/// most [`PRIME_SIZE_MAX`] bytes.
fn differ(p: &[u8], q: &[u8]) -> Result<bool, CryptoError> {
    // Both are moved up to the highest length, and the limit with them.
    let number = |bytes: &[u8]| {
        let mut long = Zeroizing::new([0; PRIME_SIZE_MAX]);
        long.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        from_bytes::<LIMBS>(&*long).map(Zeroizing::new)
    };
    let (p, q) = (number(p)?, number(q)?);
    let limit = Uint::ONE.shl_vartime(Uint::<LIMBS>::BITS.saturating_sub(DIFFERENCE_BITS));
    let is_above = |one: &Uint<LIMBS>, other: &Uint<LIMBS>| {
        let (difference, negative) = one.borrowing_sub(other, Limb::ZERO);
        let larger = limit.borrowing_sub(&Zeroizing::new(difference), Limb::ZERO).1;
        larger != Limb::ZERO && negative == Limb::ZERO
    };
    Ok(is_above(&p, &q) | is_above(&q, &p))
}

/// Fills `prime` with the next prime that `draws` gives by the rule above.
///
/// # Errors
/// As [`generate_prime_pair`].
pub fn next_prime(
    prime: &mut [u8],
    exponent: u32,
    power: &dyn ModularPower,
    draws: &mut dyn Random,
    witnesses: &mut dyn Random,
) -> Result<(), CryptoError> {
    match prime.len() {
        64 => search::<8>(prime, exponent, power, draws, witnesses),
        128 => search::<16>(prime, exponent, power, draws, witnesses),
        192 => search::<24>(prime, exponent, power, draws, witnesses),
        256 => search::<32>(prime, exponent, power, draws, witnesses),
        _ => Err(CryptoError::KeySize),
    }
}

fn search<const N: usize>(
    prime: &mut [u8],
    exponent: u32,
    power: &dyn ModularPower,
    draws: &mut dyn Random,
    witnesses: &mut dyn Random,
) -> Result<(), CryptoError> {
    for _ in 0..PRIME_DRAWS_MAX {
        draws.fill(prime)?;
        let mut candidate = from_bytes::<N>(prime)?;
        candidate |= Uint::ONE | Uint::ONE.shl_vartime(Uint::<N>::BITS.saturating_sub(1));
        let accepted = is_large_enough(&candidate)
            && !has_small_factor(&candidate)
            && is_compatible(&candidate, exponent)
            && is_probable_prime(&candidate, power, witnesses)?;
        if accepted {
            to_bytes(&candidate, prime);
        }
        candidate.zeroize();
        if accepted {
            return Ok(());
        }
    }
    Err(CryptoError::Random)
}

/// Step 1: above √2·2^(length - 1).
fn is_large_enough<const N: usize>(candidate: &Uint<N>) -> bool {
    candidate.as_words().last().is_some_and(|word| *word > SQUARE_ROOT_OF_2)
}

/// Whether e has an inverse modulo `candidate` - 1; e is prime, so it is enough that it is no
/// divisor.
fn is_compatible<const N: usize>(candidate: &Uint<N>, exponent: u32) -> bool {
    remainder(candidate, u64::from(exponent)) != Some(1)
}

/// Whether a small odd prime divides `candidate`. Rejected candidates are independent of the
/// accepted one, so leaving early says nothing about it.
fn has_small_factor<const N: usize>(candidate: &Uint<N>) -> bool {
    SMALL_PRIME_PRODUCTS.iter().any(|(product, primes)| {
        let rest = remainder(candidate, *product).unwrap_or(0);
        primes.iter().any(|prime| rest.is_multiple_of(u64::from(*prime)))
    })
}

fn remainder<const N: usize>(number: &Uint<N>, divisor: u64) -> Option<u64> {
    let divisor = NonZero::new(Limb(divisor)).into_option()?;
    Some(number.rem_limb(divisor).0)
}

/// Odd primes in groups whose product fits 64 bits.
const SMALL_PRIME_PRODUCTS: [(u64, &[u16]); 9] = [
    group(&[3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53]),
    group(&[59, 61, 67, 71, 73, 79, 83, 89, 97]),
    group(&[101, 103, 107, 109, 113, 127, 131, 137, 139]),
    group(&[149, 151, 157, 163, 167, 173, 179, 181]),
    group(&[191, 193, 197, 199, 211, 223, 227, 229]),
    group(&[233, 239, 241, 251, 257, 263, 269]),
    group(&[271, 277, 281, 283, 293, 307, 311]),
    group(&[313, 317, 331, 337, 347, 349, 353]),
    group(&[359, 367, 373, 379, 383, 389, 397]),
];

/// The primes with their product; a product that does not fit fails to compile.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "evaluated at compile time only"
)]
const fn group(primes: &'static [u16]) -> (u64, &'static [u16]) {
    let mut product = 1u64;
    let mut i = 0;
    while i < primes.len() {
        product *= primes[i] as u64;
        i += 1;
    }
    (product, primes)
}

/// Miller–Rabin (FIPS 186-5, B.3.1) with base 2, which rejects nearly every composite number, and
/// then with [`ROUNDS`] random bases.
fn is_probable_prime<const N: usize>(
    candidate: &Uint<N>,
    power: &dyn ModularPower,
    witnesses: &mut dyn Random,
) -> Result<bool, CryptoError> {
    let odd = Odd::new(*candidate).into_option().ok_or(CryptoError::Fault)?;
    let parameters = FixedMontyParams::new(odd);
    if !passes(&Uint::from_u64(2), &parameters, power)? {
        return Ok(false);
    }
    let mut draw = Zeroizing::new([0; PRIME_SIZE_MAX]);
    for _ in 0..ROUNDS {
        let bytes = draw.get_mut(..N.saturating_mul(8)).ok_or(CryptoError::KeySize)?;
        witnesses.fill(bytes)?;
        // Uniform modulo the candidate but for a negligible bias; 0, 1 and -1 say nothing and have
        // a negligible probability.
        let base = Zeroizing::new(FixedMontyForm::new(&from_bytes(bytes)?, &parameters));
        if !passes(&base.retrieve(), &parameters, power)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// One round: whether `base`^d is ±1, or one of its squarings is -1, where candidate - 1 = 2^s·d.
fn passes<const N: usize>(
    base: &Uint<N>,
    parameters: &FixedMontyParams<N>,
    power: &dyn ModularPower,
) -> Result<bool, CryptoError> {
    let candidate = parameters.modulus().as_ref();
    let minus_one = candidate.wrapping_sub(&Uint::ONE);
    let twos = minus_one.trailing_zeros();
    let d = minus_one.shr(twos);
    let mut result = [0; N];
    power.secret(base.as_words(), d.as_words(), candidate.as_words(), &mut result)?;
    let number = Uint::from_words(result);
    result.zeroize();
    if number == Uint::ONE || number == minus_one {
        return Ok(true);
    }
    let mut form = FixedMontyForm::new(&number, parameters);
    for _ in 1..twos {
        form = form.square();
        if form.retrieve() == minus_one {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::crypto::drbg::{CtrDrbg, DerivationVersion};
    use crate::crypto::rsa::Portable;
    use crate::crypto::vectors::{Prepared, records};

    struct Zeros;
    impl Random for Zeros {
        fn fill(&mut self, bytes: &mut [u8]) -> Result<(), CryptoError> {
            bytes.fill(0);
            Ok(())
        }
    }

    #[test]
    fn a_broken_generator_does_not_hang() {
        let mut witnesses = CtrDrbg::from_seed(&[1; 48]);
        let mut prime = [0; 64];
        let result = next_prime(&mut prime, 65537, &Portable, &mut Zeros, &mut witnesses);
        assert_eq!(result, Err(CryptoError::Random));
        let result = next_prime(&mut [0; 100], 65537, &Portable, &mut Zeros, &mut witnesses);
        assert_eq!(result, Err(CryptoError::KeySize));
        let mut nothing = Prepared::new(&[0xff; 63]);
        let result = next_prime(&mut prime, 65537, &Portable, &mut nothing, &mut witnesses);
        assert_eq!(result, Err(CryptoError::Random));
    }

    /// Carmichael numbers, squares and strong pseudoprimes to base 2 are composite.
    #[test]
    fn pseudoprimes_are_refused() {
        let mut witnesses = CtrDrbg::from_seed(&[2; 48]);
        for composite in
            [561u64, 2047, 3277, 1_373_653, 25_326_001, 3_215_031_751, 1_000_003 * 1_000_003]
        {
            let number = Uint::<8>::from_u64(composite);
            assert_eq!(is_probable_prime(&number, &Portable, &mut witnesses), Ok(false));
        }
        for prime in [1_000_003u64, 4_294_967_291, u64::MAX - 58] {
            let number = Uint::<8>::from_u64(prime);
            assert_eq!(is_probable_prime(&number, &Portable, &mut witnesses), Ok(true));
        }
    }

    #[test]
    fn primes_too_close_to_each_other_are_refused() {
        // The limit is the fifth bit of the thirteenth byte.
        for length in [64, 128, 192, 256] {
            let (p, mut q) = (&[0xc1; 256][..length], [0xc1; 256]);
            let q = &mut q[..length];
            assert_eq!(differ(p, q), Ok(false));
            q[12] += 0x10;
            assert_eq!((differ(p, q), differ(q, p)), (Ok(false), Ok(false)), "as the limit");
            q[length - 1] += 1;
            assert_eq!((differ(p, q), differ(q, p)), (Ok(true), Ok(true)), "one more");
            q[12] = 0xc1;
            q[0] = 0xff;
            assert_eq!((differ(p, q), differ(q, p)), (Ok(true), Ok(true)));
        }
        // Numbers with different highest bits can be neighbours.
        let (mut above, mut below) = ([0; 128], [0xff; 128]);
        (above[0], below[0]) = (0x80, 0x7f);
        assert_eq!((differ(&above, &below), differ(&below, &above)), (Ok(false), Ok(false)));
    }

    #[test]
    fn the_square_root_of_two_is_the_limit() {
        let top = |word: u64| {
            let mut words = [0; 8];
            words[7] = word;
            Uint::<8>::from_words(words)
        };
        assert!(!is_large_enough(&top(SQUARE_ROOT_OF_2)));
        assert!(is_large_enough(&top(SQUARE_ROOT_OF_2 + 1)));
        // ⌊√2·2^63⌋² < 2^127 < (⌊√2·2^63⌋ + 1)².
        let square = u128::from(SQUARE_ROOT_OF_2) * u128::from(SQUARE_ROOT_OF_2);
        assert!(square < 1 << 127);
        assert!(square + 2 * u128::from(SQUARE_ROOT_OF_2) + 1 > 1 << 127);
    }

    fn primes(count: usize) -> std::vec::Vec<[u8; 64]> {
        let (mut draws, mut witnesses) =
            (CtrDrbg::from_seed(&[5; 48]), CtrDrbg::from_seed(&[6; 48]));
        let next = |_| {
            let mut prime = [0; 64];
            next_prime(&mut prime, 65537, &Portable, &mut draws, &mut witnesses).unwrap();
            prime
        };
        (0..count).map(next).collect()
    }

    /// The candidates of the reference implementation had fixed bits below the highest ones.
    #[test]
    fn cve_2021_3505_every_bit_of_a_prime_is_drawn() {
        let primes = primes(32);
        for bit in 2..128 {
            let ones = primes.iter().filter(|prime| prime[bit / 8] & 0x80 >> (bit % 8) != 0);
            assert!((1..32).contains(&ones.count()), "bit {bit}");
        }
        assert!(primes.iter().all(|prime| prime[0] & 0x80 != 0), "each is as long as it should be");
    }

    /// CVE-2017-15361: primes that are powers of 65537 modulo many small primes, and so is their
    /// product.
    #[test]
    fn cve_2017_15361_roca_primes_have_no_such_structure() {
        let residue = |number: &[u8], modulus: u32| {
            number.iter().fold(0, |rest, octet| (rest << 8 | u32::from(*octet)) % modulus)
        };
        let is_power = |number: &[u8], modulus: u32| {
            let wanted = residue(number, modulus);
            let powers = core::iter::successors(Some(1), |power| Some(power * 65537 % modulus));
            powers.take(usize::try_from(modulus).unwrap()).any(|power| power == wanted)
        };
        // Those for which 65537 generates only a part of the residues.
        let moduli = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
        let suspicious =
            |prime: &&[u8; 64]| moduli.iter().all(|modulus| is_power(*prime, *modulus));
        assert_eq!(primes(8).iter().filter(suspicious).count(), 0);
        let power = 65537_u64.pow(3).to_be_bytes();
        assert!(moduli.iter().all(|modulus| is_power(&power, *modulus)), "it would be found");
    }

    /// A primary key never changes under version 1 of the derivation: these records stay as they
    /// are.
    #[test]
    fn derived_keys_are_frozen() {
        for record in records(include_str!("../vectors/derived_rsa.txt")) {
            let (seed, name, data) =
                (record.bytes("seed"), record.bytes("name"), record.bytes("data"));
            let mut draws = CtrDrbg::for_primary(DerivationVersion::One, &seed, &name, &data);
            let mut witnesses = CtrDrbg::from_seed(&[3; 48]);
            let exponent = u32::try_from(record.number("exponent")).unwrap();
            let size = record.number("bits") / 8;
            let key = generate_prime_pair(size, exponent, &Portable, &mut draws, &mut witnesses);
            let key = key.unwrap();
            assert_eq!(key.prime(), record.bytes("p"));
            assert_eq!(key.public().modulus(), record.bytes("n"));
        }
    }
}
