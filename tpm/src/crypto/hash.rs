// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hash algorithms (Part 2, 6.3 `TPM_ALG_ID` and 9.3 `TPMI_ALG_HASH`): FIPS 180-4 (SHA-1, SHA-2),
//! FIPS 202 (SHA-3) and GB/T 32905 (SM3).
//!
//! A hash sequence object survives `TPM2_ContextSave`, therefore a [`Hasher`] can be saved in the
//! middle and restored.

use digest::common::hazmat::{SerializableState, SerializedState};
use digest::{FixedOutput, Update};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::CryptoError;

/// The longest digest, in bytes (SHA-512).
pub const DIGEST_SIZE_MAX: usize = 64;
/// The longest input block of any hash algorithm, in bytes (SHA3-256).
pub const BLOCK_SIZE_MAX: usize = 136;
/// The longest saved middle of a hash, in bytes: algorithm, then the state of SHA-512 or SHA-3.
pub const HASHER_STATE_SIZE_MAX: usize = 2 + 216;

/// A hash algorithm; the discriminant is its `TPM_ALG_ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum HashAlgorithm {
    /// SHA-1, for old PCR banks and old keys.
    Sha1 = 0x0004,
    /// SHA-256.
    Sha256 = 0x000B,
    /// SHA-384.
    Sha384 = 0x000C,
    /// SHA-512.
    Sha512 = 0x000D,
    /// SM3 with 256 bits.
    Sm3_256 = 0x0012,
    /// SHA3-256.
    Sha3_256 = 0x0027,
    /// SHA3-384.
    Sha3_384 = 0x0028,
    /// SHA3-512.
    Sha3_512 = 0x0029,
}

impl HashAlgorithm {
    /// Every algorithm, in the order of `TPM_ALG_ID`.
    pub const ALL: [Self; 8] = [
        Self::Sha1,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Sm3_256,
        Self::Sha3_256,
        Self::Sha3_384,
        Self::Sha3_512,
    ];

    /// The algorithm with this `TPM_ALG_ID`, if it is a hash that is implemented.
    #[must_use]
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.id() == id)
    }

    /// The `TPM_ALG_ID`.
    #[must_use]
    pub const fn id(self) -> u16 {
        self as u16
    }

    /// Length of a digest, in bytes.
    #[must_use]
    pub const fn digest_size(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 | Self::Sm3_256 | Self::Sha3_256 => 32,
            Self::Sha384 | Self::Sha3_384 => 48,
            Self::Sha512 | Self::Sha3_512 => 64,
        }
    }

    /// Length of an input block, in bytes (the block of HMAC).
    #[must_use]
    pub const fn block_size(self) -> usize {
        match self {
            Self::Sha1 | Self::Sha256 | Self::Sm3_256 => 64,
            Self::Sha384 | Self::Sha512 => 128,
            Self::Sha3_256 => 136,
            Self::Sha3_384 => 104,
            Self::Sha3_512 => 72,
        }
    }

    /// Hashes `parts`, one after the other.
    #[must_use]
    pub fn digest(self, parts: &[&[u8]]) -> Digest {
        let mut hasher = Hasher::new(self);
        for part in parts {
            hasher.update(part);
        }
        hasher.finish()
    }
}

/// A digest, or the output of an HMAC or CMAC: 0 to 64 bytes. Compared in constant time.
#[derive(Clone, Copy, Zeroize)]
pub struct Digest {
    length: u8,
    bytes: [u8; DIGEST_SIZE_MAX],
}

impl Digest {
    /// The empty digest.
    pub const EMPTY: Self = Self { length: 0, bytes: [0; DIGEST_SIZE_MAX] };

    /// A digest of zero bytes, as long as `algorithm`'s.
    #[must_use]
    pub fn zero(algorithm: HashAlgorithm) -> Self {
        Self::filled(algorithm, 0)
    }

    /// A digest with every byte `value`, as long as `algorithm`'s.
    #[must_use]
    pub fn filled(algorithm: HashAlgorithm, value: u8) -> Self {
        let mut digest = Self::EMPTY;
        digest.bytes.iter_mut().take(algorithm.digest_size()).for_each(|byte| *byte = value);
        digest.set_length(algorithm.digest_size());
        digest
    }

    /// The digest that consists of `bytes`.
    ///
    /// # Errors
    /// [`CryptoError::Size`] if there are more than 64.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, CryptoError> {
        let mut digest = Self::EMPTY;
        digest.bytes.get_mut(..bytes.len()).ok_or(CryptoError::Size)?.copy_from_slice(bytes);
        digest.set_length(bytes.len());
        Ok(digest)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&self.bytes)
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.length)
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// `length` is at most 64 by construction of every caller.
    fn set_length(&mut self, length: usize) {
        self.length = u8::try_from(length.min(DIGEST_SIZE_MAX)).unwrap_or(0);
    }

    /// The first `length` bytes, as PKCS #1 and ECDSA truncate.
    #[must_use]
    pub fn truncated(mut self, length: usize) -> Self {
        let length = length.min(self.len());
        self.bytes.iter_mut().skip(length).for_each(|byte| *byte = 0);
        self.set_length(length);
        self
    }

    fn copied_from(bytes: &[u8]) -> Self {
        // Only called with the output of a hash in this module, which fits.
        Self::from_slice(bytes).unwrap_or(Self::EMPTY)
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl core::ops::Deref for Digest {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl Eq for Digest {}

impl core::fmt::Debug for Digest {
    /// Only the length: a digest may be a secret (an HMAC key, an authorization value).
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Digest({} bytes)", self.length)
    }
}

/// A hash computation in progress; wiped on drop by the algorithms' crates.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
    Sm3(sm3::Sm3),
    Sha3_256(sha3::Sha3_256),
    Sha3_384(sha3::Sha3_384),
    Sha3_512(sha3::Sha3_512),
}

/// Calls `$body` with `$inner` bound to the algorithm's own hasher.
macro_rules! with_state {
    ($state:expr, $inner:ident => $body:expr) => {
        match $state {
            State::Sha1($inner) => $body,
            State::Sha256($inner) => $body,
            State::Sha384($inner) => $body,
            State::Sha512($inner) => $body,
            State::Sm3($inner) => $body,
            State::Sha3_256($inner) => $body,
            State::Sha3_384($inner) => $body,
            State::Sha3_512($inner) => $body,
        }
    };
}

impl Hasher {
    /// Starts a hash.
    #[must_use]
    pub fn new(algorithm: HashAlgorithm) -> Self {
        Self(match algorithm {
            HashAlgorithm::Sha1 => State::Sha1(sha1::Sha1::default()),
            HashAlgorithm::Sha256 => State::Sha256(sha2::Sha256::default()),
            HashAlgorithm::Sha384 => State::Sha384(sha2::Sha384::default()),
            HashAlgorithm::Sha512 => State::Sha512(sha2::Sha512::default()),
            HashAlgorithm::Sm3_256 => State::Sm3(sm3::Sm3::default()),
            HashAlgorithm::Sha3_256 => State::Sha3_256(sha3::Sha3_256::default()),
            HashAlgorithm::Sha3_384 => State::Sha3_384(sha3::Sha3_384::default()),
            HashAlgorithm::Sha3_512 => State::Sha3_512(sha3::Sha3_512::default()),
        })
    }

    /// The algorithm that this computation belongs to.
    #[must_use]
    pub fn algorithm(&self) -> HashAlgorithm {
        match &self.0 {
            State::Sha1(_) => HashAlgorithm::Sha1,
            State::Sha256(_) => HashAlgorithm::Sha256,
            State::Sha384(_) => HashAlgorithm::Sha384,
            State::Sha512(_) => HashAlgorithm::Sha512,
            State::Sm3(_) => HashAlgorithm::Sm3_256,
            State::Sha3_256(_) => HashAlgorithm::Sha3_256,
            State::Sha3_384(_) => HashAlgorithm::Sha3_384,
            State::Sha3_512(_) => HashAlgorithm::Sha3_512,
        }
    }

    /// Appends `data` to the message.
    pub fn update(&mut self, data: &[u8]) {
        with_state!(&mut self.0, inner => inner.update(data));
    }

    /// The digest of the message.
    #[must_use]
    pub fn finish(self) -> Digest {
        with_state!(self.0, inner => Digest::copied_from(&inner.finalize_fixed()))
    }

    /// Saves the middle of the computation. It contains what the message's last block contains,
    /// so it is as secret as the message. Returns the number of bytes written to `saved`.
    pub fn save(&self, saved: &mut [u8; HASHER_STATE_SIZE_MAX]) -> usize {
        let [high, low, state @ ..] = saved;
        [*high, *low] = self.algorithm().id().to_be_bytes();
        let length = with_state!(&self.0, inner => {
            let mut middle = inner.serialize();
            let written = state.get_mut(..middle.len()).map(|place| place.copy_from_slice(&middle));
            middle.zeroize();
            written.map_or(0, |()| middle.len())
        });
        length.saturating_add(2)
    }

    /// Restores what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// [`CryptoError::State`] if the length is wrong, the algorithm unknown or the state
    /// impossible.
    pub fn restore(saved: &[u8]) -> Result<Self, CryptoError> {
        let (id, state) = saved.split_first_chunk::<2>().ok_or(CryptoError::State)?;
        let algorithm =
            HashAlgorithm::from_id(u16::from_be_bytes(*id)).ok_or(CryptoError::State)?;
        if !counter_is_possible(algorithm, state) {
            return Err(CryptoError::State);
        }
        let mut hasher = Self::new(algorithm);
        with_state!(&mut hasher.0, inner => *inner = restored(state)?);
        Ok(hasher)
    }
}

fn restored<H: SerializableState>(state: &[u8]) -> Result<H, CryptoError> {
    let state = <&SerializedState<H>>::try_from(state).map_err(|_| CryptoError::State)?;
    H::deserialize(state).map_err(|_| CryptoError::State)
}

/// Whether the saved count of blocks is one that a message can reach. The algorithms' crates take
/// any, and overflow when they turn it into bits. The count is little-endian and follows the
/// chaining value; SHA-3 has none.
fn counter_is_possible(algorithm: HashAlgorithm, state: &[u8]) -> bool {
    let two_most_significant = match algorithm {
        HashAlgorithm::Sha1 => 20 + 6..20 + 8,
        HashAlgorithm::Sha256 | HashAlgorithm::Sm3_256 => 32 + 6..32 + 8,
        HashAlgorithm::Sha384 | HashAlgorithm::Sha512 => 64 + 14..64 + 16,
        HashAlgorithm::Sha3_256 | HashAlgorithm::Sha3_384 | HashAlgorithm::Sha3_512 => return true,
    };
    state.get(two_most_significant) == Some(&[0, 0])
}

impl core::fmt::Debug for Hasher {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Hasher({:?})", self.algorithm())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::crypto::vectors::unhex;

    #[test]
    fn unknown_identifiers_are_refused() {
        // ALG_NULL, SHA-224 (not a TPM algorithm) and MGF1 are no hashes.
        for id in [0x0010, 0x0007, 0x0000, 0xffff] {
            assert_eq!(HashAlgorithm::from_id(id), None);
        }
        for algorithm in HashAlgorithm::ALL {
            assert_eq!(HashAlgorithm::from_id(algorithm.id()), Some(algorithm));
        }
    }

    #[test]
    fn a_damaged_state_is_refused() {
        let mut saved = [0; HASHER_STATE_SIZE_MAX];
        for algorithm in HashAlgorithm::ALL {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(b"message");
            let length = hasher.save(&mut saved);
            assert!(length <= HASHER_STATE_SIZE_MAX);
            assert_eq!(Hasher::restore(&saved[..length - 1]).err(), Some(CryptoError::State));
            assert_eq!(Hasher::restore(&saved[..1]).err(), Some(CryptoError::State));
            let mut other = saved;
            other[1] ^= 0x80;
            assert_eq!(Hasher::restore(&other[..length]).err(), Some(CryptoError::State));
        }
    }

    #[test]
    fn every_byte_flip_of_a_state_is_survived() {
        let mut saved = [0; HASHER_STATE_SIZE_MAX];
        for algorithm in HashAlgorithm::ALL {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(&[0x5a; 200]);
            let length = hasher.save(&mut saved);
            for position in 0..length {
                let mut flipped = saved;
                flipped[position] ^= 0xff;
                if let Ok(mut restored) = Hasher::restore(&flipped[..length]) {
                    restored.update(&[1; 300]);
                    assert_eq!(restored.clone().finish().len(), restored.algorithm().digest_size());
                }
            }
        }
    }

    #[test]
    fn a_hash_continues_after_save_and_restore() {
        let message: std::vec::Vec<u8> = (0u32..500).map(|i| i.to_le_bytes()[0]).collect();
        let mut saved = [0; HASHER_STATE_SIZE_MAX];
        for algorithm in HashAlgorithm::ALL {
            let whole = algorithm.digest(&[&message]);
            for split in (0..message.len()).step_by(7) {
                let mut hasher = Hasher::new(algorithm);
                hasher.update(&message[..split]);
                let length = hasher.save(&mut saved);
                let mut hasher = Hasher::restore(&saved[..length]).unwrap();
                hasher.update(&message[split..]);
                assert_eq!(hasher.finish(), whole);
            }
        }
    }

    #[test]
    fn digests_compare_by_length_and_content() {
        let zero = Digest::zero(HashAlgorithm::Sha1);
        assert_ne!(zero, Digest::zero(HashAlgorithm::Sha256));
        assert_ne!(zero, Digest::filled(HashAlgorithm::Sha1, 0xff));
        assert_eq!(Digest::from_slice(&[0; 65]).err(), Some(CryptoError::Size));
        assert_eq!(Digest::filled(HashAlgorithm::Sha256, 3).truncated(4).as_bytes(), [3; 4]);
    }

    #[test]
    fn nist_vectors() {
        for record in crate::crypto::vectors::records(include_str!("vectors/nist_hash.txt")) {
            let digest = record.hash().digest(&[&record.bytes("message")]);
            assert_eq!(digest.as_bytes(), record.bytes("digest"));
        }
    }

    /// The message "abc": FIPS 180-4 and FIPS 202 examples, GB/T 32905 annex A.
    #[test]
    fn published_digests_of_abc() {
        for (algorithm, expected) in [
            (HashAlgorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                HashAlgorithm::Sha256,
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                HashAlgorithm::Sha384,
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                 8086072ba1e7cc2358baeca134c825a7",
            ),
            (
                HashAlgorithm::Sha512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
            (
                HashAlgorithm::Sm3_256,
                "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
            ),
            (
                HashAlgorithm::Sha3_256,
                "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
            ),
            (
                HashAlgorithm::Sha3_384,
                "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b2\
                 98d88cea927ac7f539f1edf228376d25",
            ),
            (
                HashAlgorithm::Sha3_512,
                "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e\
                 10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
            ),
        ] {
            let digest = algorithm.digest(&[b"a", b"", b"bc"]);
            assert_eq!(digest.as_bytes(), unhex(expected));
            assert_eq!(digest.len(), algorithm.digest_size());
        }
    }
}
