// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cipher block chaining (NIST SP 800-38A, 6.2). `data` is a whole number of blocks.

use super::block::{BLOCK_SIZE, Block, Permutation};
use super::xor;

pub(super) fn encrypt(encrypt: Permutation<'_>, iv: &mut Block, data: &mut [u8]) {
    let (blocks, _) = data.as_chunks_mut::<BLOCK_SIZE>();
    for block in blocks {
        xor(iv, block);
        encrypt(iv);
        *block = *iv;
    }
}

pub(super) fn decrypt(decrypt: Permutation<'_>, iv: &mut Block, data: &mut [u8]) {
    let (blocks, _) = data.as_chunks_mut::<BLOCK_SIZE>();
    for block in blocks {
        let next_iv = *block;
        decrypt(block);
        xor(block, iv);
        *iv = next_iv;
    }
}
