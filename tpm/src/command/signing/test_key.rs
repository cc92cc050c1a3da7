// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys for the tests of commands that use some.

use std::vec::Vec;

use crate::command::object::create_primary::tests::body;
use crate::crypto::hash::HashAlgorithm;
use crate::testing::{Machine, NULL, OWNER, parameters};

/// sign, without restriction.
pub(in crate::command) const SIGN: u16 = 4;
/// decrypt, without restriction.
pub(in crate::command) const DECRYPT: u16 = 2;
/// restricted, to be combined with one of the others.
pub(in crate::command) const RESTRICTED: u16 = 1;

/// fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth.
const ORDINARY: u16 = 0x0072;

fn primary(machine: &mut Machine, hierarchy: u32, words: &[&[u16]]) -> u32 {
    let mut public = Vec::new();
    words.concat().iter().for_each(|word| public.extend(word.to_be_bytes()));
    let response = machine.authorised(0x131, &[hierarchy], &body(b"", b"", &public)).unwrap();
    u32::from_be_bytes(*response.first_chunk().unwrap())
}

/// A P-256 key of the owner; `scheme` as in a template, TPM_ALG_NULL being `[0x10]`.
pub(in crate::command) fn ecc(machine: &mut Machine, uses: u16, scheme: &[u16]) -> u32 {
    ecc_below(machine, OWNER, uses, scheme)
}

/// A P-256 key of a hierarchy.
pub(in crate::command) fn ecc_below(
    machine: &mut Machine,
    hierarchy: u32,
    uses: u16,
    scheme: &[u16],
) -> u32 {
    let words = [&[0x23, 0x0b, uses, ORDINARY, 0, 0x10], scheme, &[3, 0x10, 0, 0]];
    primary(machine, hierarchy, &words)
}

/// An RSA key of 2048 bits.
pub(in crate::command) fn rsa(machine: &mut Machine, uses: u16, scheme: &[u16]) -> u32 {
    let words = [&[1, 0x0b, uses, ORDINARY, 0, 0x10], scheme, &[2048, 0, 0, 0]];
    primary(machine, OWNER, &words)
}

/// An HMAC key with SHA-256.
pub(in crate::command) fn hmac(machine: &mut Machine, uses: u16) -> u32 {
    primary(machine, OWNER, &[&[8, 0x0b, uses, ORDINARY, 0, 5, 0x0b, 0]])
}

/// A key of AES-128 in a mode.
pub(in crate::command) fn aes(machine: &mut Machine, uses: u16, mode: u16) -> u32 {
    primary(machine, OWNER, &[&[0x25, 0x0b, uses, ORDINARY, 0, 6, 128, mode, 0]])
}

/// Loads the public part of a loaded key as one from outside.
pub(in crate::command) fn public_part(machine: &mut Machine, key: u32) -> u32 {
    let read = machine.command(0x173, &key.to_be_bytes()).unwrap();
    let size = usize::from(u16::from_be_bytes(*read.first_chunk().unwrap()));
    let load = parameters(|writer| {
        writer.sized_bytes(&[])?;
        writer.bytes(&read[..2 + size])?;
        writer.value(&OWNER)
    });
    let loaded = machine.command(0x167, &load).unwrap();
    u32::from_be_bytes(*loaded.first_chunk().unwrap())
}

/// The parameters of TPM2_Sign for a message's SHA-256 digest, without a ticket.
pub(in crate::command) fn sign_body(message: &[u8], scheme: &[u16]) -> Vec<u8> {
    let digest = HashAlgorithm::Sha256.digest(&[message]);
    parameters(|writer| {
        writer.value(&digest)?;
        scheme.iter().try_for_each(|word| writer.value(word))?;
        writer.value(&0x8024_u16)?;
        writer.value(&NULL)?;
        writer.value(&0_u16)
    })
}

/// The parameters of TPM2_VerifySignature.
pub(in crate::command) fn verify_body(key: u32, message: &[u8], signature: &[u8]) -> Vec<u8> {
    parameters(|writer| {
        writer.value(&key)?;
        writer.value(&HashAlgorithm::Sha256.digest(&[message]))?;
        writer.bytes(signature)
    })
}
