// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPU time of key generation in one thread, side by side with other implementations: `cargo run
//! --release --example keys -p crypto-pool [count]`, which `make bench-keys` calls.
//!
//! Each round makes one key with each, so that a busy machine is the same for all. Beside the `rsa`
//! crate and two primes of `crypto-primes` there is the OpenSSL that is installed, in a process of
//! its own (`openssl_keys.py`); without it its column is missing.

mod cpu_time;
mod hashed;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use cpu_time::cpu_time;
use crypto_pool::Random;
use crypto_pool::arithmetic::Backend;
use crypto_pool::search::{KeyKind, KeySearch};
use crypto_primes::{Flavor, random_prime};
use hashed::Hashed;
use rsa::BoxedUint;

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

fn measure(make: impl FnOnce()) -> Duration {
    let begin = cpu_time();
    make();
    cpu_time() - begin
}

fn search(bits: u16, backend: Backend, round: u64) {
    let (mut draws, mut witnesses) = (Hashed(round << 32), Hashed(round << 48));
    let mut search = KeySearch::new(KeyKind::usual(bits), backend).expect("a usual kind");
    while search.step(2000, &mut draws, &mut witnesses).expect("randomness").is_none() {}
}

/// Another process that makes keys with OpenSSL.
struct OpenSsl {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl OpenSsl {
    /// Starts it; `None` when Python or OpenSSL is missing.
    fn start() -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/openssl_keys.py");
        let mut process = Command::new("python3")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let input = process.stdin.take()?;
        let output = BufReader::new(process.stdout.take()?);
        let mut openssl = Self { process, input, output };
        println!("{}", openssl.line()?);
        Some(openssl)
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).ok().filter(|length| *length > 0)?;
        Some(line.trim().to_owned())
    }

    fn make(&mut self, bits: u16) -> Option<Duration> {
        writeln!(self.input, "{bits}").ok()?;
        self.line()?.parse().ok().map(Duration::from_nanos)
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        // Its input ends with this process at the latest.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// The times of one implementation, in milliseconds: mean, median and 95th percentile.
fn row(name: &str, bits: u16, mut times: Vec<Duration>) {
    if times.is_empty() {
        return;
    }
    times.sort_unstable();
    let count = u32::try_from(times.len()).expect("a count");
    let mean = times.iter().sum::<Duration>() / count;
    let at = |percent: usize| times[times.len() * percent / 100];
    let [mean, middle, high] = [mean, at(50), at(95)].map(|time| time.as_secs_f64() * 1000.0);
    println!("| RSA-{bits} | {name} | {mean:.1} | {middle:.1} | {high:.1} |");
}

fn main() {
    let count: u64 = std::env::args().nth(1).map_or(50, |text| text.parse().expect("a count"));
    let mut openssl = OpenSsl::start();
    println!("| key | implementation | mean ms | p50 ms | p95 ms |");
    println!("|---|---|---|---|---|");
    for bits in [2048, 3072, 4096] {
        let rounds = if bits == 2048 { count } else { count.div_ceil(5) };
        let names = ["crypto-pool", "crypto-pool, portable", "rsa crate", "crypto-primes"];
        let mut times = [const { Vec::new() }; 4];
        let mut others = Vec::new();
        for round in 0..rounds {
            times[0].push(measure(|| search(bits, Backend::detect(), round)));
            times[1].push(measure(|| search(bits, Backend::portable(), round)));
            times[2].push(measure(|| {
                let mut random = Hashed(round << 32);
                rsa::RsaPrivateKey::new(&mut random, usize::from(bits)).expect("a key");
            }));
            times[3].push(measure(|| {
                let mut random = Hashed(round << 32);
                for _ in 0..2 {
                    let length = u32::from(bits / 2);
                    let prime: BoxedUint = random_prime(&mut random, Flavor::Any, length);
                    std::hint::black_box(prime);
                }
            }));
            others.extend(openssl.as_mut().and_then(|openssl| openssl.make(bits)));
        }
        for (name, times) in names.into_iter().zip(times) {
            row(name, bits, times);
        }
        row("OpenSSL", bits, others);
    }
}
