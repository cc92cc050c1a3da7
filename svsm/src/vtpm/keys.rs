// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSA primes that no vCPU waits for (docs/key-pool.md).
//!
//! A key comes from the pool, or from the cache of derivations. When neither has it, a job is
//! begun or found, gets a slice of time, and the command answers TPM_RC_RETRY: Linux sleeps with
//! interrupts on and sends it again. The slice grows with each attempt so that Linux never gives
//! up. Everything else is background work: before the guest starts, and in short slices at the end
//! of calls.
//!
//! The pool is shared by all CPUs without waiting; one CPU at a time works on searches.

use super::arithmetic::backend;
use super::primes;
use crate::platform::entropy::{Entropy, EntropyFault};
use alloc::boxed::Box;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crypto_pool::pool::Pool;
use crypto_pool::search::{KeyKind, RsaPrimes};
use crypto_pool::shelf::{Counters, Marks};
use crypto_pool::tally::Tally;
use crypto_pool::workshop::Workshop;
use crypto_pool::{NoRandomness, Random as PoolRandom};
use spin::mutex::{Mutex, MutexGuard};
use tpm::crypto::Random;
use tpm::crypto::drbg::{CtrDrbg, SEED_SIZE};
use tpm::platform::{KeyFault, Keys, PrimeSource};
use zeroize::Zeroizing;

/// Ready keys of one length at most.
const PLACES: usize = 8;
/// When each length is refilled: 2048, 3072 and 4096 bits.
const MARKS: [Marks; 3] =
    [Marks { low: 4, high: 8 }, Marks { low: 0, high: 1 }, Marks { low: 0, high: 1 }];
/// Keys that somebody comes again for.
const JOBS: usize = 2;
/// Derivations that are kept.
const DERIVATIONS: usize = 8;
/// Tries to enter the workshop before the command answers TPM_RC_RETRY. Whoever is in it leaves
/// after a background slice, or after an attempt's slice; the latter is not worth waiting for.
const ENTRY_TRIES: u32 = 100_000;

/// Requests after which a generator is seeded again: about as many as a key of 2048 bits takes.
const RESEED_INTERVAL: u32 = 1024;

type KeyWorkshop = Workshop<Draws, JOBS, DERIVATIONS>;

/// A generator as the search wants one.
#[derive(Debug)]
enum Draws {
    /// For new keys, and for the bases of tests: seeded again now and then.
    Fresh { generator: CtrDrbg, entropy: Entropy, requests: u32 },
    /// Of a derivation, which must come out the same each time.
    Derivation(CtrDrbg),
}

impl Draws {
    fn fresh(entropy: &Entropy) -> Result<Self, EntropyFault> {
        let mut entropy = entropy.another()?;
        let mut seed = Zeroizing::new([0; SEED_SIZE]);
        entropy.fill(&mut *seed)?;
        Ok(Self::Fresh { generator: CtrDrbg::from_seed(&seed), entropy, requests: 0 })
    }
}

impl PoolRandom for Draws {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        let generator = match self {
            Self::Derivation(generator) => generator,
            Self::Fresh { generator, entropy, requests } => {
                *requests = (*requests + 1) % RESEED_INTERVAL;
                if *requests == 0 {
                    let mut seed = Zeroizing::new([0; SEED_SIZE]);
                    entropy.fill(&mut *seed).map_err(|_| NoRandomness)?;
                    generator.reseed(&[&*seed]).map_err(|_| NoRandomness)?;
                }
                generator
            }
        };
        generator.fill(bytes).map_err(|_| NoRandomness)
    }
}

/// Everything about keys that CPUs share.
pub struct KeyStock {
    pool: Pool<PLACES>,
    workshop: Mutex<KeyWorkshop>,
    /// Commands that want the workshop: background work lets them in first.
    waiting: AtomicU32,
    /// Whoever enters the workshop next wipes what was derived.
    must_forget: AtomicBool,
}

impl KeyStock {
    /// An empty stock with generators of its own, each with its own health tests.
    ///
    /// # Errors
    /// There is no entropy.
    pub(super) fn new(entropy: &Entropy) -> Result<Box<Self>, EntropyFault> {
        let (fresh, witnesses) = (Draws::fresh(entropy)?, Draws::fresh(entropy)?);
        Ok(Box::new(Self {
            pool: Pool::new(MARKS),
            workshop: Mutex::new(Workshop::new(backend(), fresh, witnesses)),
            waiting: AtomicU32::new(0),
            must_forget: AtomicBool::new(false),
        }))
    }

    /// Works for at most `budget` multiplications of 1024 bits (and what `OVERSHOOT` of primes'
    /// length weigh), unless another CPU does or a command is waiting to. Returns whether there
    /// was anything to do.
    pub fn work(&self, budget: u32) -> bool {
        if self.waiting.load(Ordering::Acquire) != 0 {
            return false;
        }
        let Some(mut workshop) = self.try_enter() else { return false };
        // A fault closes the pool; the self-test and the next command that wants a key tell it.
        workshop.work(&self.pool, budget).unwrap_or(false)
    }

    /// Whether there is anything to do, as far as that can be seen while another CPU works.
    pub fn has_work(&self) -> bool {
        self.pool.wanted().is_some()
            || self.try_enter().is_some_and(|workshop| workshop.is_urgent())
    }

    /// What happened at each shelf.
    pub fn shelves(&self) -> impl Iterator<Item = (KeyKind, Counters)> {
        self.pool.counters()
    }

    /// What all searches took; `None` while another CPU works.
    pub fn work_done(&self) -> Option<Tally> {
        Some(self.try_enter()?.tally())
    }

    /// The workshop, if nobody is in it.
    fn try_enter(&self) -> Option<MutexGuard<'_, KeyWorkshop>> {
        let mut workshop = self.workshop.try_lock()?;
        if self.must_forget.swap(false, Ordering::AcqRel) {
            workshop.forget_derived();
        }
        Some(workshop)
    }

    /// The workshop, for a command; `None` when somebody stays in it too long.
    fn enter(&self) -> Option<MutexGuard<'_, KeyWorkshop>> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let entered = (0..ENTRY_TRIES).find_map(|_| {
            let entered = self.try_enter();
            if entered.is_none() {
                spin_loop();
            }
            entered
        });
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        entered
    }

    fn find(
        &self,
        kind: KeyKind,
        source: PrimeSource<'_>,
        is_planning: bool,
    ) -> Result<RsaPrimes, KeyFault> {
        if self.pool.is_closed() {
            return Err(KeyFault::Fault);
        }
        let outcome = match source {
            PrimeSource::Fresh(_) => {
                if let Some(primes) = self.pool.take(kind) {
                    return Ok(primes);
                }
                let mut workshop = self.enter().ok_or(KeyFault::NotReady)?;
                workshop.ask_fresh(&self.pool, kind)
            }
            PrimeSource::Derived(generator) => {
                let name = primes::name(generator, kind)?;
                let draws = Draws::Derivation(generator.clone());
                let mut workshop = self.enter().ok_or(KeyFault::NotReady)?;
                if is_planning {
                    workshop.derive_ahead(name, kind, draws);
                    return Err(KeyFault::NotReady);
                }
                workshop.ask_derived(&self.pool, name, kind, draws)
            }
        };
        outcome.map_err(primes::fault)?.ok_or(KeyFault::NotReady)
    }
}

/// The engine's source of primes.
pub(super) struct ReadyKeys {
    stock: Option<&'static KeyStock>,
    /// Derivations are only planned, for background work.
    is_planning: bool,
}

impl ReadyKeys {
    /// Without a stock there are no primes.
    pub(super) const fn new(stock: Option<&'static KeyStock>) -> Self {
        Self { stock, is_planning: false }
    }

    /// What it takes from.
    pub(super) const fn stock(&self) -> Option<&'static KeyStock> {
        self.stock
    }

    /// Wipes what was derived: a seed changed. While another CPU works that is left to whoever
    /// comes next, and every call has background work done at its end; until then nobody finds any
    /// of it, since the name of a derivation depends on the seed.
    pub(super) fn forget_derived(&self) {
        if let Some(stock) = self.stock {
            stock.must_forget.store(true, Ordering::Release);
            drop(stock.try_enter());
        }
    }

    /// Until this is ended, derivations that are asked for are only planned.
    pub(super) const fn set_planning(&mut self, is_planning: bool) {
        self.is_planning = is_planning;
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
        let stock = self.stock.ok_or(KeyFault::Fault)?;
        let found = stock.find(kind, source, self.is_planning)?;
        primes::hand_over(&found, p, q);
        Ok(())
    }

    fn is_sound(&mut self) -> bool {
        self.stock.is_some_and(|stock| !stock.pool.is_closed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::entropy::tests::{break_now, breakable, good};
    use tpm::crypto::rsa::{Portable, generate_prime_pair};

    fn stock() -> &'static KeyStock {
        Box::leak(KeyStock::new(&good()).unwrap())
    }

    fn ask(
        keys: &mut ReadyKeys,
        bits: u16,
        source: PrimeSource<'_>,
    ) -> Result<(Vec<u8>, Vec<u8>), KeyFault> {
        let size = usize::from(bits / 16);
        let (mut p, mut q) = (vec![0; size], vec![0; size]);
        keys.rsa_primes(bits, 65537, source, &mut p, &mut q).map(|()| (p, q))
    }

    fn derive(keys: &mut ReadyKeys, seed: u8) -> Result<(Vec<u8>, Vec<u8>), KeyFault> {
        ask(keys, 1024, PrimeSource::Derived(&mut CtrDrbg::from_seed(&[seed; 48])))
    }

    #[test]
    fn sizes_that_are_no_key_are_unsupported() {
        let mut keys = ReadyKeys::new(Some(stock()));
        for (bits, p, q) in [(0, 0, 0), (512, 32, 32), (2048, 127, 128), (2048, 128, 129)] {
            let mut draws = CtrDrbg::from_seed(&[2; 48]);
            let source = PrimeSource::Derived(&mut draws);
            let (mut p, mut q) = (vec![0; p], vec![0; q]);
            let outcome = keys.rsa_primes(bits, 65537, source, &mut p, &mut q);
            assert_eq!(outcome, Err(KeyFault::Unsupported));
        }
    }

    #[test]
    fn without_entropy_there_is_a_fault_that_the_self_test_sees() {
        let mut keys = ReadyKeys::new(None);
        assert_eq!(derive(&mut keys, 1), Err(KeyFault::Fault));
        assert!(!keys.is_sound());
        let stock = Box::leak(KeyStock::new(&breakable()).unwrap());
        let mut keys = ReadyKeys::new(Some(stock));
        assert!(keys.is_sound());
        break_now();
        while stock.work(1_000_000) {}
        assert!(!keys.is_sound(), "reseeding has failed");
        let fresh = PrimeSource::Fresh(&mut CtrDrbg::from_seed(&[2; 48]));
        assert_eq!(ask(&mut keys, 2048, fresh), Err(KeyFault::Fault));
    }

    #[test]
    fn a_derived_key_is_the_engines_own() {
        let mut keys = ReadyKeys::new(Some(stock()));
        let mut attempts = 1;
        let (p, q) = loop {
            match derive(&mut keys, 7) {
                Ok(found) => break found,
                Err(fault) => assert_eq!(fault, KeyFault::NotReady),
            }
            attempts += 1;
        };
        assert!((2..=8).contains(&attempts), "{attempts}");
        let own = generate_prime_pair(
            128,
            65537,
            &Portable,
            &mut CtrDrbg::from_seed(&[7; 48]),
            &mut CtrDrbg::from_seed(&[9; 48]),
        )
        .unwrap();
        assert_eq!(own.prime(), p);
        assert_eq!(derive(&mut keys, 7), Ok((p, q)), "from the cache");
        keys.forget_derived();
        assert_eq!(derive(&mut keys, 7), Err(KeyFault::NotReady));
    }

    #[test]
    fn planned_derivations_and_fresh_keys_are_background_work() {
        let stock = stock();
        let mut keys = ReadyKeys::new(Some(stock));
        keys.set_planning(true);
        assert_eq!(derive(&mut keys, 3), Err(KeyFault::NotReady));
        keys.set_planning(false);
        let ready = || stock.shelves().next().unwrap().1.ready;
        while ready() == 0 {
            assert!(stock.work(100_000));
        }
        assert!(derive(&mut keys, 3).is_ok(), "derivations come before the pool");
        let fresh = PrimeSource::Fresh(&mut CtrDrbg::from_seed(&[2; 48]));
        assert!(ask(&mut keys, 2048, fresh).is_ok());
        assert_eq!(ready(), 0);
    }

    #[test]
    fn what_is_to_be_forgotten_does_not_wait_for_the_workshop() {
        let stock = stock();
        let mut keys = ReadyKeys::new(Some(stock));
        let derived = |keys: &mut ReadyKeys| (0..8).any(|_| derive(keys, 7).is_ok());
        assert!(derived(&mut keys) && derive(&mut keys, 7).is_ok());
        let occupied = stock.workshop.lock();
        keys.forget_derived();
        drop(occupied);
        assert!(stock.work_done().is_some(), "anybody comes by");
        assert!(!stock.must_forget.load(Ordering::Acquire));
        assert_eq!(derive(&mut keys, 7), Err(KeyFault::NotReady));
        assert!(derived(&mut keys) && derive(&mut keys, 7).is_ok(), "only once");
    }

    /// Neither background work nor a command waits for who stays in the workshop.
    #[test]
    fn an_occupied_workshop_is_not_waited_for() {
        let stock = stock();
        let occupied = stock.workshop.lock();
        assert!(!stock.work(1000));
        let mut keys = ReadyKeys::new(Some(stock));
        assert_eq!(derive(&mut keys, 1), Err(KeyFault::NotReady));
        drop(occupied);
        assert!(stock.has_work() && stock.work(1000));
        stock.pool.close();
        assert!(!stock.has_work() && !stock.work(1000));
    }
}
