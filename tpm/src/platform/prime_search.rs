// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Keys`] for machines where a command may wait: primes are searched for while it does.

use super::{KeyFault, Keys, PrimeSource};
use crate::crypto::Random;
use crate::crypto::drbg::CtrDrbg;
use crate::crypto::rsa::{ModularPower, PRIME_DRAWS_MAX, next_prime};

/// Bits in which the primes of a key differ somewhere (FIPS 186-5, A.1.3, step 5.5).
const DIFFERENCE_BITS: u32 = 100;

/// Searches with some arithmetic; `witnesses` draws the bases of the primality tests.
pub struct PrimeSearch {
    power: &'static dyn ModularPower,
    witnesses: CtrDrbg,
}

impl PrimeSearch {
    /// A search with this arithmetic and this generator of witnesses.
    pub const fn new(power: &'static dyn ModularPower, witnesses: CtrDrbg) -> Self {
        Self { power, witnesses }
    }
}

impl Keys for PrimeSearch {
    fn rsa_primes(
        &mut self,
        key_bits: u16,
        exponent: u32,
        source: PrimeSource<'_>,
        p: &mut [u8],
        q: &mut [u8],
    ) -> Result<(), KeyFault> {
        let size = usize::from(key_bits / 16);
        if !matches!(key_bits, 1024 | 2048 | 3072 | 4096) || p.len() != size || q.len() != size {
            return Err(KeyFault::Unsupported);
        }
        let draws: &mut dyn Random = match source {
            PrimeSource::Fresh(random) => random,
            PrimeSource::Derived(generator) => generator,
        };
        let mut next = |prime: &mut [u8]| {
            next_prime(prime, exponent, self.power, draws, &mut self.witnesses)
                .map_err(|_| KeyFault::Fault)
        };
        next(p)?;
        for _ in 0..PRIME_DRAWS_MAX {
            next(q)?;
            if high_bits(p) != high_bits(q) {
                return Ok(());
            }
        }
        Err(KeyFault::Fault)
    }
}

/// The highest [`DIFFERENCE_BITS`] bits.
fn high_bits(number: &[u8]) -> u128 {
    number
        .first_chunk()
        .map_or(0, |high| u128::from_be_bytes(*high) >> u128::BITS.saturating_sub(DIFFERENCE_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rsa::{Portable, generate_prime_pair};

    fn search(seed: u8) -> PrimeSearch {
        PrimeSearch::new(&Portable, CtrDrbg::from_seed(&[seed; 48]))
    }

    #[test]
    fn sizes_that_are_no_key_are_unsupported() {
        for (bits, p, q) in [(0, 0, 0), (512, 32, 32), (2048, 127, 128), (2048, 128, 129)] {
            let mut draws = CtrDrbg::from_seed(&[2; 48]);
            let source = PrimeSource::Derived(&mut draws);
            let (mut p, mut q) = (std::vec![0; p], std::vec![0; q]);
            let outcome = search(1).rsa_primes(bits, 65537, source, &mut p, &mut q);
            assert_eq!(outcome, Err(KeyFault::Unsupported));
        }
    }

    #[test]
    fn a_derived_key_depends_on_its_generator_only() {
        let derive = |witness: u8| {
            let mut draws = CtrDrbg::from_seed(&[7; 48]);
            let source = PrimeSource::Derived(&mut draws);
            let (mut p, mut q) = ([0; 64], [0; 64]);
            search(witness).rsa_primes(1024, 65537, source, &mut p, &mut q).unwrap();
            (p, q)
        };
        let (p, q) = derive(1);
        assert_eq!((p, q), derive(2));
        let mut draws = CtrDrbg::from_seed(&[7; 48]);
        let mut witnesses = CtrDrbg::from_seed(&[3; 48]);
        let key = generate_prime_pair(128, 65537, &Portable, &mut draws, &mut witnesses).unwrap();
        assert_eq!(key.prime(), p);
    }
}
