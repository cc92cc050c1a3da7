// SPDX-License-Identifier: MIT OR Apache-2.0
//! HMAC (RFC 2104, FIPS 198-1; Part 1, 11.4.7 "HMAC Algorithm") over any hash algorithm.
//!
//! Built on [`Hasher`] rather than on a crate, because an HMAC sequence object must survive
//! `TPM2_ContextSave`, so both halves of the computation have to be saved.

use zeroize::Zeroize;

use super::CryptoError;
use super::hash::{BLOCK_SIZE_MAX, Digest, HASHER_STATE_SIZE_MAX, HashAlgorithm, Hasher};

/// The longest saved middle of an HMAC, in bytes: the outer and the inner hash, equally long.
pub const HMAC_STATE_SIZE_MAX: usize = 2 * HASHER_STATE_SIZE_MAX;

/// An HMAC computation in progress.
#[derive(Clone, Debug)]
pub struct Hmac {
    /// Has taken in the key and the message so far.
    inner: Hasher,
    /// Has taken in the key only.
    outer: Hasher,
}

impl Hmac {
    /// Starts an HMAC with `key`, of any length.
    #[must_use]
    pub fn new(algorithm: HashAlgorithm, key: &[u8]) -> Self {
        let mut block = [0; BLOCK_SIZE_MAX];
        if key.len() > algorithm.block_size() {
            let mut digest = algorithm.digest(&[key]);
            copy_prefix(&mut block, &digest);
            digest.zeroize();
        } else {
            copy_prefix(&mut block, key);
        }
        let keyed = |pad: u8| {
            let mut padded = block.map(|byte| byte ^ pad);
            let mut hasher = Hasher::new(algorithm);
            hasher.update(padded.get(..algorithm.block_size()).unwrap_or(&padded));
            padded.zeroize();
            hasher
        };
        let hmac = Self { inner: keyed(0x36), outer: keyed(0x5c) };
        block.zeroize();
        hmac
    }

    /// The HMAC of `parts`, one after the other.
    #[must_use]
    pub fn mac(algorithm: HashAlgorithm, key: &[u8], parts: &[&[u8]]) -> Digest {
        let mut hmac = Self::new(algorithm, key);
        for part in parts {
            hmac.update(part);
        }
        hmac.finish()
    }

    /// The hash algorithm.
    #[must_use]
    pub fn algorithm(&self) -> HashAlgorithm {
        self.inner.algorithm()
    }

    /// Appends `data` to the message.
    pub fn update(&mut self, data: &[u8]) {
        self.inner.update(data);
    }

    /// The HMAC of the message.
    #[must_use]
    pub fn finish(mut self) -> Digest {
        let mut inner = self.inner.finish();
        self.outer.update(&inner);
        inner.zeroize();
        self.outer.finish()
    }

    /// Saves the middle of the computation, which is as secret as the key. Returns the number of
    /// bytes written to `saved`.
    pub fn save(&self, saved: &mut [u8; HMAC_STATE_SIZE_MAX]) -> usize {
        let mut half = [0; HASHER_STATE_SIZE_MAX];
        let mut length = 0;
        for hasher in [&self.outer, &self.inner] {
            let half_length = hasher.save(&mut half);
            let place = saved.get_mut(length..).and_then(|rest| rest.get_mut(..half_length));
            if let (Some(place), Some(half)) = (place, half.get(..half_length)) {
                place.copy_from_slice(half);
                length = length.saturating_add(half_length);
            }
        }
        half.zeroize();
        length
    }

    /// Restores what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// [`CryptoError::State`] if it is damaged.
    pub fn restore(saved: &[u8]) -> Result<Self, CryptoError> {
        let (outer, inner) = saved.split_at(saved.len() / 2);
        let (outer, inner) = (Hasher::restore(outer)?, Hasher::restore(inner)?);
        if outer.algorithm() == inner.algorithm() {
            Ok(Self { inner, outer })
        } else {
            Err(CryptoError::State)
        }
    }
}

/// Copies `source` to the beginning of `block`, which is never shorter than `source` here.
fn copy_prefix(block: &mut [u8; BLOCK_SIZE_MAX], source: &[u8]) {
    block.iter_mut().zip(source).for_each(|(place, byte)| *place = *byte);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::vectors::unhex;

    #[test]
    fn halves_of_different_algorithms_are_refused() {
        let mut one = [0; HMAC_STATE_SIZE_MAX];
        let mut other = [0; HMAC_STATE_SIZE_MAX];
        let length = Hmac::new(HashAlgorithm::Sha3_256, b"key").save(&mut one);
        assert_eq!(Hmac::new(HashAlgorithm::Sha3_384, b"key").save(&mut other), length);
        one[length / 2..].copy_from_slice(&other[length / 2..]);
        assert_eq!(Hmac::restore(&one[..length]).err(), Some(CryptoError::State));
        assert_eq!(Hmac::restore(&[]).err(), Some(CryptoError::State));
        assert_eq!(Hmac::restore(&other[..length - 1]).err(), Some(CryptoError::State));
    }

    #[test]
    fn an_hmac_continues_after_save_and_restore() {
        let mut saved = [0; HMAC_STATE_SIZE_MAX];
        for algorithm in HashAlgorithm::ALL {
            let mut hmac = Hmac::new(algorithm, &[7; 200]);
            hmac.update(&[1; 77]);
            let length = hmac.save(&mut saved);
            let mut restored = Hmac::restore(&saved[..length]).unwrap();
            restored.update(&[2; 200]);
            let whole = Hmac::mac(algorithm, &[7; 200], &[&[1; 77], &[2; 200]]);
            assert_eq!(restored.finish(), whole);
        }
    }

    /// RFC 4231, cases 1, 2, 6 (a key longer than the block), and RFC 2202 case 2 for SHA-1.
    #[test]
    fn published_macs() {
        for (algorithm, key, data, mac) in [
            (
                HashAlgorithm::Sha1,
                "4a656665",
                "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
                "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
            ),
            (
                HashAlgorithm::Sha256,
                "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
                "4869205468657265",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                HashAlgorithm::Sha384,
                "4a656665",
                "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e\
                 8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                HashAlgorithm::Sha512,
                "4a656665",
                "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                 9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            assert_eq!(Hmac::mac(algorithm, &unhex(key), &[&unhex(data)]).as_bytes(), unhex(mac));
        }
        let long = Hmac::mac(
            HashAlgorithm::Sha256,
            &[0xaa; 131],
            &[b"Test Using Larger Than Block-Size Key - Hash Key First"],
        );
        let expected = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        assert_eq!(long.as_bytes(), unhex(expected));
    }
}
