// SPDX-License-Identifier: MIT OR Apache-2.0
//! Block ciphers and their modes (Part 1, 11.4.8 and annex "Symmetric encryption";
//! NIST SP 800-38A for the modes).
//!
//! Everything works in place, and the initialisation vector is always updated so that the next
//! call continues where this one ended: `ivOut` of `TPM2_EncryptDecrypt`. After a last block that
//! is not full, CFB's next vector is the piece of ciphertext padded with zeros, OFB's the whole
//! last key stream block and CTR's the next counter, as the library's reference does.

mod block;
mod cbc;
mod cfb;
mod ctr;
mod ecb;
mod ofb;

pub use block::{BLOCK_SIZE, Block, BlockCipher, Permutation, Work};

use super::CryptoError;

/// A symmetric block cipher; the discriminant is its `TPM_ALG_ID`. All have blocks of 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum SymmetricAlgorithm {
    /// AES with 128, 192 or 256 bits (FIPS 197).
    Aes = 0x0006,
    /// SM4 with 128 bits (GB/T 32907).
    Sm4 = 0x0013,
    /// Camellia with 128, 192 or 256 bits (RFC 3713).
    Camellia = 0x0026,
}

impl SymmetricAlgorithm {
    /// Every algorithm, in the order of `TPM_ALG_ID`.
    pub const ALL: [Self; 3] = [Self::Aes, Self::Sm4, Self::Camellia];

    /// The algorithm with this `TPM_ALG_ID`, if it is implemented.
    #[must_use]
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.id() == id)
    }

    /// The `TPM_ALG_ID`.
    #[must_use]
    pub const fn id(self) -> u16 {
        self as u16
    }

    /// The key sizes that are implemented, in bits.
    #[must_use]
    pub const fn key_bits(self) -> &'static [u16] {
        match self {
            Self::Aes | Self::Camellia => &[128, 192, 256],
            Self::Sm4 => &[128],
        }
    }
}

/// A mode of operation; the discriminant is its `TPM_ALG_ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum SymmetricMode {
    /// Counter; the counter is the whole block, big-endian.
    Ctr = 0x0040,
    /// Output feedback.
    Ofb = 0x0041,
    /// Cipher block chaining, whole blocks only.
    Cbc = 0x0042,
    /// Cipher feedback of whole blocks (CFB128).
    Cfb = 0x0043,
    /// Electronic code book, whole blocks only.
    Ecb = 0x0044,
}

impl SymmetricMode {
    /// Every mode, in the order of `TPM_ALG_ID`.
    pub const ALL: [Self; 5] = [Self::Ctr, Self::Ofb, Self::Cbc, Self::Cfb, Self::Ecb];

    /// The mode with this `TPM_ALG_ID`.
    #[must_use]
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.id() == id)
    }

    /// The `TPM_ALG_ID`.
    #[must_use]
    pub const fn id(self) -> u16 {
        self as u16
    }

    /// Whether the data must be a multiple of the block size.
    #[must_use]
    pub const fn needs_whole_blocks(self) -> bool {
        matches!(self, Self::Cbc | Self::Ecb)
    }

    /// Whether there is an initialisation vector.
    #[must_use]
    pub const fn has_iv(self) -> bool {
        !matches!(self, Self::Ecb)
    }
}

impl BlockCipher {
    /// Encrypts `data` in place and updates `iv` (which ECB ignores).
    ///
    /// # Errors
    /// [`CryptoError::Size`] if the mode needs whole blocks and `data` is something else; nothing
    /// is changed then.
    pub fn encrypt(
        &self,
        mode: SymmetricMode,
        iv: &mut Block,
        data: &mut [u8],
    ) -> Result<(), CryptoError> {
        check_length(mode, data)?;
        self.encrypting(&mut |encrypt| match mode {
            SymmetricMode::Ctr => ctr::apply(encrypt, iv, data),
            SymmetricMode::Ofb => ofb::apply(encrypt, iv, data),
            SymmetricMode::Cbc => cbc::encrypt(encrypt, iv, data),
            SymmetricMode::Cfb => cfb::encrypt(encrypt, iv, data),
            SymmetricMode::Ecb => ecb::apply(encrypt, data),
        });
        Ok(())
    }

    /// Decrypts `data` in place and updates `iv` (which ECB ignores).
    ///
    /// # Errors
    /// As [`encrypt`](Self::encrypt).
    pub fn decrypt(
        &self,
        mode: SymmetricMode,
        iv: &mut Block,
        data: &mut [u8],
    ) -> Result<(), CryptoError> {
        check_length(mode, data)?;
        match mode {
            SymmetricMode::Ctr => self.encrypting(&mut |encrypt| ctr::apply(encrypt, iv, data)),
            SymmetricMode::Ofb => self.encrypting(&mut |encrypt| ofb::apply(encrypt, iv, data)),
            SymmetricMode::Cbc => self.decrypting(&mut |decrypt| cbc::decrypt(decrypt, iv, data)),
            SymmetricMode::Cfb => self.encrypting(&mut |encrypt| cfb::decrypt(encrypt, iv, data)),
            SymmetricMode::Ecb => self.decrypting(&mut |decrypt| ecb::apply(decrypt, data)),
        }
        Ok(())
    }
}

fn check_length(mode: SymmetricMode, data: &[u8]) -> Result<(), CryptoError> {
    if mode.needs_whole_blocks() && !data.len().is_multiple_of(BLOCK_SIZE) {
        return Err(CryptoError::Size);
    }
    Ok(())
}

/// `block ^= other`, as far as both reach.
#[inline]
fn xor(block: &mut [u8], other: &[u8]) {
    block.iter_mut().zip(other).for_each(|(place, byte)| *place ^= *byte);
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::crypto::vectors::records;

    #[test]
    fn half_blocks_and_wrong_keys_are_refused() {
        let cipher = BlockCipher::new(SymmetricAlgorithm::Aes, &[0; 16]).unwrap();
        let mut iv = [7; BLOCK_SIZE];
        for mode in [SymmetricMode::Cbc, SymmetricMode::Ecb] {
            for length in [1, 15, 17, 33] {
                let mut data = std::vec![9; length];
                assert_eq!(cipher.encrypt(mode, &mut iv, &mut data), Err(CryptoError::Size));
                assert_eq!(cipher.decrypt(mode, &mut iv, &mut data), Err(CryptoError::Size));
                assert_eq!((data, iv), (std::vec![9; length], [7; BLOCK_SIZE]));
            }
        }
        for algorithm in SymmetricAlgorithm::ALL {
            for size in 0..64 {
                let bits = u16::try_from(size * 8).unwrap();
                let cipher = BlockCipher::new(algorithm, &std::vec![1; size]);
                assert_eq!(cipher.is_ok(), algorithm.key_bits().contains(&bits));
            }
        }
        assert_eq!(SymmetricAlgorithm::from_id(0x0003), None); // TDES
        assert_eq!(SymmetricMode::from_id(0x0045), None);
    }

    /// CVE-2026-21444, CVE-2021-3446: the vector that comes out must be the updated one.
    #[test]
    fn cve_2026_21444_and_2021_3446_two_chained_calls_equal_one() {
        for algorithm in SymmetricAlgorithm::ALL {
            let cipher = BlockCipher::new(algorithm, &[0x42; 16]).unwrap();
            for mode in SymmetricMode::ALL {
                let mut whole = [0xa5; 96];
                let mut iv = [3; BLOCK_SIZE];
                cipher.encrypt(mode, &mut iv, &mut whole).unwrap();
                let mut pieces = [0xa5; 96];
                let mut chained = [3; BLOCK_SIZE];
                let (first, second) = pieces.split_at_mut(32);
                cipher.encrypt(mode, &mut chained, first).unwrap();
                assert_eq!(chained == [3; BLOCK_SIZE], !mode.has_iv());
                cipher.encrypt(mode, &mut chained, second).unwrap();
                assert_eq!((pieces, chained), (whole, iv));

                let mut chained = [3; BLOCK_SIZE];
                let (first, second) = pieces.split_at_mut(48);
                cipher.decrypt(mode, &mut chained, first).unwrap();
                cipher.decrypt(mode, &mut chained, second).unwrap();
                assert_eq!((pieces, chained), ([0xa5; 96], iv));
            }
        }
    }

    #[test]
    fn the_vector_after_a_partial_block() {
        let cipher = BlockCipher::new(SymmetricAlgorithm::Aes, &[1; 32]).unwrap();
        let start = [0xff; BLOCK_SIZE];
        let mut stream = start;
        cipher.encrypt_block(&mut stream);

        let (mut iv, mut data) = (start, [0; 5]);
        cipher.encrypt(SymmetricMode::Cfb, &mut iv, &mut data).unwrap();
        assert_eq!((&iv[..5], &iv[5..]), (&data[..], &[0; 11][..]));
        let (mut other, mut back) = (start, data);
        cipher.decrypt(SymmetricMode::Cfb, &mut other, &mut back).unwrap();
        assert_eq!((other, back), (iv, [0; 5]));

        let (mut iv, mut data) = (start, [0; 5]);
        cipher.encrypt(SymmetricMode::Ofb, &mut iv, &mut data).unwrap();
        assert_eq!((iv, &data[..]), (stream, &stream[..5]));

        let (mut iv, mut data) = (start, [0; 5]);
        cipher.encrypt(SymmetricMode::Ctr, &mut iv, &mut data).unwrap();
        assert_eq!((iv, &data[..]), ([0; BLOCK_SIZE], &stream[..5]));

        for mode in SymmetricMode::ALL {
            let mut iv = start;
            cipher.encrypt(mode, &mut iv, &mut []).unwrap();
            cipher.decrypt(mode, &mut iv, &mut []).unwrap();
            assert_eq!(iv, start);
        }
    }

    #[test]
    fn vectors() {
        let nist = records(include_str!("../vectors/nist_symmetric.txt"));
        let counter = records(include_str!("../vectors/sp800_38a_ctr.txt"));
        let own = records(include_str!("../vectors/symmetric.txt"));
        for record in nist.into_iter().chain(counter).chain(own) {
            let id = |name| u16::from_str_radix(record.text(name), 16).unwrap();
            let algorithm = SymmetricAlgorithm::from_id(id("algorithm")).unwrap();
            let mode = SymmetricMode::from_id(id("mode")).unwrap();
            let cipher = BlockCipher::new(algorithm, &record.bytes("key")).unwrap();
            let start = if mode.has_iv() {
                Block::try_from(&record.bytes("iv")[..]).unwrap()
            } else {
                [0; BLOCK_SIZE]
            };
            let (mut iv, mut data) = (start, record.bytes("plain"));
            cipher.encrypt(mode, &mut iv, &mut data).unwrap();
            assert_eq!(data, record.bytes("cipher"), "{algorithm:?} {mode:?}");
            iv = start;
            cipher.decrypt(mode, &mut iv, &mut data).unwrap();
            assert_eq!(data, record.bytes("plain"), "{algorithm:?} {mode:?}");
        }
    }
}
