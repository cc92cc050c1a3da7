// SPDX-License-Identifier: MIT OR Apache-2.0
//! The arithmetic of RSA: crypto-pool's, with MULX and ADX where the processor has them. Their
//! instructions use general registers only, so nothing has to be saved or switched on.

use crypto_pool::arithmetic::{Backend, public_power, secret_power};
use spin::Once;
use tpm::crypto::CryptoError;
use tpm::crypto::rsa::ModularPower;

/// What multiplies on this machine. CPUID is a #VC in the SVSM, so it is asked once.
pub fn backend() -> Backend {
    static BACKEND: Once<Backend> = Once::new();
    *BACKEND.call_once(Backend::detect)
}

/// The arithmetic, for the engine.
#[derive(Clone, Copy, Debug)]
pub struct Arithmetic;

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
