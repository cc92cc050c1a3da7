// SPDX-License-Identifier: MIT OR Apache-2.0
//! The caller's side of a session (Part 1, 17 and 19): nonces, the session key, HMACs, and the
//! encryption of parameters. Only the algorithms are the engine's.

use tpm::crypto::hash::{Digest, HashAlgorithm};
use tpm::crypto::hmac::Hmac;
use tpm::crypto::kdf::{kdfa, xor_obfuscate};
use tpm::crypto::symmetric::{BlockCipher, SymmetricAlgorithm, SymmetricMode};

use crate::step::SessionStart;

/// Bits of TPMA_SESSION.
pub const CONTINUE: u8 = 0x01;
/// The first parameter of the command is encrypted.
pub const DECRYPT: u8 = 0x20;
/// The first parameter of the response is to be encrypted.
pub const ENCRYPT: u8 = 0x40;
/// The session audits.
pub const AUDIT: u8 = 0x80;

/// How a session encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Not at all.
    None,
    /// With the mask of a KDF.
    Xor,
    /// With AES in CFB mode and a key of so many octets.
    AesCfb(usize),
}

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its hash.
    pub hash: HashAlgorithm,
    /// The newest nonce of the TPM.
    pub nonce_tpm: Vec<u8>,
    /// The newest nonce of the caller.
    pub nonce_caller: Vec<u8>,
    /// How it encrypts.
    pub encryption: Encryption,
    key: Vec<u8>,
}

impl Session {
    /// A session that was just started, with this salt, if any.
    pub fn started(start: &SessionStart, salt: &[u8], nonce_tpm: &[u8]) -> Self {
        let SessionStart { hash, encryption, bind_auth, salt_key, nonce_caller } = start;
        let mut key = Vec::new();
        if bind_auth.is_some() || salt_key.is_some() {
            let secret = [bind_auth.as_deref().unwrap_or_default(), salt].concat();
            key.resize(hash.digest_size(), 0);
            let bits = u32::try_from(key.len() * 8).expect("a digest is short");
            kdfa(*hash, &secret, b"ATH", nonce_tpm, nonce_caller, bits, &mut key)
                .expect("a digest's size");
        }
        let (nonce_tpm, nonce_caller) = (nonce_tpm.to_vec(), nonce_caller.clone());
        Self { hash: *hash, nonce_tpm, nonce_caller, encryption: *encryption, key }
    }

    /// A nonce for the next command.
    pub fn renew_nonce(&mut self) {
        let digest = self.hash.digest(&[b"caller", &self.nonce_caller]);
        let size = self.nonce_caller.len().min(digest.len());
        self.nonce_caller.truncate(size);
        self.nonce_caller.copy_from_slice(&digest.as_bytes()[..size]);
    }

    /// The HMAC over these parts; none with no key at all.
    pub fn mac(&self, auth: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        let key = [&self.key[..], auth].concat();
        Hmac::mac(self.hash, &key, parts).as_bytes().to_vec()
    }

    /// Encrypts or decrypts the octets of a TPM2B at the start of `octets`, if it is there.
    pub fn cipher(
        &self,
        entity_auth: &[u8],
        octets: &mut [u8],
        newer: &[u8],
        older: &[u8],
        is_encryption: bool,
    ) {
        let Some((size, rest)) = octets.split_first_chunk_mut() else { return };
        let size = usize::from(u16::from_be_bytes(*size));
        let Some(data) = rest.get_mut(..size) else { return };
        let key = [&self.key[..], entity_auth].concat();
        match self.encryption {
            Encryption::None => {}
            Encryption::Xor => {
                xor_obfuscate(self.hash, &key, newer, older, data).expect("a TPM2B is short");
            }
            Encryption::AesCfb(key_size) => {
                let mut derived = vec![0; key_size + 16];
                let bits = u32::try_from(derived.len() * 8).expect("a key is short");
                kdfa(self.hash, &key, b"CFB", newer, older, bits, &mut derived)
                    .expect("so many octets");
                let (key, iv) = derived.split_at(key_size);
                let mut iv = *iv.first_chunk().expect("16 octets");
                let cipher = BlockCipher::new(SymmetricAlgorithm::Aes, key).expect("a key");
                if is_encryption {
                    cipher.encrypt(SymmetricMode::Cfb, &mut iv, data).expect("whole octets");
                } else {
                    cipher.decrypt(SymmetricMode::Cfb, &mut iv, data).expect("whole octets");
                }
            }
        }
    }
}

/// cpHash: the command code, the Names of the handles, the parameters.
pub fn command_hash(hash: HashAlgorithm, code: u32, names: &[u8], parameters: &[u8]) -> Digest {
    hash.digest(&[&code.to_be_bytes(), names, parameters])
}

/// rpHash: success, the command code, the parameters.
pub fn response_hash(hash: HashAlgorithm, code: u32, parameters: &[u8]) -> Digest {
    hash.digest(&[&[0; 4], &code.to_be_bytes(), parameters])
}
