// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSA on this processor: the fastest multiplication that it has, keys that a thread in the
//! background finds before anybody asks, and derivations that are not done twice.
//!
//! A command that needs a key which is not ready waits and does the search itself: clients of a
//! socket don't expect to be told to come again.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crypto_pool::pool::Pool;
use crypto_pool::search::{KeyKind, RsaPrimes, SearchFault};
use crypto_pool::shelf::Marks;
use crypto_pool::workshop::Workshop;
use crypto_pool::{NoRandomness, Random as PoolRandom};
use svsm::vtpm::arithmetic::backend;
use svsm::vtpm::primes;
use tpm::crypto::Random;
use tpm::crypto::drbg::{CtrDrbg, SEED_SIZE};
use tpm::platform::{KeyFault, Keys, PrimeSource};
use zeroize::Zeroizing;

use crate::host::read_entropy;

/// Most ready keys of one length.
pub(crate) const READY_MAX: usize = 64;
const READY_DEFAULT: usize = 8;
/// Multiplications after which the background thread looks whether a command waits: about half a
/// millisecond.
const STEP_MULTIPLICATIONS: u32 = 2_000;
/// Keys that commands wait for: there is one command at a time.
const JOBS: usize = 2;
/// Derivations that are kept.
const DERIVATIONS: usize = 16;

/// A generator as the search wants one.
#[derive(Debug)]
struct Draws {
    generator: CtrDrbg,
    /// Not for a derivation: it must come out the same each time.
    is_reseeded: bool,
}

impl Draws {
    fn fresh() -> std::io::Result<Self> {
        let mut seed = Zeroizing::new([0; SEED_SIZE]);
        read_entropy(&mut *seed)?;
        Ok(Self { generator: CtrDrbg::from_seed(&seed), is_reseeded: true })
    }
}

impl PoolRandom for Draws {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        if self.is_reseeded && self.generator.wants_reseed() {
            let mut seed = Zeroizing::new([0; SEED_SIZE]);
            read_entropy(&mut *seed).map_err(|_| NoRandomness)?;
            self.generator.reseed(&[&*seed]).map_err(|_| NoRandomness)?;
        }
        self.generator.fill(bytes).map_err(|_| NoRandomness)
    }
}

/// What commands and the background thread share.
struct Shared {
    pool: Pool<READY_MAX>,
    /// The pool is to be filled.
    is_filling: AtomicBool,
    workshop: Mutex<Workshop<Draws, JOBS, DERIVATIONS>>,
    /// Commands that want the workshop: the background thread lets them in first.
    waiting: AtomicU32,
    /// There is work, or the last command has left the workshop.
    work: Condvar,
}

/// The engine's source of primes.
pub(crate) struct ReadyKeys {
    shared: Arc<Shared>,
    /// Derivations are only planned, for the background thread.
    is_planning: bool,
}

impl ReadyKeys {
    /// A source with this many keys of 2048 bits ready, and a few longer ones. Unless told how
    /// many, it begins when the first key is asked for: many a client never wants one.
    ///
    /// # Errors
    /// No entropy, or no thread.
    pub(crate) fn start(ready: Option<usize>) -> std::io::Result<Self> {
        let count = ready.unwrap_or(READY_DEFAULT);
        let marks = |count: usize| {
            let high = u64::try_from(count).unwrap_or(u64::MAX);
            Marks { low: high / 2, high }
        };
        let shared = Arc::new(Shared {
            pool: Pool::new([count, count.div_ceil(8), count.div_ceil(16)].map(marks)),
            is_filling: AtomicBool::new(ready.is_some()),
            workshop: Mutex::new(Workshop::new(backend(), Draws::fresh()?, Draws::fresh()?)),
            waiting: AtomicU32::new(0),
            work: Condvar::new(),
        });
        let background = Arc::clone(&shared);
        thread::Builder::new().name("keys".to_owned()).spawn(move || background.run())?;
        Ok(Self { shared, is_planning: false })
    }

    /// Wipes what was derived: a seed changed.
    pub(crate) fn forget_derived(&self) {
        self.shared.enter(Workshop::forget_derived);
    }

    /// Until this is ended, derivations that are asked for are only planned.
    pub(crate) const fn set_planning(&mut self, is_planning: bool) {
        self.is_planning = is_planning;
    }

    /// Multiplications of all searches so far.
    #[cfg(test)]
    pub(crate) fn multiplications(&self) -> u64 {
        self.shared.lock().tally().multiplications
    }

    /// Waits until everything that was planned is derived.
    #[cfg(test)]
    pub(crate) fn wait_for_plans(&self) {
        while self.shared.lock().is_urgent() {
            thread::yield_now();
        }
    }

    fn find(&self, kind: KeyKind, source: PrimeSource<'_>) -> Result<RsaPrimes, KeyFault> {
        let shared = &*self.shared;
        match source {
            PrimeSource::Fresh(_) if shared.pool.is_closed() => Err(KeyFault::Fault),
            PrimeSource::Fresh(_) => {
                shared.is_filling.store(true, Ordering::Release);
                let found = shared.pool.take(kind);
                shared.work.notify_one();
                match found {
                    Some(primes) => Ok(primes),
                    None => shared.search(|workshop| workshop.ask_fresh(&shared.pool, kind)),
                }
            }
            PrimeSource::Derived(generator) => {
                let name = primes::name(generator, kind)?;
                let draws = || Draws { generator: generator.clone(), is_reseeded: false };
                if self.is_planning {
                    shared.enter(|workshop| workshop.derive_ahead(name, kind, draws()));
                    return Err(KeyFault::NotReady);
                }
                shared.search(|workshop| workshop.ask_derived(&shared.pool, name, kind, draws()))
            }
        }
    }
}

impl Shared {
    /// The background thread.
    fn run(&self) {
        let mut workshop = self.lock();
        loop {
            let has_work = self.waiting.load(Ordering::Acquire) == 0
                && (workshop.is_urgent() || self.wants_keys());
            if has_work {
                // A fault closes the pool, which is told to the next command that wants a key.
                let _outcome = workshop.work(&self.pool, STEP_MULTIPLICATIONS);
                drop(workshop);
                workshop = self.lock();
            } else {
                workshop = self.work.wait(workshop).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn wants_keys(&self) -> bool {
        self.is_filling.load(Ordering::Acquire) && self.pool.wanted().is_some()
    }

    /// Has a command in the workshop.
    fn enter<T>(&self, act: impl FnOnce(&mut Workshop<Draws, JOBS, DERIVATIONS>) -> T) -> T {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let mut workshop = self.lock();
        let result = act(&mut workshop);
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        drop(workshop);
        self.work.notify_one();
        result
    }

    /// Asks until the key is there: every search ends, or its generator counts as broken.
    fn search(
        &self,
        mut ask: impl FnMut(
            &mut Workshop<Draws, JOBS, DERIVATIONS>,
        ) -> Result<Option<RsaPrimes>, SearchFault>,
    ) -> Result<RsaPrimes, KeyFault> {
        self.enter(|workshop| {
            loop {
                if let Some(primes) = ask(workshop).map_err(primes::fault)? {
                    return Ok(primes);
                }
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Workshop<Draws, JOBS, DERIVATIONS>> {
        self.workshop.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys for ReadyKeys {
    fn rsa_primes(
        &mut self,
        key_bits: u16,
        exponent: u32,
        source: PrimeSource<'_>,
        p: &mut [u8],
        q: &mut [u8],
    ) -> Result<(), KeyFault> {
        let kind = primes::kind(key_bits, exponent, p, q)?;
        let found = self.find(kind, source)?;
        primes::hand_over(&found, p, q);
        Ok(())
    }

    fn is_sound(&mut self) -> bool {
        !self.shared.pool.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tpm::crypto::rsa::Portable;
    use tpm::platform::PrimeSearch;

    fn draws(seed: u8) -> CtrDrbg {
        CtrDrbg::from_seed(&[seed; SEED_SIZE])
    }

    fn derive(keys: &mut dyn Keys, seed: u8) -> Result<([u8; 64], [u8; 64]), KeyFault> {
        let (mut p, mut q) = ([0; 64], [0; 64]);
        let source = PrimeSource::Derived(&mut draws(seed));
        keys.rsa_primes(1024, 65537, source, &mut p, &mut q).map(|()| (p, q))
    }

    fn fresh(keys: &mut ReadyKeys) -> [u8; 128] {
        let (mut p, mut q) = ([0; 128], [0; 128]);
        let source = PrimeSource::Fresh(&mut draws(1));
        keys.rsa_primes(2048, 65537, source, &mut p, &mut q).unwrap();
        p
    }

    #[test]
    fn sizes_that_are_no_key_are_unsupported() {
        let mut keys = ReadyKeys::start(Some(0)).unwrap();
        for (bits, size) in [(512, 32), (2048, 64), (0, 0)] {
            let mut draws = draws(2);
            let source = PrimeSource::Derived(&mut draws);
            let (mut p, mut q) = (vec![0; size], vec![0; size]);
            let found = keys.rsa_primes(bits, 65537, source, &mut p, &mut q);
            assert_eq!(found, Err(KeyFault::Unsupported));
        }
    }

    /// An endorsement key is the same on every machine that derives it, and from the cache.
    #[test]
    fn derived_primes_are_the_engines_own() {
        let mut keys = ReadyKeys::start(Some(0)).unwrap();
        for seed in 1..4 {
            let ours = derive(&mut keys, seed).unwrap();
            assert_eq!(ours, derive(&mut PrimeSearch::new(&Portable, draws(9)), seed).unwrap());
            assert_eq!(ours, derive(&mut keys, seed).unwrap());
        }
        keys.forget_derived();
        assert_eq!(
            derive(&mut keys, 1).unwrap(),
            derive(&mut PrimeSearch::new(&Portable, draws(9)), 1).unwrap()
        );
    }

    #[test]
    fn what_is_planned_is_derived_in_the_background() {
        let mut keys = ReadyKeys::start(Some(0)).unwrap();
        keys.set_planning(true);
        assert_eq!(derive(&mut keys, 1), Err(KeyFault::NotReady));
        keys.set_planning(false);
        keys.wait_for_plans();
        let before = keys.multiplications();
        assert!(before > 0);
        derive(&mut keys, 1).unwrap();
        assert_eq!(keys.multiplications(), before, "nothing was left to do");
    }

    #[test]
    fn keys_are_made_ahead_and_each_is_another() {
        let mut keys = ReadyKeys::start(Some(2)).unwrap();
        while keys.shared.pool.wanted().is_some() {
            thread::yield_now();
        }
        let mut seen: Vec<_> = (0..6).map(|_| fresh(&mut keys)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 6);
        let (_, counters) = keys.shared.pool.counters().next().unwrap();
        assert!(counters.taken >= 2, "{counters:?}");
    }

    #[test]
    fn a_closed_pool_is_a_fault_that_the_self_test_sees() {
        let mut keys = ReadyKeys::start(Some(0)).unwrap();
        assert!(keys.is_sound());
        keys.shared.pool.close();
        let source = PrimeSource::Fresh(&mut draws(1));
        let found = keys.rsa_primes(2048, 65537, source, &mut [0; 128], &mut [0; 128]);
        assert_eq!(found, Err(KeyFault::Fault));
        assert!(!keys.is_sound());
    }
}
