// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long the parts of an exponentiation take with each backend: `cargo run --release --example
//! power -p crypto-pool`.

mod cpu_time;

use std::hint::black_box;

use cpu_time::cpu_time;
use crypto_pool::arithmetic::{Backend, Modulus, Scratch, secret_power};

fn measure<const N: usize>(name: &str, backend: Backend) {
    let mut seed = 0x9E37_79B9_7F4A_7C15u64;
    let mut number = || {
        core::array::from_fn::<u64, N, _>(|_| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        })
    };
    let mut modulus = number();
    modulus[0] |= 1;
    modulus[N - 1] |= 1 << 63;
    let (base, exponent) = (number(), number());
    let ready = Modulus::new(&modulus, backend).expect("an odd modulus");
    let mut scratch = Scratch::new();
    let start = ready.enter(&mut scratch, &base);
    let per = |count: u32, mut operation: Box<dyn FnMut() + '_>| {
        let begin = cpu_time();
        for _ in 0..count {
            operation();
        }
        (cpu_time() - begin) / count
    };
    let mut other = Scratch::new();
    let multiply = per(
        20_000,
        Box::new(|| {
            black_box(ready.multiply(&mut scratch, black_box(&start), black_box(&start)));
        }),
    );
    let square = per(
        20_000,
        Box::new(|| {
            black_box(ready.square(&mut other, black_box(&start)));
        }),
    );
    let mut result = [0; N];
    let power = per(
        100,
        Box::new(|| {
            secret_power(backend, &base, &exponent, &modulus, &mut result).expect("lengths");
        }),
    );
    let bits = 64 * N;
    println!("{name} {bits:4} bits: multiply {multiply:?}, square {square:?}, power {power:?}");
}

fn main() {
    for (name, backend) in [("portable", Backend::portable()), ("detected", Backend::detect())] {
        measure::<8>(name, backend);
        measure::<16>(name, backend);
        measure::<24>(name, backend);
        measure::<32>(name, backend);
    }
}
