// SPDX-License-Identifier: MIT OR Apache-2.0
//! One block of any of the block ciphers: FIPS 197 (AES), GB/T 32907 (SM4), RFC 3713 (Camellia).

use cipher::typenum::U16;
use cipher::{
    BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherDecrypt, BlockCipherEncBackend,
    BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, KeyInit,
};

use super::SymmetricAlgorithm;
use crate::crypto::CryptoError;

/// Size of a block of every cipher here, in bytes.
pub const BLOCK_SIZE: usize = 16;

/// A block of input, output or key stream.
pub type Block = [u8; BLOCK_SIZE];

/// A block cipher with its expanded key, which the ciphers' crates wipe on drop.
#[derive(Clone)]
pub struct BlockCipher(Keyed);

#[derive(Clone)]
enum Keyed {
    Aes128(aes::Aes128),
    Aes192(aes::Aes192),
    Aes256(aes::Aes256),
    Sm4(sm4::Sm4),
    Camellia128(camellia::Camellia128),
    Camellia192(camellia::Camellia192),
    Camellia256(camellia::Camellia256),
}

/// Calls `$body` with `$inner` bound to the keyed cipher.
macro_rules! with_cipher {
    ($keyed:expr, $inner:ident => $body:expr) => {
        match $keyed {
            Keyed::Aes128($inner) => $body,
            Keyed::Aes192($inner) => $body,
            Keyed::Aes256($inner) => $body,
            Keyed::Sm4($inner) => $body,
            Keyed::Camellia128($inner) => $body,
            Keyed::Camellia192($inner) => $body,
            Keyed::Camellia256($inner) => $body,
        }
    };
}

impl BlockCipher {
    /// Expands `key`.
    ///
    /// # Errors
    /// [`CryptoError::KeySize`] if the cipher has no keys of that length.
    pub fn new(algorithm: SymmetricAlgorithm, key: &[u8]) -> Result<Self, CryptoError> {
        Ok(Self(match (algorithm, key.len()) {
            (SymmetricAlgorithm::Aes, 16) => Keyed::Aes128(keyed(key)?),
            (SymmetricAlgorithm::Aes, 24) => Keyed::Aes192(keyed(key)?),
            (SymmetricAlgorithm::Aes, 32) => Keyed::Aes256(keyed(key)?),
            (SymmetricAlgorithm::Sm4, 16) => Keyed::Sm4(keyed(key)?),
            (SymmetricAlgorithm::Camellia, 16) => Keyed::Camellia128(keyed(key)?),
            (SymmetricAlgorithm::Camellia, 24) => Keyed::Camellia192(keyed(key)?),
            (SymmetricAlgorithm::Camellia, 32) => Keyed::Camellia256(keyed(key)?),
            _ => return Err(CryptoError::KeySize),
        }))
    }

    /// AES-256 with `key`.
    #[must_use]
    pub fn aes_256(key: &[u8; 32]) -> Self {
        Self(Keyed::Aes256(aes::Aes256::new(key.into())))
    }

    /// Calls `work` once, with what encrypts a block in place.
    ///
    /// Preparing the round keys for the processor's widest instructions costs more than encrypting
    /// a block does, so a whole message is one call.
    pub fn encrypting(&self, work: Work<'_>) {
        with_cipher!(&self.0, inner => inner.encrypt_with_backend(Run(work)));
    }

    /// Calls `work` once, with what decrypts a block in place.
    pub fn decrypting(&self, work: Work<'_>) {
        with_cipher!(&self.0, inner => inner.decrypt_with_backend(Run(work)));
    }

    /// Encrypts one block in place.
    pub fn encrypt_block(&self, block: &mut Block) {
        self.encrypting(&mut |encrypt| encrypt(block));
    }

    /// Decrypts one block in place.
    pub fn decrypt_block(&self, block: &mut Block) {
        self.decrypting(&mut |decrypt| decrypt(block));
    }
}

/// Changes a block in place.
pub type Permutation<'a> = &'a dyn Fn(&mut Block);

/// What is done with a cipher that is ready.
pub type Work<'a> = &'a mut dyn FnMut(Permutation<'_>);

struct Run<'a>(Work<'a>);

impl BlockSizeUser for Run<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Run<'_> {
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        (self.0)(&|block| backend.encrypt_block_inplace(block.into()));
    }
}

impl BlockCipherDecClosure for Run<'_> {
    fn call<B: BlockCipherDecBackend<BlockSize = U16>>(self, backend: &B) {
        (self.0)(&|block| backend.decrypt_block_inplace(block.into()));
    }
}

fn keyed<C: KeyInit>(key: &[u8]) -> Result<C, CryptoError> {
    C::new_from_slice(key).map_err(|_| CryptoError::KeySize)
}

impl core::fmt::Debug for BlockCipher {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("BlockCipher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::vectors::unhex;

    /// FIPS 197 annex C, GB/T 32907 annex A, RFC 3713 annex A.
    #[test]
    fn published_blocks() {
        let counting = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let standard = "0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff";
        let plain = "00112233445566778899aabbccddeeff";
        for (algorithm, key, plain, expected) in [
            (SymmetricAlgorithm::Aes, &counting[..32], plain, "69c4e0d86a7b0430d8cdb78070b4c55a"),
            (SymmetricAlgorithm::Aes, &counting[..48], plain, "dda97ca4864cdfe06eaf70a0ec0d7191"),
            (SymmetricAlgorithm::Aes, counting, plain, "8ea2b7ca516745bfeafc49904b496089"),
            (
                SymmetricAlgorithm::Sm4,
                &standard[..32],
                &standard[..32],
                "681edf34d206965e86b3e94f536e4246",
            ),
            (
                SymmetricAlgorithm::Camellia,
                &standard[..32],
                &standard[..32],
                "67673138549669730857065648eabe43",
            ),
            (
                SymmetricAlgorithm::Camellia,
                &standard[..48],
                &standard[..32],
                "b4993401b3e996f84ee5cee7d79b09b9",
            ),
            (
                SymmetricAlgorithm::Camellia,
                standard,
                &standard[..32],
                "9acc237dff16d76c20ef7c919e3a7509",
            ),
        ] {
            let cipher = BlockCipher::new(algorithm, &unhex(key)).unwrap();
            let mut block = Block::try_from(&unhex(plain)[..]).unwrap();
            cipher.encrypt_block(&mut block);
            assert_eq!(block[..], unhex(expected));
            cipher.decrypt_block(&mut block);
            assert_eq!(block[..], unhex(plain));
        }
    }
}
