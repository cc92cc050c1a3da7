// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the time of an exponentiation depends on its secrets, after dudect (Reparaz, Balasch,
//! Verbauwhede: "Dude, is my code constant time?"): `cargo run --release --example timing -p
//! crypto-pool [measurements]`.
//!
//! Two classes of inputs, a fixed one and random ones, are measured in random order; Welch's t-test
//! says whether the means differ. |t| above 4.5 tells of a leak; below says only that none was
//! found with that many measurements. Measurements above a percentile are dropped, as dudect does,
//! since interruptions make the tail.

use std::hint::black_box;
use std::time::Instant;

use crypto_pool::arithmetic::{Backend, secret_power};
use sha2::Digest;

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
    let begin = Instant::now();
    secret_power(backend, base, exponent, modulus, &mut result).expect("lengths");
    let time = u64::try_from(begin.elapsed().as_nanos()).expect("a short time");
    black_box(result);
    time
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
}
