// SPDX-License-Identifier: MIT OR Apache-2.0
//! The caller's side of sessions (Part 1, 19 and 21), written from the specification and sharing
//! only the hash, the HMAC and KDFa with the engine.

use std::vec::Vec;

use super::{Machine, frame, parameters, split};
use crate::command::{Traits, find};
use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::crypto::hmac::Hmac;
use crate::crypto::kdf::{kdfa, xor_obfuscate};
use crate::crypto::symmetric::{BlockCipher, SymmetricAlgorithm, SymmetricMode};
use crate::session::SessionKind;
use crate::structure::command_code::CommandCode;
use crate::structure::handle::Handle;
use crate::wire::Result;

const HASH: HashAlgorithm = HashAlgorithm::Sha256;

/// Bits of TPMA_SESSION.
pub(crate) const CONTINUE: u8 = 0x01;
pub(crate) const AUDIT_EXCLUSIVE: u8 = 0x02;
pub(crate) const AUDIT_RESET: u8 = 0x04;
pub(crate) const DECRYPT: u8 = 0x20;
pub(crate) const ENCRYPT: u8 = 0x40;
pub(crate) const AUDIT: u8 = 0x80;

/// How a session encrypts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encryption {
    None,
    Xor,
    AesCfb,
}

/// A session as its owner knows it.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) handle: Handle,
    pub(crate) attributes: u8,
    /// What goes into the HMAC's key behind the session key.
    pub(crate) auth: Vec<u8>,
    /// What it is once the command has succeeded, when the command changes it.
    pub(crate) auth_after: Option<Vec<u8>>,
    /// What goes into the encryption key behind the session key.
    pub(crate) entity_auth: Vec<u8>,
    pub(crate) nonce_tpm: Vec<u8>,
    nonce_caller: Vec<u8>,
    key: Vec<u8>,
    encryption: Encryption,
    /// An HMAC that is sent instead of the right one.
    pub(crate) forged: Option<Vec<u8>>,
    /// The attributes of the last response.
    pub(crate) answered: u8,
}

impl Client {
    /// Starts a session with SHA-256, bound to an entity with this authorisation value or to none.
    pub(crate) fn start(
        machine: &mut Machine,
        kind: SessionKind,
        bind: Option<(u32, &[u8])>,
        encryption: Encryption,
    ) -> Self {
        let nonce_caller = std::vec![0x11; 32];
        let body = parameters(|writer| {
            writer.value(&super::NULL)?;
            writer.value(&bind.map_or(super::NULL, |(handle, _)| handle))?;
            writer.sized_bytes(&nonce_caller)?;
            writer.sized_bytes(&[])?;
            writer.value(&kind.raw())?;
            match encryption {
                Encryption::None => writer.value(&0x10_u16)?,
                Encryption::Xor => {
                    writer.value(&0x0a_u16)?;
                    writer.value(&0x0b_u16)?;
                }
                Encryption::AesCfb => {
                    writer.value(&0x06_u16)?;
                    writer.value(&128_u16)?;
                    writer.value(&0x43_u16)?;
                }
            }
            writer.value(&0x0b_u16)
        });
        let response = machine.command(0x176, &body).unwrap();
        let (handle, nonce) = response.split_first_chunk().unwrap();
        let nonce_tpm = nonce[2..].to_vec();
        let mut key = Vec::new();
        if let Some((_, auth)) = bind {
            key = std::vec![0; 32];
            kdfa(HASH, auth, b"ATH", &nonce_tpm, &nonce_caller, 256, &mut key).unwrap();
        }
        Self {
            handle: Handle(u32::from_be_bytes(*handle)),
            attributes: CONTINUE,
            auth: Vec::new(),
            auth_after: None,
            entity_auth: Vec::new(),
            nonce_tpm,
            nonce_caller,
            key,
            encryption,
            forged: None,
            answered: 0,
        }
    }

    /// An HMAC session without binding, for an entity with this authorisation value.
    pub(crate) fn hmac(machine: &mut Machine, auth: &[u8]) -> Self {
        let mut client = Self::start(machine, SessionKind::Hmac, None, Encryption::None);
        client.auth = auth.to_vec();
        client
    }

    fn hmac_key(&self) -> Vec<u8> {
        [&self.key[..], &self.auth].concat()
    }

    /// Encrypts or decrypts the first TPM2B of `octets` in place.
    fn cipher(&self, octets: &mut [u8], newer: &[u8], older: &[u8], is_encryption: bool) {
        let key = [&self.key[..], &self.entity_auth].concat();
        let size = usize::from(u16::from_be_bytes([octets[0], octets[1]]));
        let data = &mut octets[2..2 + size];
        match self.encryption {
            Encryption::None => panic!("the session doesn't encrypt"),
            Encryption::Xor => xor_obfuscate(HASH, &key, newer, older, data).unwrap(),
            Encryption::AesCfb => {
                let mut derived = [0; 32];
                kdfa(HASH, &key, b"CFB", newer, older, 256, &mut derived).unwrap();
                let mut iv = *derived.last_chunk().unwrap();
                let cipher = BlockCipher::new(SymmetricAlgorithm::Aes, &derived[..16]).unwrap();
                if is_encryption {
                    cipher.encrypt(SymmetricMode::Cfb, &mut iv, data).unwrap();
                } else {
                    cipher.decrypt(SymmetricMode::Cfb, &mut iv, data).unwrap();
                }
            }
        }
    }
}

fn command_hash(machine: &Machine, code: u32, handles: &[u32], body: &[u8]) -> Digest {
    let names: Vec<u8> = handles
        .iter()
        .flat_map(|handle| machine.tpm.state().name(Handle(*handle)).unwrap().to_vec())
        .collect();
    HASH.digest(&[&code.to_be_bytes(), &names, body])
}

impl Machine {
    /// Executes a command with these sessions: its response handle and parameters, decrypted. The
    /// HMACs of a successful response are checked.
    pub(crate) fn with_sessions(
        &mut self,
        code: u32,
        handles: &[u32],
        sessions: &mut [&mut Client],
        body: &[u8],
    ) -> Result<Vec<u8>> {
        let mut body = body.to_vec();
        let mut extra = Vec::new();
        for (place, client) in sessions.iter_mut().enumerate() {
            let last = client.nonce_caller.last_mut().unwrap();
            *last = last.wrapping_add(1);
            if client.attributes & DECRYPT != 0 {
                let (newer, older) = (client.nonce_caller.clone(), client.nonce_tpm.clone());
                client.cipher(&mut body, &newer, &older, true);
            }
            if place > 0 && client.attributes & (DECRYPT | ENCRYPT) != 0 {
                extra.extend_from_slice(&client.nonce_tpm);
            }
        }
        let cp_hash = command_hash(self, code, handles, &body);
        let area = parameters(|writer| {
            for (place, client) in sessions.iter().enumerate() {
                let mut hmac = Hmac::new(HASH, &client.hmac_key());
                hmac.update(&cp_hash);
                hmac.update(&client.nonce_caller);
                hmac.update(&client.nonce_tpm);
                if place == 0 {
                    hmac.update(&extra);
                }
                hmac.update(&[client.attributes]);
                let right = hmac.finish();
                writer.value(&client.handle)?;
                writer.sized_bytes(&client.nonce_caller)?;
                writer.value(&client.attributes)?;
                writer.sized_bytes(client.forged.as_deref().unwrap_or(&right))?;
            }
            Ok(())
        });
        let octets = parameters(|writer| {
            handles.iter().try_for_each(|handle| writer.value(handle))?;
            writer.value(&u32::try_from(area.len()).unwrap())?;
            writer.bytes(&area)?;
            writer.bytes(&body)
        });
        let response = self.raw(&frame(0x8002, code, &octets));
        check_response(code, split(&response)?, sessions)
    }

    /// Sends the same octets again, as Linux does after TPM_RC_RETRY.
    pub(crate) fn again(&mut self, code: u32, sessions: &mut [&mut Client]) -> Result<Vec<u8>> {
        let command = self.last.clone();
        let response = self.raw(&command);
        check_response(code, split(&response)?, sessions)
    }
}

/// Checks the sessions of a response: its handle and parameters, decrypted.
fn check_response(code: u32, rest: &[u8], sessions: &mut [&mut Client]) -> Result<Vec<u8>> {
    let command = find(CommandCode(code)).unwrap();
    let has_handle = command.traits.contains(Traits::RESPONSE_HANDLE);
    let (handle, rest) = rest.split_at(if has_handle { 4 } else { 0 });
    let (size, rest) = rest.split_first_chunk().unwrap();
    let (body, mut area) = rest.split_at(usize::try_from(u32::from_be_bytes(*size)).unwrap());
    let rp_hash = HASH.digest(&[&[0; 4], &code.to_be_bytes(), body]);
    let mut body = body.to_vec();
    for client in sessions.iter_mut() {
        let nonce_size = usize::from(u16::from_be_bytes([area[0], area[1]]));
        client.nonce_tpm = area[2..2 + nonce_size].to_vec();
        client.answered = area[2 + nonce_size];
        let sized = &area[3 + nonce_size..];
        let hmac_size = usize::from(u16::from_be_bytes([sized[0], sized[1]]));
        if let Some(auth) = client.auth_after.take() {
            client.auth = auth;
        }
        let mut hmac = Hmac::new(HASH, &client.hmac_key());
        hmac.update(&rp_hash);
        hmac.update(&client.nonce_tpm);
        hmac.update(&client.nonce_caller);
        hmac.update(&[client.answered]);
        if client.forged.is_none() {
            assert_eq!(sized[2..2 + hmac_size], *hmac.finish(), "the response's HMAC");
        } else {
            assert_eq!(hmac_size, 0, "no HMAC for no HMAC");
        }
        area = &sized[2 + hmac_size..];
        if client.attributes & ENCRYPT != 0 {
            client.cipher(&mut body, &client.nonce_tpm, &client.nonce_caller, false);
        }
    }
    assert!(area.is_empty(), "nothing behind the sessions");
    Ok([handle, &body].concat())
}
