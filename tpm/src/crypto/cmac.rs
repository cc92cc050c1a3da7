// SPDX-License-Identifier: MIT OR Apache-2.0
//! CMAC (NIST SP 800-38B, ISO/IEC 9797-1 algorithm 5) over any of the block ciphers: the MAC of a
//! symmetric key in `TPM2_MAC` and in MAC sequences.
//!
//! The running state is small and separate from the key, because a sequence object saves it in
//! its context and holds the key elsewhere.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::CryptoError;
use super::hash::Digest;
use super::symmetric::{BLOCK_SIZE, Block, BlockCipher, Permutation};

/// Size of a saved [`CmacState`], in bytes.
pub const CMAC_STATE_SIZE: usize = 1 + 2 * BLOCK_SIZE;

/// What doubling adds when a bit falls out (SP 800-38B, 5.3, for blocks of 128 bits).
const REDUCTION: u128 = 0x87;

/// The state of a CMAC in progress, without its key.
#[derive(Clone, Default, Zeroize, ZeroizeOnDrop)]
pub struct CmacState {
    chain: Block,
    /// The newest block, not encrypted yet because the last one is treated differently.
    pending: Block,
    /// How much of `pending` is filled; a full one waits for the next byte.
    pending_bytes: usize,
}

impl CmacState {
    /// The state before the first byte.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `data` to the message. `cipher` is the same in every call.
    pub fn update(&mut self, cipher: &BlockCipher, data: &[u8]) {
        cipher.encrypting(&mut |encrypt| {
            for byte in data {
                if self.pending_bytes == BLOCK_SIZE {
                    self.absorb(encrypt);
                }
                if let Some(place) = self.pending.get_mut(self.pending_bytes) {
                    *place = *byte;
                    self.pending_bytes = self.pending_bytes.saturating_add(1);
                }
            }
        });
    }

    fn absorb(&mut self, encrypt: Permutation<'_>) {
        self.chain.iter_mut().zip(self.pending).for_each(|(place, byte)| *place ^= byte);
        encrypt(&mut self.chain);
        self.pending_bytes = 0;
    }

    /// The MAC of the message, 16 bytes.
    #[must_use]
    pub fn finish(mut self, cipher: &BlockCipher) -> Digest {
        let mut subkey = [0; BLOCK_SIZE];
        cipher.encrypt_block(&mut subkey);
        double(&mut subkey);
        if self.pending_bytes < BLOCK_SIZE {
            double(&mut subkey);
            self.pending.iter_mut().skip(self.pending_bytes).for_each(|byte| *byte = 0);
            if let Some(padding) = self.pending.get_mut(self.pending_bytes) {
                *padding = 0x80;
            }
        }
        self.pending.iter_mut().zip(subkey).for_each(|(place, byte)| *place ^= byte);
        subkey.zeroize();
        cipher.encrypting(&mut |encrypt| self.absorb(encrypt));
        Digest::from_slice(&self.chain).unwrap_or_default()
    }

    /// Saves the middle of the computation.
    #[must_use]
    pub fn save(&self) -> [u8; CMAC_STATE_SIZE] {
        let mut saved = [0; CMAC_STATE_SIZE];
        let count = u8::try_from(self.pending_bytes).unwrap_or(0);
        let bytes = core::iter::once(&count).chain(&self.chain).chain(&self.pending);
        saved.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        saved
    }

    /// Restores what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// [`CryptoError::State`] if it is damaged.
    pub fn restore(saved: &[u8]) -> Result<Self, CryptoError> {
        let saved = <&[u8; CMAC_STATE_SIZE]>::try_from(saved).map_err(|_| CryptoError::State)?;
        let [count, blocks @ ..] = saved;
        let (chain, pending) = blocks.split_first_chunk().ok_or(CryptoError::State)?;
        let pending = Block::try_from(pending).map_err(|_| CryptoError::State)?;
        let pending_bytes = usize::from(*count);
        if pending_bytes > BLOCK_SIZE {
            return Err(CryptoError::State);
        }
        Ok(Self { chain: *chain, pending, pending_bytes })
    }
}

impl core::fmt::Debug for CmacState {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("CmacState")
    }
}

/// Multiplies by x in GF(2^128), in constant time.
fn double(block: &mut Block) {
    let value = u128::from_be_bytes(*block);
    let carry = (value >> 127).wrapping_neg() & REDUCTION;
    *block = ((value << 1) ^ carry).to_be_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::symmetric::SymmetricAlgorithm;
    use crate::crypto::vectors::{records, unhex};

    fn mac(cipher: &BlockCipher, message: &[u8]) -> Digest {
        let mut state = CmacState::new();
        state.update(cipher, message);
        state.finish(cipher)
    }

    #[test]
    fn a_damaged_state_is_refused() {
        let mut saved = CmacState::new().save();
        assert_eq!(CmacState::restore(&saved[1..]).err(), Some(CryptoError::State));
        saved[0] = 17;
        assert_eq!(CmacState::restore(&saved).err(), Some(CryptoError::State));
    }

    #[test]
    fn a_cmac_continues_after_save_and_restore() {
        let cipher = BlockCipher::new(SymmetricAlgorithm::Sm4, &[9; 16]).unwrap();
        let message = [0x33; 70];
        for split in 0..=message.len() {
            let mut state = CmacState::new();
            state.update(&cipher, &message[..split]);
            let mut state = CmacState::restore(&state.save()).unwrap();
            state.update(&cipher, &message[split..]);
            assert_eq!(state.finish(&cipher), mac(&cipher, &message));
        }
    }

    /// RFC 4493, section 4.
    #[test]
    fn published_macs() {
        let key = unhex("2b7e151628aed2a6abf7158809cf4f3c");
        let cipher = BlockCipher::new(SymmetricAlgorithm::Aes, &key).unwrap();
        let message = unhex(
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
             30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
        );
        for (length, expected) in [
            (0, "bb1d6929e95937287fa37d129b756746"),
            (16, "070a16b46b4d4144f79bdd9dd04a287c"),
            (40, "dfa66747de9ae63030ca32611497c827"),
            (64, "51f0bebf7e3b9d92fc49741779363cfe"),
        ] {
            assert_eq!(mac(&cipher, &message[..length]).as_bytes(), unhex(expected));
        }
    }

    #[test]
    fn vectors() {
        for record in records(include_str!("vectors/cmac.txt")) {
            let id = u16::from_str_radix(record.text("algorithm"), 16).unwrap();
            let algorithm = SymmetricAlgorithm::from_id(id).unwrap();
            let cipher = BlockCipher::new(algorithm, &record.bytes("key")).unwrap();
            let message = record.bytes("message");
            assert_eq!(mac(&cipher, &message).as_bytes(), record.bytes("mac"));
        }
    }
}
