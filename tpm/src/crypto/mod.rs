// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cryptography of the TPM 2.0 engine (Trusted Platform Module Library, Part 1, clause 11 and
//! annexes B and C): one operation per file, without allocation and without state of its own.
//!
//! | module | what |
//! |---|---|
//! | [`hash`], [`hmac`], [`cmac`] | digests and MACs whose middle can be saved in a context |
//! | [`kdf`] | KDFa, KDFe, MGF1 and the XOR obfuscation |
//! | [`symmetric`] | AES, SM4 and Camellia in CFB, CTR, OFB, CBC and ECB |
//! | [`drbg`] | CTR_DRBG over AES-256, and the generator from which an object is derived |
//! | [`ecc`] | NIST P-256, P-384, P-521 and SM2: keys, agreement, signatures, commitments |
//! | [`rsa`] | RSA keys of 1024 to 4096 bits: encryption, signatures, primes |
//!
//! Numbers are big-endian byte strings of a fixed width, padded on the left, as they appear on the
//! wire. Whatever holds a secret wipes it when dropped.

pub mod cmac;
pub mod drbg;
pub mod ecc;
pub mod hash;
pub mod hmac;
pub mod kdf;
pub mod rsa;
pub mod symmetric;

#[cfg(test)]
pub(crate) mod vectors;

/// Why a cryptographic operation gave no result. The command decides which response code that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CryptoError {
    /// A number is outside the range that the operation allows (usually `TPM_RC_VALUE`).
    Value,
    /// A buffer is too long or too short for the key or the scheme (usually `TPM_RC_SIZE`).
    Size,
    /// The key size is not supported (usually `TPM_RC_KEY_SIZE`).
    KeySize,
    /// A point is not on its curve, or is the point at infinity (`TPM_RC_ECC_POINT`).
    Point,
    /// The curve is known but not implemented, or not known (`TPM_RC_CURVE`).
    Curve,
    /// The operation is defined, but not for this combination of key and scheme (`TPM_RC_SCHEME`).
    Scheme,
    /// The mathematics gave a result that must not be used (`TPM_RC_NO_RESULT`).
    NoResult,
    /// A signature is not valid (`TPM_RC_SIGNATURE`).
    Signature,
    /// Public and private parts do not belong together (`TPM_RC_BINDING`).
    Binding,
    /// A saved state is damaged, or of another algorithm.
    State,
    /// The random bit generator has no entropy (failure mode).
    Random,
    /// A result failed its own check: a fault was induced, or the software is wrong (failure mode).
    Fault,
}

/// A source of random bytes.
pub trait Random {
    /// Fills `bytes` with random bytes.
    ///
    /// # Errors
    /// [`CryptoError::Random`] when the generator has no entropy; `bytes` is then not to be used.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), CryptoError>;
}
