// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys and seals: AES-256-GCM (NIST SP 800-38D), HKDF-SHA-256 (RFC 5869), HMAC-SHA-256 (RFC 2104).
//!
//! ```text
//! master key ──salt──► wrapping key ──unwraps──► store key
//!                                                 ├─► header key (HMAC)
//!                                   boot nonce ───┼─► log key           nonce: sequence
//!                               … and generation ─┴─► checkpoint key    nonce: index of the unit
//! ```
//! A key that seals is never used with the same nonce twice: the boot nonce is drawn afresh for
//! each opening, and within an opening sequence and generation only grow, since the first failure
//! to write stops the store. A host that winds the disk back therefore gains no second message
//! under a nonce.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::error::{Error, Invariant};
use crate::wire::{Reader, Writer};

/// Bytes of an authentication tag.
pub(crate) const TAG_BYTES: usize = 16;
/// Bytes of a SHA-256 digest.
pub(crate) const DIGEST_BYTES: usize = 32;
const KEY_BYTES: usize = 32;

/// A name for the store, drawn when it is formatted.
pub(crate) type StoreId = [u8; 16];
/// What makes the keys of an epoch fresh.
pub(crate) type BootNonce = [u8; 32];

/// What the supplier of a master key notes on the disk, in clear and authenticated, to find that
/// key again. Zeros if there is nothing to note.
pub type KeyLabel = [u8; KEY_LABEL_BYTES];
/// Bytes of a [`KeyLabel`].
pub(crate) const KEY_LABEL_BYTES: usize = 16;

/// The key from outside that opens a store. Wiped when dropped.
#[derive(Clone)]
pub struct MasterKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    label: KeyLabel,
}

impl MasterKey {
    /// Takes 32 uniformly random, secret bytes. A passphrase is not such a key.
    #[must_use]
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self { bytes, label: KeyLabel::default() }
    }

    /// The same with a label, which [`crate::Formatted::labels`] finds again on the disk.
    #[must_use]
    pub fn labelled(bytes: Zeroizing<[u8; 32]>, label: KeyLabel) -> Self {
        Self { bytes, label }
    }

    pub(crate) fn label(&self) -> KeyLabel {
        self.label
    }
}

impl core::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// The key that everything on the disk hangs from. Wiped when dropped.
#[derive(Clone)]
pub(crate) struct StoreKey(Zeroizing<[u8; KEY_BYTES]>);

impl StoreKey {
    pub(crate) fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self(bytes)
    }

    /// The HMAC of a checkpoint header.
    fn header_mac(&self, store_id: &StoreId) -> Result<Hmac<Sha256>, Error> {
        let key: Zeroizing<[u8; KEY_BYTES]> =
            derive(store_id, &self.0, &[b"macadamia-svsm nvstore v1 header"])?;
        <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&key[..])
            .map_err(|_| Error::Internal(Invariant::Cryptography))
    }

    pub(crate) fn authenticate(
        &self,
        store_id: &StoreId,
        message: &[u8],
    ) -> Result<[u8; DIGEST_BYTES], Error> {
        let mut mac = self.header_mac(store_id)?;
        mac.update(message);
        Ok(mac.finalize().into_bytes().into())
    }

    pub(crate) fn verifies(
        &self,
        store_id: &StoreId,
        message: &[u8],
        tag: &[u8; DIGEST_BYTES],
    ) -> Result<bool, Error> {
        let mut mac = self.header_mac(store_id)?;
        mac.update(message);
        Ok(mac.verify_slice(tag).is_ok())
    }

    /// The cipher for an epoch's log records.
    pub(crate) fn log_cipher(
        &self,
        store_id: &StoreId,
        epoch: u64,
        boot_nonce: &BootNonce,
    ) -> Result<Cipher, Error> {
        let label = b"macadamia-svsm nvstore v1 log";
        Cipher::new(&*derive(boot_nonce, &self.0, &[label, store_id, &epoch.to_le_bytes()])?)
    }

    /// The cipher for the units of one checkpoint.
    pub(crate) fn checkpoint_cipher(
        &self,
        store_id: &StoreId,
        epoch: u64,
        boot_nonce: &BootNonce,
        generation: u64,
    ) -> Result<Cipher, Error> {
        let label = b"macadamia-svsm nvstore v1 checkpoint";
        let (epoch, generation) = (epoch.to_le_bytes(), generation.to_le_bytes());
        Cipher::new(&*derive(boot_nonce, &self.0, &[label, store_id, &epoch, &generation])?)
    }
}

/// AES-256-GCM under one derived key; the caller sees to it that no nonce repeats.
pub(crate) struct Cipher {
    cipher: Aes256Gcm,
    /// Lets a simulation see that no nonce repeats.
    #[cfg(any(test, feature = "simulation"))]
    key_name: Option<[u8; 32]>,
}

impl Cipher {
    fn new(key: &[u8; KEY_BYTES]) -> Result<Self, Error> {
        let cipher =
            Aes256Gcm::new_from_slice(key).map_err(|_| Error::Internal(Invariant::Cryptography))?;
        Ok(Self {
            cipher,
            #[cfg(any(test, feature = "simulation"))]
            key_name: crate::simulation::nonces::key_name(key),
        })
    }

    fn nonce(counter: u64) -> Nonce<aes_gcm::aead::consts::U12> {
        let mut nonce = [0; 12];
        Writer::new(&mut nonce).bytes(&counter.to_le_bytes());
        nonce.into()
    }

    /// Encrypts in place and gives the tag.
    pub(crate) fn seal(
        &self,
        counter: u64,
        associated: &[u8],
        text: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], Error> {
        #[cfg(any(test, feature = "simulation"))]
        crate::simulation::nonces::note(self.key_name, counter, associated, text);
        let sealed =
            self.cipher.encrypt_inout_detached(&Self::nonce(counter), associated, text.into());
        sealed.map(Into::into).map_err(|_| Error::Internal(Invariant::Cryptography))
    }

    /// Decrypts in place; `false`, and nothing decrypted, when it isn't authentic.
    #[must_use]
    pub(crate) fn open(
        &self,
        counter: u64,
        associated: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> bool {
        let tag = Tag::from(*tag);
        let nonce = Self::nonce(counter);
        self.cipher.decrypt_inout_detached(&nonce, associated, text.into(), &tag).is_ok()
    }
}

/// A store key, sealed under a master key. It stands in every checkpoint header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct WrappedKey([u8; Self::BYTES]);

/// What became of an attempt to unwrap a store key.
pub(crate) enum Unwrapped {
    Key(StoreKey),
    OtherMaster,
    NotAuthentic,
}

impl WrappedKey {
    /// Salt, check value, sealed key, tag.
    pub(crate) const BYTES: usize = 32 + 16 + KEY_BYTES + TAG_BYTES;

    pub(crate) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Wraps under a key that is fresh because `salt` is.
    pub(crate) fn wrap(
        master: &MasterKey,
        store_key: &StoreKey,
        store_id: &StoreId,
        salt: &[u8; 32],
    ) -> Result<Self, Error> {
        let mut sealed = Zeroizing::new(*store_key.0);
        let tag = wrapping_cipher(master, store_id, salt)?.seal(0, store_id, &mut *sealed)?;
        let mut bytes = [0; Self::BYTES];
        let mut writer = Writer::new(&mut bytes);
        writer
            .bytes(salt)
            .and_then(|()| writer.bytes(check_value(master, store_id, salt).ok()?.as_ref()))
            .and_then(|()| writer.bytes(sealed.as_ref()))
            .and_then(|()| writer.bytes(&tag))
            .ok_or(Error::Internal(Invariant::BufferLength))?;
        Ok(Self(bytes))
    }

    pub(crate) fn unwrap(
        &self,
        master: &MasterKey,
        store_id: &StoreId,
    ) -> Result<Unwrapped, Error> {
        let mut reader = Reader::new(&self.0);
        let fields = (reader.array(), reader.array::<16>(), reader.array(), reader.array());
        let (Some(salt), Some(check), Some(key), Some(tag)) = fields else {
            return Err(Error::Internal(Invariant::BufferLength));
        };
        let expected = check_value(master, store_id, &salt)?;
        if !bool::from(expected.as_ref().ct_eq(&check[..])) {
            return Ok(Unwrapped::OtherMaster);
        }
        let mut key = Zeroizing::new(key);
        if wrapping_cipher(master, store_id, &salt)?.open(0, store_id, &mut *key, &tag) {
            Ok(Unwrapped::Key(StoreKey::new(key)))
        } else {
            Ok(Unwrapped::NotAuthentic)
        }
    }
}

fn wrapping_cipher(master: &MasterKey, id: &StoreId, salt: &[u8; 32]) -> Result<Cipher, Error> {
    Cipher::new(&*derive(salt, &master.bytes, &[b"macadamia-svsm nvstore v1 wrap", id])?)
}

/// Tells a wrong master key from a damaged header; says nothing about a uniformly random key.
fn check_value(
    master: &MasterKey,
    id: &StoreId,
    salt: &[u8; 32],
) -> Result<Zeroizing<[u8; 16]>, Error> {
    derive(salt, &master.bytes, &[b"macadamia-svsm nvstore v1 check", id])
}

/// HKDF-SHA-256, RFC 5869.
fn derive<const N: usize>(
    salt: &[u8],
    key: &[u8; KEY_BYTES],
    info: &[&[u8]],
) -> Result<Zeroizing<[u8; N]>, Error> {
    let mut derived = Zeroizing::new([0; N]);
    Hkdf::<Sha256>::new(Some(salt), key)
        .expand_multi_info(info, &mut *derived)
        .map_err(|_| Error::Internal(Invariant::Cryptography))?;
    Ok(derived)
}

/// The chain digest after a sealed log record.
pub(crate) fn chain(predecessor: &[u8; DIGEST_BYTES], record: &[u8]) -> [u8; DIGEST_BYTES] {
    digest(&[b"macadamia-svsm nvstore v1 commit", predecessor, record])
}

/// The chain digest after an epoch was opened.
pub(crate) fn chain_epoch(
    predecessor: &[u8; DIGEST_BYTES],
    epoch: u64,
    boot_nonce: &BootNonce,
) -> [u8; DIGEST_BYTES] {
    digest(&[b"macadamia-svsm nvstore v1 epoch", predecessor, &epoch.to_le_bytes(), boot_nonce])
}

/// The chain digest of a store that was just formatted.
pub(crate) fn chain_genesis(store_id: &StoreId, boot_nonce: &BootNonce) -> [u8; DIGEST_BYTES] {
    digest(&[b"macadamia-svsm nvstore v1 genesis", store_id, boot_nonce])
}

/// SHA-256 without a key: tells accidents, not malice.
pub(crate) fn checksum(bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    digest(&[b"macadamia-svsm nvstore v1 header checksum", bytes])
}

/// The start of a SHA-256 without a key.
pub(crate) type FrontCheck = [u8; 8];

/// Tells a record's front from a torn one.
pub(crate) fn front_check(bytes: &[u8]) -> FrontCheck {
    let digest = digest(&[b"macadamia-svsm nvstore v1 record front", bytes]);
    core::array::from_fn(|at| digest.get(at).copied().unwrap_or_default())
}

fn digest(parts: &[&[u8]]) -> [u8; DIGEST_BYTES] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
