// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signatures (Part 2, 11.3).

use super::algorithm::AlgorithmId;
use super::digest::TaggedDigest;
use super::ecc::EccParameter;
use super::public::RsaBuffer;
use super::response_code::ResponseCode;
use super::scheme::SignatureScheme;
use crate::crypto::hash::HashAlgorithm;
use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer};

/// TPMT_SIGNATURE with a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is no heap to put an RSA signature on")]
pub enum Signature {
    /// RSASSA or RSAPSS: the scheme's algorithm, the hash, the signature.
    Rsa(AlgorithmId, HashAlgorithm, RsaBuffer),
    /// ECDSA, ECDAA, SM2 or EC Schnorr: the scheme's algorithm, the hash, r and s.
    Ecc(AlgorithmId, HashAlgorithm, EccParameter, EccParameter),
    /// HMAC.
    Hmac(TaggedDigest),
}

impl Signature {
    /// The scheme's algorithm.
    pub const fn algorithm(&self) -> AlgorithmId {
        match self {
            Self::Rsa(algorithm, ..) | Self::Ecc(algorithm, ..) => *algorithm,
            Self::Hmac(_) => AlgorithmId::HMAC,
        }
    }

    /// The hash of what is signed.
    pub const fn hash(&self) -> HashAlgorithm {
        match self {
            Self::Rsa(_, hash, _) | Self::Ecc(_, hash, ..) => *hash,
            Self::Hmac(digest) => digest.algorithm,
        }
    }

    /// The scheme that it claims to be of; the counter of ECDAA is not part of a signature.
    pub const fn scheme(&self) -> SignatureScheme {
        let hash = self.hash();
        match self.algorithm() {
            AlgorithmId::RSASSA => SignatureScheme::Rsassa(hash),
            AlgorithmId::RSAPSS => SignatureScheme::Rsapss(hash),
            AlgorithmId::ECDSA => SignatureScheme::Ecdsa(hash),
            AlgorithmId::ECDAA => SignatureScheme::Ecdaa(hash, 0),
            AlgorithmId::SM2 => SignatureScheme::Sm2(hash),
            AlgorithmId::EC_SCHNORR => SignatureScheme::EcSchnorr(hash),
            _ => SignatureScheme::Hmac(hash),
        }
    }
}

/// TPMT_SIGNATURE: not TPM_ALG_NULL, and no algorithm that doesn't sign (TPM_RC_SCHEME).
impl Unmarshal for Signature {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        Option::<Self>::unmarshal(reader)?.ok_or(ResponseCode::SCHEME)
    }
}

/// TPMT_SIGNATURE+.
impl Unmarshal for Option<Signature> {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let algorithm = reader.value()?;
        Ok(Some(match algorithm {
            AlgorithmId::NULL => return Ok(None),
            AlgorithmId::RSASSA | AlgorithmId::RSAPSS => {
                let hash = reader.value()?;
                Signature::Rsa(algorithm, hash, reader.value()?)
            }
            AlgorithmId::ECDSA
            | AlgorithmId::ECDAA
            | AlgorithmId::SM2
            | AlgorithmId::EC_SCHNORR => {
                let hash = reader.value()?;
                let r = reader.value()?;
                Signature::Ecc(algorithm, hash, r, reader.value()?)
            }
            AlgorithmId::HMAC => Signature::Hmac(reader.value()?),
            _ => return Err(ResponseCode::SCHEME),
        }))
    }
}

impl Marshal for Signature {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.algorithm())?;
        match self {
            Self::Rsa(_, hash, signature) => {
                writer.value(hash)?;
                writer.value(signature)
            }
            Self::Ecc(_, hash, r, s) => {
                writer.value(hash)?;
                writer.value(r)?;
                writer.value(s)
            }
            Self::Hmac(digest) => writer.value(digest),
        }
    }
}

impl Marshal for Option<Signature> {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        match self {
            Some(signature) => writer.value(signature),
            None => writer.value(&AlgorithmId::NULL),
        }
    }
}
