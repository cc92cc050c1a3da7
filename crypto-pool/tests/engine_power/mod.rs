// SPDX-License-Identifier: MIT OR Apache-2.0
//! This crate's exponentiation as the TPM engine's.

use crypto_pool::arithmetic::{Backend, public_power, secret_power};
use tpm::crypto::CryptoError;
use tpm::crypto::rsa::ModularPower;

pub(crate) struct Fast(pub(crate) Backend);

impl ModularPower for Fast {
    fn secret(
        &self,
        base: &[u64],
        exponent: &[u64],
        modulus: &[u64],
        result: &mut [u64],
    ) -> Result<(), CryptoError> {
        secret_power(self.0, base, exponent, modulus, result).map_err(|_| CryptoError::Size)
    }

    fn public(
        &self,
        base: &[u64],
        exponent: u32,
        modulus: &[u64],
        result: &mut [u64],
    ) -> Result<(), CryptoError> {
        public_power(self.0, base, exponent, modulus, result).map_err(|_| CryptoError::Size)
    }
}
