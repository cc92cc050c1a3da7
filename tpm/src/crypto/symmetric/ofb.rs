// SPDX-License-Identifier: MIT OR Apache-2.0
//! Output feedback (NIST SP 800-38A, 6.4). A last block that is not full uses up its key stream.

use super::block::{BLOCK_SIZE, Block, Permutation};
use super::xor;

/// Encrypts or decrypts, which is the same.
pub(super) fn apply(encrypt: Permutation<'_>, iv: &mut Block, data: &mut [u8]) {
    for chunk in data.chunks_mut(BLOCK_SIZE) {
        encrypt(iv);
        xor(chunk, iv);
    }
}
