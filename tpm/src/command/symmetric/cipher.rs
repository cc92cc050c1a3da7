// SPDX-License-Identifier: MIT OR Apache-2.0
//! What TPM2_EncryptDecrypt and TPM2_EncryptDecrypt2 have in common: everything but the order of
//! their parameters.

use crate::crypto::symmetric::{BLOCK_SIZE, BlockCipher, SymmetricAlgorithm, SymmetricMode};
use crate::pipeline::Context;
use crate::structure::attributes::ObjectAttributes as Bits;
use crate::structure::buffer::Buffer;
use crate::structure::digest::MaxBuffer;
use crate::structure::public::PublicParameters;
use crate::structure::response_code::ResponseCode;
use crate::structure::symmetric::CipherMode;
use crate::wire::{Reader, Result, Unmarshal, Writer};

/// TPM2B_IV.
pub(super) type InitialVector = Buffer<BLOCK_SIZE>;

/// TPMI_ALG_CIPHER_MODE+: CMAC doesn't encrypt (TPM_RC_MODE).
pub(super) struct EncryptionMode(Option<SymmetricMode>);

impl Unmarshal for EncryptionMode {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let mode: Option<CipherMode> = reader.value()?;
        let known = |mode: CipherMode| SymmetricMode::from_id(mode.raw()).ok_or(ResponseCode::MODE);
        mode.map(known).transpose().map(Self)
    }
}

/// The numbers of the parameters, by which errors are told.
pub(super) struct Places {
    pub(super) data: u8,
    pub(super) mode: u8,
    pub(super) vector: u8,
}

/// The parameters, in the order of neither command.
pub(super) struct Work {
    pub(super) is_decryption: bool,
    pub(super) mode: EncryptionMode,
    pub(super) vector: InitialVector,
    pub(super) data: MaxBuffer,
}

impl Work {
    /// Encrypts or decrypts with the key of the first handle and writes outData and ivOut, with
    /// which the next part of the message goes on.
    pub(super) fn execute(
        mut self,
        context: &Context<'_>,
        places: &Places,
        response: &mut Writer<'_>,
    ) -> Result<()> {
        let object = context.state.object(context.handle(1))?;
        let PublicParameters::SymmetricCipher(definition) = object.public.parameters else {
            return Err(ResponseCode::KEY.in_handle(1));
        };
        let needed = if self.is_decryption { Bits::DECRYPT } else { Bits::SIGN_ENCRYPT };
        if object.has(Bits::RESTRICTED) || !object.has(needed) {
            return Err(ResponseCode::ATTRIBUTES.in_handle(1));
        }
        let mode = self.select(definition.mode, places.mode)?;
        self.check_sizes(mode, places)?;
        let sensitive = object.sensitive.as_ref().ok_or(ResponseCode::KEY.in_handle(1))?;
        let algorithm = SymmetricAlgorithm::from_id(definition.cipher.raw());
        let algorithm = algorithm.ok_or(ResponseCode::SYMMETRIC.in_handle(1))?;
        let cipher = BlockCipher::new(algorithm, &sensitive.secret)?;
        let mut vector = [0; BLOCK_SIZE];
        vector.iter_mut().zip(self.vector.iter()).for_each(|(place, octet)| *place = *octet);
        if self.is_decryption {
            cipher.decrypt(mode, &mut vector, self.data.as_mut_slice())?;
        } else {
            cipher.encrypt(mode, &mut vector, self.data.as_mut_slice())?;
        }
        response.value(&self.data)?;
        response.sized_bytes(if mode.has_iv() { &vector } else { &[] })
    }

    /// The key's mode, or the caller's if the key leaves it open.
    fn select(&self, own: Option<CipherMode>, place: u8) -> Result<SymmetricMode> {
        let own = match own {
            // A key for MACs has a mode that is none of encryption.
            Some(mode) => {
                let mode = SymmetricMode::from_id(mode.raw());
                Some(mode.ok_or(ResponseCode::MODE.in_handle(1))?)
            }
            None => None,
        };
        match (own, self.mode.0) {
            (Some(own), None) => Ok(own),
            (Some(own), Some(wanted)) if own == wanted => Ok(own),
            (None, Some(wanted)) => Ok(wanted),
            _ => Err(ResponseCode::MODE.in_parameter(place)),
        }
    }

    fn check_sizes(&self, mode: SymmetricMode, places: &Places) -> Result<()> {
        let vector_size = if mode.has_iv() { BLOCK_SIZE } else { 0 };
        if self.vector.len() != vector_size {
            return Err(ResponseCode::SIZE.in_parameter(places.vector));
        }
        if mode.needs_whole_blocks() && !self.data.len().is_multiple_of(BLOCK_SIZE) {
            return Err(ResponseCode::SIZE.in_parameter(places.data));
        }
        Ok(())
    }
}
