// SPDX-License-Identifier: MIT OR Apache-2.0
//! How saved contexts are protected (Part 1, 30.3): encrypted with AES-256 in CFB mode under a key
//! of their own, and authenticated with the hierarchy's proof.
//!
//! A context is only good for the TPM Reset in which it was saved; that of an object with stClear
//! also only for the Restart. Both counts are part of what is authenticated. The count of Resets is
//! part of the derivation of the key, too, since the sequence numbers begin anew with each of them.

use zeroize::Zeroizing;

use crate::crypto::hash::Digest;
use crate::crypto::hmac::Hmac;
use crate::crypto::kdf::kdfa;
use crate::crypto::symmetric::{BlockCipher, SymmetricMode};
use crate::state::State;
use crate::state::ticket::CONTEXT_HASH;
use crate::structure::context::SavedContext;
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Result, Writer};

/// savedHandle of an ordinary object.
pub(super) const OBJECT: Handle = Handle(0x8000_0000);
/// savedHandle of a sequence.
pub(super) const SEQUENCE: Handle = Handle(0x8000_0001);
/// savedHandle of an object with stClear.
pub(super) const ST_CLEAR_OBJECT: Handle = Handle(0x8000_0002);

const KEY_SIZE: usize = 32;
const IV_SIZE: usize = 16;

/// Encrypts or decrypts the content of a context in place.
pub(super) fn apply(
    state: &State,
    context: &SavedContext,
    data: &mut [u8],
    is_encryption: bool,
) -> Result<()> {
    let mut key_and_iv = Zeroizing::new([0; KEY_SIZE + IV_SIZE]);
    let sequence = context.sequence.to_be_bytes();
    let mut circumstances = [0; 4 + 8];
    let mut writer = Writer::new(&mut circumstances);
    writer.value(&(context.saved_handle, state.permanent.total_reset_count))?;
    let proof = state.proof(context.hierarchy);
    let bits = 384;
    let circumstances = writer.written();
    kdfa(CONTEXT_HASH, proof, b"CONTEXT", &sequence, circumstances, bits, &mut *key_and_iv)?;
    let (key, iv) = key_and_iv.split_first_chunk().ok_or(ResponseCode::FAILURE)?;
    let mut iv = *iv.first_chunk().ok_or(ResponseCode::FAILURE)?;
    let cipher = BlockCipher::aes_256(key);
    if is_encryption {
        cipher.encrypt(SymmetricMode::Cfb, &mut iv, data)?;
    } else {
        cipher.decrypt(SymmetricMode::Cfb, &mut iv, data)?;
    }
    Ok(())
}

/// The HMAC over everything that a context is good for, and its encrypted content.
pub(super) fn integrity(state: &State, context: &SavedContext, encrypted: &[u8]) -> Digest {
    let mut hmac = Hmac::new(CONTEXT_HASH, state.proof(context.hierarchy));
    hmac.update(&state.permanent.total_reset_count.to_be_bytes());
    if context.saved_handle == ST_CLEAR_OBJECT {
        hmac.update(&state.reset.clear_count.to_be_bytes());
    }
    hmac.update(&context.sequence.to_be_bytes());
    hmac.update(&context.saved_handle.0.to_be_bytes());
    hmac.update(&context.hierarchy.0.to_be_bytes());
    hmac.update(encrypted);
    hmac.finish()
}
