// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPU time of key generation, with the `rsa` crate for comparison:
//! `cargo run --release --example keys -p crypto-pool [count]`.

use std::time::Duration;

use crypto_pool::arithmetic::Backend;
use crypto_pool::search::{KeyKind, KeySearch};
use crypto_pool::{NoRandomness, Random};

/// Bytes of SHA-256 in counter mode: the generator's own cost is not what is measured here.
struct Hashed(u64);

impl Random for Hashed {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        use sha2::Digest;
        for chunk in bytes.chunks_mut(32) {
            self.0 += 1;
            let block = sha2::Sha256::digest(self.0.to_le_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

/// Time that this thread was on a processor; the wall's says more about other programs.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux kernel");
    let nanoseconds = text.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

impl rand_core::TryRng for Hashed {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.fill(bytes).expect("there is always another counter");
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Hashed {}

/// Makes `rounds` keys and prints how long that took.
fn measure(name: &str, bits: u16, rounds: u64, mut make: impl FnMut(u64)) {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|round| {
            let begin = cpu_time();
            make(round);
            cpu_time() - begin
        })
        .collect();
    times.sort_unstable();
    let mean = times.iter().sum::<Duration>() / u32::try_from(rounds).expect("a count");
    let at = |percent: usize| times[times.len() * percent / 100];
    println!("{name} RSA-{bits}: mean {mean:?}, p50 {:?}, p95 {:?}", at(50), at(95));
}

fn search(bits: u16, backend: Backend, round: u64) {
    let (mut draws, mut witnesses) = (Hashed(round << 32), Hashed(round << 48));
    let mut search = KeySearch::new(KeyKind::usual(bits), backend).expect("a usual kind");
    while search.step(2000, &mut draws, &mut witnesses).expect("randomness").is_none() {}
}

fn main() {
    let count: u64 = std::env::args().nth(1).map_or(50, |text| text.parse().expect("a count"));
    for bits in [2048, 3072, 4096] {
        let rounds = if bits == 2048 { count } else { count.div_ceil(5) };
        measure("detected", bits, rounds, |round| search(bits, Backend::detect(), round));
        measure("portable", bits, rounds, |round| search(bits, Backend::portable(), round));
        measure("rsa crate", bits, rounds, |round| {
            let mut random = Hashed(round << 32);
            rsa::RsaPrivateKey::new(&mut random, usize::from(bits)).expect("a key");
        });
    }
}
