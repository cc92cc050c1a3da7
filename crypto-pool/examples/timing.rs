// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the time of an operation depends on its secrets, after dudect (Reparaz, Balasch,
//! Verbauwhede: "Dude, is my code constant time?"): `cargo run --release --example timing -p
//! crypto-pool [measurements]`.
//!
//! Two classes of inputs, a fixed one and random ones, are measured in random order; Welch's t-test
//! says whether the means differ. |t| above 4.5 tells of a leak; below says only that none was
//! found with that many measurements. Measurements above a percentile are dropped, as dudect does,
//! since interruptions make the tail.
//!
//! * The exponentiation, with either backend.
//! * The TPM engine's private operation, with one key against others, and with one input against
//!   others. Blinding is the same each time, so that it hides nothing.
//! * All that a search does with the two primes that it keeps: trial division, the Fermat test,
//!   Miller–Rabin, the inversion of the exponent and the pairwise test. With primes that are 3
//!   modulo 4, since the count of factors 2 of p - 1 is known to show, and then with any.

#[path = "../tests/engine_power/mod.rs"]
mod engine_power;
mod hashed;

use std::hint::black_box;
use std::time::Instant;

use crypto_pool::arithmetic::{Backend, secret_power};
use crypto_pool::search::{KeyKind, KeySearch, RsaPrimes};
use crypto_pool::{NoRandomness, Random};
use engine_power::Fast;
use hashed::Hashed;
use sha2::Digest;
use tpm::crypto::drbg::CtrDrbg;
use tpm::crypto::rsa::RsaPrivateKey;

const LIMBS: usize = 16;

struct Numbers(u64);

impl Numbers {
    fn word(&mut self) -> u64 {
        self.0 += 1;
        let hash = sha2::Sha256::digest(self.0.to_le_bytes());
        u64::from_le_bytes(*hash.first_chunk().expect("32 bytes"))
    }

    fn number(&mut self) -> [u64; LIMBS] {
        core::array::from_fn(|_| self.word())
    }
}

/// Mean, variance and count, taken in one by one (Welford).
#[derive(Default)]
struct Statistic {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Statistic {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let difference = value - self.mean;
        self.mean += difference / self.count;
        self.squares += difference * (value - self.mean);
    }

    fn welch(&self, other: &Self) -> f64 {
        let error = |one: &Self| one.squares / (one.count - 1.0) / one.count;
        (self.mean - other.mean) / (error(self) + error(other)).sqrt()
    }
}

/// Measures `operation` for inputs of class 0 and 1, and prints t for some percentiles.
fn compare(name: &str, count: u32, mut operation: impl FnMut(bool, &mut Numbers) -> u64) {
    let mut numbers = Numbers(0);
    let mut measured: Vec<(bool, u64)> = (0..count)
        .map(|_| {
            let class = numbers.word() & 1 == 1;
            (class, operation(class, &mut numbers))
        })
        .collect();
    measured.sort_unstable_by_key(|(_, time)| *time);
    let t: Vec<String> = [50, 80, 95, 100]
        .into_iter()
        .map(|percent| {
            let mut classes = [Statistic::default(), Statistic::default()];
            for (class, time) in &measured[..measured.len() * percent / 100] {
                classes[usize::from(*class)].add(*time as f64);
            }
            format!("{percent} %: {:.2}", classes[0].welch(&classes[1]))
        })
        .collect();
    println!("{name}: t of the fastest {}", t.join(", "));
}

/// The time of one exponentiation, in nanoseconds.
fn time(backend: Backend, base: &[u64], exponent: &[u64], modulus: &[u64]) -> u64 {
    let mut result = [0; LIMBS];
    let time =
        timed(|| secret_power(backend, base, exponent, modulus, &mut result).expect("lengths"));
    black_box(result);
    time
}

/// Nanoseconds of `operation`.
fn timed<T>(operation: impl FnOnce() -> T) -> u64 {
    let begin = Instant::now();
    black_box(operation());
    u64::try_from(begin.elapsed().as_nanos()).expect("a short time")
}

/// Keys that are in the random class, and the one of the fixed class in front.
const KEYS: usize = 64;

/// The next key whose primes are both 3 modulo 4, or any.
fn next_key(search: &mut KeySearch, draws: &mut Hashed, is_3_modulo_4: bool) -> RsaPrimes {
    let mut witnesses = Hashed(1 << 60);
    loop {
        let found = search.step(1_000_000, draws, &mut witnesses).expect("randomness");
        let fits = |prime: &[u8]| !is_3_modulo_4 || prime.last().is_some_and(|low| low & 3 == 3);
        if let Some(key) = found.filter(|key| fits(key.p()) && fits(key.q())) {
            return key;
        }
    }
}

fn make_keys(is_3_modulo_4: bool) -> Vec<RsaPrimes> {
    let kind = KeyKind::usual(2048);
    let mut search = KeySearch::new(kind, Backend::detect()).expect("a kind");
    let mut draws = Hashed(0);
    (0..=KEYS).map(|_| next_key(&mut search, &mut draws, is_3_modulo_4)).collect()
}

/// Key 0, or one of the others.
fn place(class: bool, numbers: &mut Numbers) -> usize {
    let place = 1 + usize::try_from(numbers.word()).expect("64 bits") % KEYS;
    if class { place } else { 0 }
}

/// Draws the primes of a key, one after the other.
struct Known<'a>(&'a [u8], &'a [u8]);

impl Random for Known<'_> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        bytes.copy_from_slice(self.0);
        core::mem::swap(&mut self.0, &mut self.1);
        Ok(())
    }
}

/// Everything that is done with primes that are kept.
fn searches(name: &str, count: u32, keys: &[RsaPrimes]) {
    let mut search = KeySearch::new(KeyKind::usual(2048), Backend::detect()).expect("a kind");
    compare(&format!("final tests and inversion, {name}"), count, |class, numbers| {
        let key = keys[place(class, numbers)].clone();
        let mut witnesses = Hashed(numbers.word() >> 8);
        let mut draws = Known(key.p(), key.q());
        timed(|| {
            let found = search.step(u32::MAX, &mut draws, &mut witnesses);
            assert!(found.expect("randomness").is_some(), "both are prime");
        })
    });
}

fn private_operations(count: u32, keys: &[RsaPrimes]) {
    let power = Fast(Backend::detect());
    let mut random = CtrDrbg::from_seed(&[1; 48]);
    let ready = |key: &RsaPrimes| {
        let mut key = RsaPrivateKey::from_primes(key.p(), key.q(), 65537).expect("a key");
        key.apply(&power, &mut CtrDrbg::from_seed(&[2; 48]), &[1]).expect("a blinding pair");
        key
    };
    let keys: Vec<RsaPrivateKey> = keys.iter().map(ready).collect();
    let input = |numbers: &mut Numbers| {
        let mut input = [0; 256];
        numbers
            .number()
            .iter()
            .zip(input.as_chunks_mut::<8>().0.iter_mut().skip(1))
            .for_each(|(limb, bytes)| *bytes = limb.to_be_bytes());
        input
    };
    compare("private operation, one key against others", count, |class, numbers| {
        let mut key = keys[place(class, numbers)].clone();
        let input = input(numbers);
        timed(|| key.apply(&power, &mut random, &input).expect("a result"))
    });
    let mut one = [0; 256];
    one[255] = 1;
    compare("private operation, input 1 against others", count, |class, numbers| {
        let mut key = keys[0].clone();
        let random_input = input(numbers);
        let input = if class { random_input } else { one };
        timed(|| key.apply(&power, &mut random, &input).expect("a result"))
    });
}

fn main() {
    let count = std::env::args().nth(1).map_or(20_000, |text| text.parse().expect("a count"));
    let mut modulus = Numbers(1 << 40).number();
    modulus[0] |= 1;
    modulus[LIMBS - 1] |= 1 << 63;
    for (name, backend) in [("detected", Backend::detect()), ("portable", Backend::portable())] {
        let mut sparse = [0; LIMBS];
        sparse[0] = 1;
        compare(&format!("{name}, exponent 1 against random ones"), count, |class, numbers| {
            let random = numbers.number();
            let exponent = if class { random } else { sparse };
            time(backend, &modulus.map(|limb| limb / 3), &exponent, &modulus)
        });
        let exponent = Numbers(1 << 41).number();
        compare(&format!("{name}, base 1 against random ones"), count, |class, numbers| {
            let mut random = numbers.number();
            random[LIMBS - 1] >>= 1;
            let base = if class { random } else { sparse };
            time(backend, &base, &exponent, &modulus)
        });
    }
    let keys = make_keys(true);
    private_operations(count, &keys);
    searches("primes 3 modulo 4", count / 8, &keys);
    searches("any primes", count / 8, &make_keys(false));
}
