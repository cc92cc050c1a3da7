// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSA primes, searched for while the command waits.
//!
//! That holds the vCPU for as long as the search takes: the pool of ready keys takes its place
//! behind the same trait. The primes are those of the engine's derivation rule
//! ([`tpm::crypto::rsa`]), so that a derived key stays the same when the pool comes.

use tpm::crypto::Random;
use tpm::crypto::drbg::CtrDrbg;
use tpm::crypto::rsa::{PRIME_DRAWS_MAX, Portable, next_prime};
use tpm::platform::{KeyFault, Keys, PrimeSource};

/// Bits in which the primes of a key differ somewhere (FIPS 186-5, A.1.3, step 5.5): 100, of the
/// first 13 bytes.
const DIFFERENCE_BYTES: usize = 13;
const DIFFERENCE_MASK_LAST: u8 = 0xf0;

/// The search; `witnesses` draws the bases of the primality tests.
pub(super) struct PrimeSearch {
    witnesses: Option<CtrDrbg>,
}

impl PrimeSearch {
    /// Without witnesses there are no primes either.
    pub(super) const fn new(witnesses: Option<CtrDrbg>) -> Self {
        Self { witnesses }
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
        let prime_bytes = usize::from(key_bits / 16);
        if !matches!(key_bits, 1024 | 2048 | 3072 | 4096)
            || p.len() != prime_bytes
            || q.len() != prime_bytes
        {
            return Err(KeyFault::Unsupported);
        }
        let witnesses = self.witnesses.as_mut().ok_or(KeyFault::Fault)?;
        let draws: &mut dyn Random = match source {
            PrimeSource::Fresh(random) => random,
            PrimeSource::Derived(generator) => generator,
        };
        next_prime(p, exponent, &Portable, draws, witnesses).map_err(|_| KeyFault::Fault)?;
        for _ in 0..PRIME_DRAWS_MAX {
            next_prime(q, exponent, &Portable, draws, witnesses).map_err(|_| KeyFault::Fault)?;
            if differ(p, q) {
                return Ok(());
            }
        }
        Err(KeyFault::Fault)
    }
}

/// Whether the highest 100 bits differ.
fn differ(p: &[u8], q: &[u8]) -> bool {
    let pairs = p.iter().zip(q).take(DIFFERENCE_BYTES).enumerate();
    pairs.into_iter().any(|(index, (p, q))| {
        let mask = if index == DIFFERENCE_BYTES - 1 { DIFFERENCE_MASK_LAST } else { 0xff };
        (p ^ q) & mask != 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_are_no_key_are_unsupported() {
        let mut search = PrimeSearch::new(Some(CtrDrbg::from_seed(&[1; 48])));
        for (bits, p, q) in [(0, 0, 0), (512, 32, 32), (2048, 127, 128), (2048, 128, 129)] {
            let mut draws = CtrDrbg::from_seed(&[2; 48]);
            let source = PrimeSource::Derived(&mut draws);
            let (mut p, mut q) = (vec![0; p], vec![0; q]);
            let outcome = search.rsa_primes(bits, 65537, source, &mut p, &mut q);
            assert!(matches!(outcome, Err(KeyFault::Unsupported)));
        }
    }

    #[test]
    fn without_witnesses_there_is_a_fault() {
        let mut draws = CtrDrbg::from_seed(&[2; 48]);
        let source = PrimeSource::Derived(&mut draws);
        let (mut p, mut q) = ([0; 64], [0; 64]);
        let outcome = PrimeSearch::new(None).rsa_primes(1024, 65537, source, &mut p, &mut q);
        assert!(matches!(outcome, Err(KeyFault::Fault)));
    }

    #[test]
    fn the_highest_100_bits_count() {
        let mut other = [0; 64];
        other[12] = 0x0f;
        assert!(!differ(&[0; 64], &other));
        other[12] = 0x10;
        assert!(differ(&[0; 64], &other));
    }

    #[test]
    fn a_derived_key_is_the_engines_own() {
        let find = |witness: u8| {
            let mut search = PrimeSearch::new(Some(CtrDrbg::from_seed(&[witness; 48])));
            let mut draws = CtrDrbg::from_seed(&[7; 48]);
            let (mut p, mut q) = ([0; 64], [0; 64]);
            let source = PrimeSource::Derived(&mut draws);
            assert!(search.rsa_primes(1024, 65537, source, &mut p, &mut q).is_ok());
            (p, q)
        };
        let (p, q) = find(1);
        assert_eq!(find(2), (p, q), "the witnesses don't matter");
        let own = tpm::crypto::rsa::generate_prime_pair(
            128,
            65537,
            &Portable,
            &mut CtrDrbg::from_seed(&[7; 48]),
            &mut CtrDrbg::from_seed(&[9; 48]),
        )
        .unwrap();
        assert_eq!(own.prime(), p);
    }
}
