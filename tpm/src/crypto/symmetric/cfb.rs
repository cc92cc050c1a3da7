// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cipher feedback of whole blocks (NIST SP 800-38A, 6.3, CFB128). The last block may be shorter;
//! the vector that continues it is then its ciphertext, padded with zeros.

use super::block::{BLOCK_SIZE, Block, Permutation};
use super::xor;

pub(super) fn encrypt(encrypt: Permutation<'_>, iv: &mut Block, data: &mut [u8]) {
    let (blocks, last) = data.as_chunks_mut::<BLOCK_SIZE>();
    for block in blocks {
        encrypt(iv);
        xor(block, iv);
        *iv = *block;
    }
    if !last.is_empty() {
        encrypt(iv);
        xor(last, iv);
        *iv = padded(last);
    }
}

pub(super) fn decrypt(encrypt: Permutation<'_>, iv: &mut Block, data: &mut [u8]) {
    let (blocks, last) = data.as_chunks_mut::<BLOCK_SIZE>();
    for block in blocks {
        let ciphertext = *block;
        encrypt(iv);
        xor(block, iv);
        *iv = ciphertext;
    }
    if !last.is_empty() {
        let ciphertext = padded(last);
        encrypt(iv);
        xor(last, iv);
        *iv = ciphertext;
    }
}

/// The vector behind a last block that is not full.
fn padded(ciphertext: &[u8]) -> Block {
    let mut block = [0; BLOCK_SIZE];
    block.iter_mut().zip(ciphertext).for_each(|(place, byte)| *place = *byte);
    block
}
