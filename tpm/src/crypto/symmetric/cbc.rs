// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cipher block chaining (NIST SP 800-38A, 6.2). `data` is a whole number of blocks.

use super::block::{BLOCK_SIZE, Block, BlockCipher};
use super::xor;

pub(super) fn encrypt(cipher: &BlockCipher, iv: &mut Block, data: &mut [u8]) {
    for chunk in data.chunks_exact_mut(BLOCK_SIZE) {
        xor(iv, chunk);
        cipher.encrypt_block(iv);
        chunk.copy_from_slice(iv);
    }
}

pub(super) fn decrypt(cipher: &BlockCipher, iv: &mut Block, data: &mut [u8]) {
    let (blocks, _) = data.as_chunks_mut::<BLOCK_SIZE>();
    for block in blocks {
        let next_iv = *block;
        cipher.decrypt_block(block);
        xor(block, iv);
        *iv = next_iv;
    }
}
