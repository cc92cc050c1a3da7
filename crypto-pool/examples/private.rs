// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPU time of an RSA private operation: `cargo run --release --example private -p crypto-pool`.
//! Blinded and checked in all cases: the TPM engine's with its own and with this crate's
//! exponentiation, and that of the `rsa` crate.

mod cpu_time;
#[path = "../tests/engine_power/mod.rs"]
mod engine_power;

use std::hint::black_box;
use std::time::Duration;

use cpu_time::cpu_time;
use crypto_pool::arithmetic::Backend;
use engine_power::Fast;
use rsa::BoxedUint;
use tpm::crypto::drbg::CtrDrbg;
use tpm::crypto::rsa::{ModularPower, Portable, RsaPrivateKey, generate_prime_pair};

/// The engine's generator for the `rsa` crate.
struct Drbg(CtrDrbg);

impl rand_core::TryRng for Drbg {
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
        tpm::crypto::Random::fill(&mut self.0, bytes).expect("requests enough");
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Drbg {}

/// Rounds, in each of which every operation has its turn: what slows the machine down for a while
/// slows all of them down.
const ROUNDS: u32 = 25;
/// Operations in a turn.
const TURN: u32 = 8;

/// The mean CPU time of each operation.
fn measure<const K: usize>(mut operations: [&mut dyn FnMut(); K]) -> [Duration; K] {
    let mut times = [Duration::ZERO; K];
    operations.iter_mut().for_each(|operation| operation());
    for _ in 0..ROUNDS {
        for (operation, time) in operations.iter_mut().zip(&mut times) {
            let begin = cpu_time();
            for _ in 0..TURN {
                operation();
            }
            *time += cpu_time() - begin;
        }
    }
    times.map(|time| time / (ROUNDS * TURN))
}

/// The engine's private operation.
fn private(key: &RsaPrivateKey, power: &dyn ModularPower, input: &[u8]) -> impl FnMut() {
    let (mut key, mut random) = (key.clone(), CtrDrbg::from_seed(&[4; 48]));
    move || {
        black_box(key.apply(power, &mut random, input).expect("a result"));
    }
}

fn main() {
    let fast = Fast(Backend::detect());
    let (mut draws, mut random) = (CtrDrbg::from_seed(&[1; 48]), CtrDrbg::from_seed(&[2; 48]));
    for size in [256, 384, 512] {
        let key = generate_prime_pair(size, 65537, &fast, &mut draws, &mut random).expect("a key");
        let input = vec![0x5a; size];
        let peer = peer(&key);
        let mut generator = Drbg(CtrDrbg::from_seed(&[3; 48]));
        let [portable, detected, other, load] = measure([
            &mut private(&key, &Portable, &input),
            &mut private(&key, &fast, &input),
            &mut || {
                let padding = rsa::Pkcs1v15Sign::new_unprefixed();
                let signature = peer.sign_with_rng(&mut generator, padding, &input[..32]);
                black_box(signature.expect("a result"));
            },
            &mut || {
                black_box(RsaPrivateKey::from_prime(key.public(), key.prime()).expect("a key"));
            },
        ]);
        let ratio = detected.as_secs_f64() / other.as_secs_f64();
        println!(
            "RSA-{}: portable {portable:?}, detected {detected:?}, rsa crate {other:?} (detected: \
             {ratio:.3} of it); load {load:?}",
            8 * size,
        );
    }
}

/// The same key for the `rsa` crate.
fn peer(key: &RsaPrivateKey) -> rsa::RsaPrivateKey {
    let bits = u32::try_from(8 * key.public().size()).expect("a length");
    let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, bits).expect("a number");
    let (modulus, p) = (number(key.public().modulus()), number(key.prime()));
    let q = modulus.wrapping_div(&p.clone().into_nz().expect("not zero"));
    rsa::RsaPrivateKey::from_p_q(p, q, BoxedUint::from(65537u64)).expect("a key")
}
