// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cipher feedback of whole blocks (NIST SP 800-38A, 6.3, CFB128). The last block may be shorter;
//! the vector that continues it is then its ciphertext, padded with zeros.

use super::block::{BLOCK_SIZE, Block, BlockCipher};
use super::xor;

pub(super) fn encrypt(cipher: &BlockCipher, iv: &mut Block, data: &mut [u8]) {
    for chunk in data.chunks_mut(BLOCK_SIZE) {
        cipher.encrypt_block(iv);
        xor(chunk, iv);
        feed_back(iv, chunk);
    }
}

pub(super) fn decrypt(cipher: &BlockCipher, iv: &mut Block, data: &mut [u8]) {
    for chunk in data.chunks_mut(BLOCK_SIZE) {
        let mut stream = *iv;
        cipher.encrypt_block(&mut stream);
        feed_back(iv, chunk);
        xor(chunk, &stream);
    }
}

/// The next vector: this ciphertext.
fn feed_back(iv: &mut Block, ciphertext: &[u8]) {
    let padded = ciphertext.iter().copied().chain(core::iter::repeat(0));
    iv.iter_mut().zip(padded).for_each(|(place, byte)| *place = byte);
}
