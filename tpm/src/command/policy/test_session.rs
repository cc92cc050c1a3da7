// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the tests of policies do with their sessions.

use std::vec::Vec;

use crate::crypto::hash::HashAlgorithm;
use crate::structure::handle::Handle;
use crate::testing::{Machine, NULL, parameters};
use crate::wire::Result;

/// policyDigest of a session.
pub(super) fn policy_digest(machine: &mut Machine, session: Handle) -> Vec<u8> {
    machine.command(0x189, &session.0.to_be_bytes()).unwrap()[2..].to_vec()
}

/// One step of a policy, whose only handle is the session.
pub(super) fn step(machine: &mut Machine, code: u32, session: Handle, body: &[u8]) -> Result<()> {
    let response = machine.command(code, &[&session.0.to_be_bytes(), body].concat())?;
    assert!(response.is_empty());
    Ok(())
}

/// An HMAC key from outside, with the secret "key".
pub(super) fn hmac_key(machine: &mut Machine) -> Handle {
    let unique = HashAlgorithm::Sha256.digest(&[&[0; 32], b"key"]);
    let body = parameters(|writer| {
        writer.sized(|inner| {
            inner.value(&8_u16)?;
            inner.sized_bytes(b"")?;
            inner.sized_bytes(&[0; 32])?;
            inner.sized_bytes(b"key")
        })?;
        writer.sized(|inner| {
            inner.value(&8_u16)?;
            inner.value(&0x0b_u16)?;
            inner.value(&0x0004_0040_u32)?;
            inner.sized_bytes(b"")?;
            inner.value(&5_u16)?;
            inner.value(&0x0b_u16)?;
            inner.sized_bytes(&unique)
        })?;
        writer.value(&NULL)
    });
    let response = machine.command(0x167, &body).unwrap();
    Handle(u32::from_be_bytes(*response.first_chunk().unwrap()))
}
