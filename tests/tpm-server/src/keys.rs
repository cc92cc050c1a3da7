// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSA on this processor: the fastest multiplication that it has, for private operations and for
//! the search for primes, which the command waits for.

use std::sync::OnceLock;

use crypto_pool::arithmetic::{Backend, public_power, secret_power};
use crypto_pool::search::{KeyKind, KeySearch, SearchFault};
use crypto_pool::{NoRandomness, Random as PoolRandom};
use tpm::crypto::drbg::CtrDrbg;
use tpm::crypto::rsa::ModularPower;
use tpm::crypto::{CryptoError, Random};
use tpm::platform::{KeyFault, Keys, PrimeSource};

/// Multiplications between two looks at the result; nobody else waits for this thread.
const STEP_MULTIPLICATIONS: u32 = 1_000_000;
/// Steps of a search: far more than any key needs (a 4096-bit key takes some ten million
/// multiplications).
const STEPS_MAX: usize = 10_000;

fn backend() -> Backend {
    static BACKEND: OnceLock<Backend> = OnceLock::new();
    *BACKEND.get_or_init(Backend::detect)
}

/// The arithmetic of RSA.
pub(crate) struct Arithmetic;

impl ModularPower for Arithmetic {
    fn secret(
        &self,
        base: &[u64],
        exponent: &[u64],
        modulus: &[u64],
        result: &mut [u64],
    ) -> Result<(), CryptoError> {
        secret_power(backend(), base, exponent, modulus, result).map_err(|_| CryptoError::Size)
    }

    fn public(
        &self,
        base: &[u64],
        exponent: u32,
        modulus: &[u64],
        result: &mut [u64],
    ) -> Result<(), CryptoError> {
        public_power(backend(), base, exponent, modulus, result).map_err(|_| CryptoError::Size)
    }
}

/// A generator of the engine as the search wants one.
struct Draws<'a>(&'a mut dyn Random);

impl PoolRandom for Draws<'_> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        self.0.fill(bytes).map_err(|_| NoRandomness)
    }
}

/// Searches primes; `witnesses` draws the bases of the primality tests.
pub(crate) struct Search {
    witnesses: CtrDrbg,
}

impl Search {
    /// A search with this generator of witnesses.
    pub(crate) const fn new(witnesses: CtrDrbg) -> Self {
        Self { witnesses }
    }
}

impl Keys for Search {
    fn rsa_primes(
        &mut self,
        key_bits: u16,
        exponent: u32,
        source: PrimeSource<'_>,
        p: &mut [u8],
        q: &mut [u8],
    ) -> Result<(), KeyFault> {
        let kind = KeyKind { bits: key_bits, exponent };
        if p.len() != kind.prime_size() || q.len() != kind.prime_size() {
            return Err(KeyFault::Unsupported);
        }
        let draws: &mut dyn Random = match source {
            PrimeSource::Fresh(random) => random,
            PrimeSource::Derived(generator) => generator,
        };
        let mut draws = Draws(draws);
        let mut witnesses = Draws(&mut self.witnesses);
        let mut search = KeySearch::new(kind, backend()).map_err(fault)?;
        for _ in 0..STEPS_MAX {
            let found = search.step(STEP_MULTIPLICATIONS, &mut draws, &mut witnesses);
            if let Some(primes) = found.map_err(fault)? {
                p.copy_from_slice(primes.p());
                q.copy_from_slice(primes.q());
                return Ok(());
            }
        }
        Err(KeyFault::Fault)
    }
}

fn fault(fault: SearchFault) -> KeyFault {
    match fault {
        SearchFault::Unsupported => KeyFault::Unsupported,
        _ => KeyFault::Fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tpm::crypto::rsa::Portable;
    use tpm::platform::PrimeSearch;

    /// An endorsement key is the same on every machine that derives it.
    #[test]
    fn derived_primes_are_the_engines_own() {
        for seed in 1..4 {
            let derive = |keys: &mut dyn Keys| {
                let mut draws = CtrDrbg::from_seed(&[seed; 48]);
                let (mut p, mut q) = ([0; 64], [0; 64]);
                let source = PrimeSource::Derived(&mut draws);
                keys.rsa_primes(1024, 65537, source, &mut p, &mut q).unwrap();
                (p, q)
            };
            let witnesses = || CtrDrbg::from_seed(&[9; 48]);
            let ours = derive(&mut Search::new(witnesses()));
            assert_eq!(ours, derive(&mut PrimeSearch::new(&Portable, witnesses())));
        }
    }

    #[test]
    fn sizes_that_are_no_key_are_unsupported() {
        let mut search = Search::new(CtrDrbg::from_seed(&[1; 48]));
        let mut draws = CtrDrbg::from_seed(&[2; 48]);
        let source = PrimeSource::Derived(&mut draws);
        let found = search.rsa_primes(512, 65537, source, &mut [0; 32], &mut [0; 32]);
        assert_eq!(found, Err(KeyFault::Unsupported));
    }
}
