// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counter mode (NIST SP 800-38A, 6.5). The counter is the whole block as a big-endian number; a
//! last block that is not full uses up its counter.

use super::block::{BLOCK_SIZE, Block, Permutation};
use super::xor;

/// Encrypts or decrypts, which is the same.
pub(super) fn apply(encrypt: Permutation<'_>, counter: &mut Block, data: &mut [u8]) {
    for chunk in data.chunks_mut(BLOCK_SIZE) {
        let mut stream = *counter;
        encrypt(&mut stream);
        xor(chunk, &stream);
        *counter = u128::from_be_bytes(*counter).wrapping_add(1).to_be_bytes();
    }
}
