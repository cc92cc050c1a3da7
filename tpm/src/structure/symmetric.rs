// SPDX-License-Identifier: MIT OR Apache-2.0
//! Symmetric algorithm definitions (Part 2, 11.1).

use super::algorithm::AlgorithmId;
use super::response_code::ResponseCode;
use crate::crypto::hash::HashAlgorithm;
use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer, wire_enum};

wire_enum! {
    /// TPMI_ALG_SYM_OBJECT without TPM_ALG_NULL: the block ciphers.
    BlockCipher: u16, else SYMMETRIC {
        /// AES with 128, 192 or 256 bits.
        Aes = 0x0006,
        /// SM4 with 128 bits.
        Sm4 = 0x0013,
        /// Camellia with 128, 192 or 256 bits.
        Camellia = 0x0026,
    }
}

impl BlockCipher {
    /// Octets of a block: 16 for each of them.
    pub const BLOCK_SIZE: usize = 16;

    /// TPMI_(cipher)_KEY_BITS: whether keys of so many bits exist.
    pub const fn supports(self, key_bits: u16) -> bool {
        match self {
            Self::Aes | Self::Camellia => matches!(key_bits, 128 | 192 | 256),
            Self::Sm4 => key_bits == 128,
        }
    }
}

wire_enum! {
    /// TPMI_ALG_SYM_MODE without TPM_ALG_NULL: modes of encryption, and CMAC.
    CipherMode: u16, else MODE {
        /// CMAC, which only a signing key can have.
        Cmac = 0x003f,
        /// Counter.
        Ctr = 0x0040,
        /// Output feedback.
        Ofb = 0x0041,
        /// Cipher block chaining.
        Cbc = 0x0042,
        /// Cipher feedback.
        Cfb = 0x0043,
        /// Electronic codebook.
        Ecb = 0x0044,
    }
}

/// TPMI_ALG_SYM_MODE+ (and TPMI_ALG_CIPHER_MODE+ where CMAC is then refused).
impl Unmarshal for Option<CipherMode> {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        match reader.value()? {
            AlgorithmId::NULL => Ok(None),
            AlgorithmId(id) => CipherMode::from_raw(id).map(Some).ok_or(ResponseCode::MODE),
        }
    }
}

impl Marshal for Option<CipherMode> {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.map_or(AlgorithmId::NULL.0, CipherMode::raw))
    }
}

/// TPMT_SYM_DEF_OBJECT with an algorithm: a block cipher, its key size and perhaps its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CipherDefinition {
    /// The cipher.
    pub cipher: BlockCipher,
    /// Key size in bits, one that the cipher has.
    pub key_bits: u16,
    /// The mode; `None` leaves it to the command.
    pub mode: Option<CipherMode>,
}

impl CipherDefinition {
    /// Octets of a key.
    pub const fn key_size(self) -> usize {
        (self.key_bits / 8) as usize
    }

    fn of(cipher: BlockCipher, reader: &mut Reader<'_>) -> Result<Self> {
        let key_bits = reader.value()?;
        if !cipher.supports(key_bits) {
            return Err(ResponseCode::VALUE);
        }
        Ok(Self { cipher, key_bits, mode: reader.value()? })
    }
}

impl Unmarshal for CipherDefinition {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let cipher = reader.value()?;
        Self::of(cipher, reader)
    }
}

impl Marshal for CipherDefinition {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.cipher)?;
        writer.value(&self.key_bits)?;
        writer.value(&self.mode)
    }
}

/// TPMT_SYM_DEF_OBJECT+.
impl Unmarshal for Option<CipherDefinition> {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        match reader.value()? {
            AlgorithmId::NULL => Ok(None),
            AlgorithmId(id) => {
                let cipher = BlockCipher::from_raw(id).ok_or(ResponseCode::SYMMETRIC)?;
                CipherDefinition::of(cipher, reader).map(Some)
            }
        }
    }
}

impl Marshal for Option<CipherDefinition> {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        match self {
            Some(definition) => writer.value(definition),
            None => writer.value(&AlgorithmId::NULL),
        }
    }
}

/// TPMT_SYM_DEF (Part 2, 11.1.6): how a session encrypts parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymmetricDefinition {
    /// Not at all.
    Null,
    /// XOR obfuscation with a hash.
    Xor(HashAlgorithm),
    /// A block cipher. Its mode must be CFB for a session; the command says so.
    Cipher(CipherDefinition),
}

impl Unmarshal for SymmetricDefinition {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        match reader.value()? {
            AlgorithmId::NULL => Ok(Self::Null),
            AlgorithmId::XOR => reader.value().map(Self::Xor),
            AlgorithmId(id) => {
                let cipher = BlockCipher::from_raw(id).ok_or(ResponseCode::SYMMETRIC)?;
                CipherDefinition::of(cipher, reader).map(Self::Cipher)
            }
        }
    }
}

impl Marshal for SymmetricDefinition {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        match self {
            Self::Null => writer.value(&AlgorithmId::NULL),
            Self::Xor(hash) => {
                writer.value(&AlgorithmId::XOR)?;
                writer.value(hash)
            }
            Self::Cipher(definition) => writer.value(definition),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Unmarshal>(words: &[u16]) -> Result<T> {
        let mut bytes = [0; 16];
        let mut writer = Writer::new(&mut bytes);
        words.iter().for_each(|word| writer.value(word).unwrap());
        T::unmarshal(&mut Reader::new(writer.written()))
    }

    #[test]
    fn only_key_sizes_and_modes_that_exist() {
        type Definition = SymmetricDefinition;
        assert_eq!(read::<Definition>(&[0x0003, 128, 0x43]), Err(ResponseCode::SYMMETRIC));
        assert_eq!(read::<Definition>(&[0x0006, 129, 0x43]), Err(ResponseCode::VALUE));
        assert_eq!(read::<Definition>(&[0x0013, 256, 0x43]), Err(ResponseCode::VALUE));
        assert_eq!(read::<Definition>(&[0x0006, 128, 0x45]), Err(ResponseCode::MODE));
        assert_eq!(read::<Definition>(&[0x000a, 0x0010]), Err(ResponseCode::HASH));
        assert_eq!(read::<Definition>(&[0x0010]), Ok(SymmetricDefinition::Null));
        assert_eq!(read::<CipherDefinition>(&[0x0010]), Err(ResponseCode::SYMMETRIC));
        assert_eq!(read::<Option<CipherDefinition>>(&[0x0010]), Ok(None));
    }
}
