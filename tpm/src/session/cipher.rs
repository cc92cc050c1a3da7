// SPDX-License-Identifier: MIT OR Apache-2.0
//! Encryption of the first parameter (Part 1, 21): XOR obfuscation or a block cipher in CFB mode,
//! keyed by the session key, the authorisation value and both nonces.

use zeroize::Zeroize;

use super::Session;
use crate::crypto::hash::DIGEST_SIZE_MAX;
use crate::crypto::kdf::{kdfa, xor_obfuscate};
use crate::crypto::symmetric::{BlockCipher, SymmetricAlgorithm, SymmetricMode};
use crate::structure::buffer::Buffer;
use crate::structure::response_code::ResponseCode;
use crate::structure::symmetric::{CipherDefinition, SymmetricDefinition};
use crate::wire::Result;

const KEY_SIZE_MAX: usize = 32;
const IV_SIZE: usize = 16;

/// Session key and authorisation value, one behind the other.
type ParameterKey = Buffer<{ 2 * DIGEST_SIZE_MAX }>;

/// Decrypts `data` in place. `auth` is the authorisation value of the entity that the session
/// authorises, if it authorises one.
pub fn decrypt_parameter(
    session: &Session,
    auth: &[u8],
    nonce_caller: &[u8],
    data: &mut [u8],
) -> Result<()> {
    apply(session, auth, nonce_caller, &session.nonce_tpm, data, false)
}

/// Encrypts `data` in place, with the newest nonces.
pub fn encrypt_parameter(
    session: &Session,
    auth: &[u8],
    nonce_caller: &[u8],
    data: &mut [u8],
) -> Result<()> {
    apply(session, auth, &session.nonce_tpm, nonce_caller, data, true)
}

fn apply(
    session: &Session,
    auth: &[u8],
    nonce_newer: &[u8],
    nonce_older: &[u8],
    data: &mut [u8],
    is_encryption: bool,
) -> Result<()> {
    let mut key = ParameterKey::new(&session.key)?;
    key.append(auth)?;
    match session.symmetric {
        SymmetricDefinition::Null => Err(ResponseCode::SYMMETRIC),
        SymmetricDefinition::Xor(hash) => xor_obfuscate(hash, &key, nonce_newer, nonce_older, data)
            .map_err(|_| ResponseCode::FAILURE),
        SymmetricDefinition::Cipher(definition) => {
            let keys = CipherKeys::derive(session, definition, &key, nonce_newer, nonce_older)?;
            keys.apply(definition, data, is_encryption)
        }
    }
}

struct CipherKeys {
    key_and_iv: [u8; KEY_SIZE_MAX + IV_SIZE],
    key_size: usize,
}

impl Drop for CipherKeys {
    fn drop(&mut self) {
        self.key_and_iv.zeroize();
    }
}

impl CipherKeys {
    fn derive(
        session: &Session,
        definition: CipherDefinition,
        key: &[u8],
        nonce_newer: &[u8],
        nonce_older: &[u8],
    ) -> Result<Self> {
        let key_size = definition.key_size();
        let mut keys = Self { key_and_iv: [0; KEY_SIZE_MAX + IV_SIZE], key_size };
        let output = keys.key_and_iv.get_mut(..key_size.saturating_add(IV_SIZE));
        let output = output.ok_or(ResponseCode::FAILURE)?;
        let bits = u32::from(definition.key_bits).saturating_add(128);
        kdfa(session.hash, key, b"CFB", nonce_newer, nonce_older, bits, output)
            .map_err(|_| ResponseCode::FAILURE)?;
        Ok(keys)
    }

    fn apply(
        &self,
        definition: CipherDefinition,
        data: &mut [u8],
        is_encryption: bool,
    ) -> Result<()> {
        let (key, rest) =
            self.key_and_iv.split_at_checked(self.key_size).ok_or(ResponseCode::FAILURE)?;
        let mut iv: [u8; IV_SIZE] = *rest.first_chunk().ok_or(ResponseCode::FAILURE)?;
        let algorithm = SymmetricAlgorithm::from_id(definition.cipher.raw());
        let cipher = BlockCipher::new(algorithm.ok_or(ResponseCode::SYMMETRIC)?, key)
            .map_err(|_| ResponseCode::SYMMETRIC)?;
        let done = if is_encryption {
            cipher.encrypt(SymmetricMode::Cfb, &mut iv, data)
        } else {
            cipher.decrypt(SymmetricMode::Cfb, &mut iv, data)
        };
        done.map_err(|_| ResponseCode::FAILURE)
    }
}
