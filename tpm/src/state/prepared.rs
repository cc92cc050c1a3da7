// SPDX-License-Identifier: MIT OR Apache-2.0
//! Private RSA keys of loaded objects, ready for use. A TPM stores one prime: to compute the rest
//! and a blinding pair is a quarter of what an operation costs, and both can be used again.

use subtle::ConstantTimeEq;

use super::State;
use super::capacity::PREPARED_KEYS;
use crate::crypto::drbg::CtrDrbg;
use crate::crypto::rsa::{RsaPrivateKey, RsaPublicKey};
use crate::structure::response_code::ResponseCode;
use crate::wire::Result;

/// The keys that were used last. None of them outlives its object: all are forgotten with the
/// command that removes any object.
#[derive(Debug)]
pub struct PreparedKeys {
    keys: [Option<RsaPrivateKey>; PREPARED_KEYS],
    /// The place of the key that was prepared first.
    oldest: usize,
}

impl PreparedKeys {
    /// None.
    pub const fn new() -> Self {
        Self { keys: [const { None }; PREPARED_KEYS], oldest: 0 }
    }

    /// The keys, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &RsaPrivateKey> {
        self.keys.iter().flatten()
    }

    /// Where the key with this modulus, exponent and prime is.
    pub fn place_of(&self, public: &RsaPublicKey, prime: &[u8]) -> Option<usize> {
        let is_same =
            |key: &RsaPrivateKey| key.public() == public && bool::from(key.prime().ct_eq(prime));
        self.keys.iter().position(|key| key.as_ref().is_some_and(is_same))
    }

    /// Keeps a key in place of the oldest one: its place.
    pub fn insert(&mut self, key: RsaPrivateKey) -> usize {
        let place = self.oldest;
        if let Some(oldest) = self.keys.get_mut(place) {
            *oldest = Some(key);
        }
        self.oldest = place.saturating_add(1).checked_rem(PREPARED_KEYS).unwrap_or(0);
        place
    }

    /// Forgets all keys; dropping wipes them.
    pub fn clear(&mut self) {
        for key in &mut self.keys {
            *key = None;
        }
    }
}

impl Default for PreparedKeys {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// A key that is ready, and the generator that its operations draw from.
    pub fn prepared_key(&mut self, place: usize) -> Result<(&mut RsaPrivateKey, &mut CtrDrbg)> {
        self.random()?;
        let key = self.prepared.keys.get_mut(place).and_then(Option::as_mut);
        Ok((key.ok_or(ResponseCode::FAILURE)?, self.drbg.as_mut().ok_or(ResponseCode::FAILURE)?))
    }

    /// Forgets the keys that are ready if an object was removed since the last command.
    pub fn forget_keys_of_removed_objects(&mut self) {
        if self.transients.has_removed() || self.persistents.is_changed() {
            self.prepared.clear();
        }
    }
}
