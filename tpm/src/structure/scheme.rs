// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signing, encryption, key exchange and derivation schemes (Part 2, 11.1.15 to 11.2.3).

use super::algorithm::AlgorithmId;
use super::response_code::ResponseCode;
use crate::crypto::hash::HashAlgorithm;
use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer, wire_enum};

/// TPMT_SIG_SCHEME with a scheme (Part 2, 11.2.1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureScheme {
    /// HMAC by a keyed hash object.
    Hmac(HashAlgorithm),
    /// RSASSA-PKCS1-v1_5.
    Rsassa(HashAlgorithm),
    /// RSASSA-PSS.
    Rsapss(HashAlgorithm),
    /// ECDSA.
    Ecdsa(HashAlgorithm),
    /// ECDAA, with the counter of TPM2_Commit.
    Ecdaa(HashAlgorithm, u16),
    /// SM2.
    Sm2(HashAlgorithm),
    /// EC Schnorr.
    EcSchnorr(HashAlgorithm),
}

impl SignatureScheme {
    /// The scheme's algorithm.
    pub const fn algorithm(self) -> AlgorithmId {
        match self {
            Self::Hmac(_) => AlgorithmId::HMAC,
            Self::Rsassa(_) => AlgorithmId::RSASSA,
            Self::Rsapss(_) => AlgorithmId::RSAPSS,
            Self::Ecdsa(_) => AlgorithmId::ECDSA,
            Self::Ecdaa(..) => AlgorithmId::ECDAA,
            Self::Sm2(_) => AlgorithmId::SM2,
            Self::EcSchnorr(_) => AlgorithmId::EC_SCHNORR,
        }
    }

    /// The hash that the scheme signs.
    pub const fn hash(self) -> HashAlgorithm {
        match self {
            Self::Hmac(hash)
            | Self::Rsassa(hash)
            | Self::Rsapss(hash)
            | Self::Ecdsa(hash)
            | Self::Ecdaa(hash, _)
            | Self::Sm2(hash)
            | Self::EcSchnorr(hash) => hash,
        }
    }

    /// The scheme of an algorithm that signs; `None` for any other.
    fn of(algorithm: AlgorithmId, reader: &mut Reader<'_>) -> Result<Option<Self>> {
        Ok(Some(match algorithm {
            AlgorithmId::HMAC => Self::Hmac(reader.value()?),
            AlgorithmId::RSASSA => Self::Rsassa(reader.value()?),
            AlgorithmId::RSAPSS => Self::Rsapss(reader.value()?),
            AlgorithmId::ECDSA => Self::Ecdsa(reader.value()?),
            AlgorithmId::ECDAA => {
                let hash = reader.value()?;
                Self::Ecdaa(hash, reader.value()?)
            }
            AlgorithmId::SM2 => Self::Sm2(reader.value()?),
            AlgorithmId::EC_SCHNORR => Self::EcSchnorr(reader.value()?),
            _ => return Ok(None),
        }))
    }
}

impl Marshal for SignatureScheme {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.algorithm())?;
        writer.value(&self.hash())?;
        match self {
            Self::Ecdaa(_, count) => writer.value(count),
            _ => Ok(()),
        }
    }
}

/// TPMT_SIG_SCHEME: not TPM_ALG_NULL, and no algorithm that doesn't sign (TPM_RC_SCHEME).
impl Unmarshal for SignatureScheme {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let algorithm = reader.value()?;
        Self::of(algorithm, reader)?.ok_or(ResponseCode::SCHEME)
    }
}

/// TPMT_SIG_SCHEME+.
impl Unmarshal for Option<SignatureScheme> {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        match reader.value()? {
            AlgorithmId::NULL => Ok(None),
            id => SignatureScheme::of(id, reader)?.map(Some).ok_or(ResponseCode::SCHEME),
        }
    }
}

impl Marshal for Option<SignatureScheme> {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        match self {
            Some(scheme) => writer.value(scheme),
            None => writer.value(&AlgorithmId::NULL),
        }
    }
}

/// The scheme of an asymmetric key (TPMT_RSA_SCHEME, TPMT_ECC_SCHEME), when it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsymmetricScheme {
    /// A signing scheme (never HMAC).
    Signature(SignatureScheme),
    /// RSAES-PKCS1-v1_5.
    Rsaes,
    /// RSAES-OAEP with a hash.
    Oaep(HashAlgorithm),
    /// Diffie-Hellman.
    Ecdh(HashAlgorithm),
    /// MQV.
    EcMqv(HashAlgorithm),
}

impl AsymmetricScheme {
    /// The scheme's algorithm.
    pub const fn algorithm(self) -> AlgorithmId {
        match self {
            Self::Signature(scheme) => scheme.algorithm(),
            Self::Rsaes => AlgorithmId::RSAES,
            Self::Oaep(_) => AlgorithmId::OAEP,
            Self::Ecdh(_) => AlgorithmId::ECDH,
            Self::EcMqv(_) => AlgorithmId::EC_MQV,
        }
    }

    /// The signing scheme, if that is what it is.
    pub const fn signature(self) -> Option<SignatureScheme> {
        match self {
            Self::Signature(scheme) => Some(scheme),
            _ => None,
        }
    }

    fn of(algorithm: AlgorithmId, reader: &mut Reader<'_>) -> Result<Option<Self>> {
        Ok(Some(match algorithm {
            AlgorithmId::RSAES => Self::Rsaes,
            AlgorithmId::OAEP => Self::Oaep(reader.value()?),
            AlgorithmId::ECDH => Self::Ecdh(reader.value()?),
            AlgorithmId::EC_MQV => Self::EcMqv(reader.value()?),
            _ => return Ok(SignatureScheme::of(algorithm, reader)?.map(Self::Signature)),
        }))
    }
}

impl Marshal for AsymmetricScheme {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        match self {
            Self::Signature(scheme) => return writer.value(scheme),
            _ => writer.value(&self.algorithm())?,
        }
        match self {
            Self::Oaep(hash) | Self::Ecdh(hash) | Self::EcMqv(hash) => writer.value(hash),
            Self::Signature(_) | Self::Rsaes => Ok(()),
        }
    }
}

impl Marshal for Option<AsymmetricScheme> {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        match self {
            Some(scheme) => writer.value(scheme),
            None => writer.value(&AlgorithmId::NULL),
        }
    }
}

/// TPMT_RSA_SCHEME+ (and TPMT_RSA_DECRYPT+ in TPM2_RSA_Encrypt and TPM2_RSA_Decrypt).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RsaScheme(pub Option<AsymmetricScheme>);

impl Unmarshal for RsaScheme {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let algorithm = reader.value()?;
        match algorithm {
            AlgorithmId::NULL => Ok(Self(None)),
            AlgorithmId::RSASSA | AlgorithmId::RSAPSS | AlgorithmId::RSAES | AlgorithmId::OAEP => {
                AsymmetricScheme::of(algorithm, reader).map(Self)
            }
            _ => Err(ResponseCode::VALUE),
        }
    }
}

/// TPMT_RSA_DECRYPT+: an encryption scheme or none (TPM_RC_VALUE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RsaDecryptScheme(pub Option<AsymmetricScheme>);

impl Unmarshal for RsaDecryptScheme {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let algorithm = reader.value()?;
        match algorithm {
            AlgorithmId::NULL => Ok(Self(None)),
            AlgorithmId::RSAES | AlgorithmId::OAEP => {
                AsymmetricScheme::of(algorithm, reader).map(Self)
            }
            _ => Err(ResponseCode::VALUE),
        }
    }
}

/// TPMT_ECC_SCHEME+.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EccScheme(pub Option<AsymmetricScheme>);

impl Unmarshal for EccScheme {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let algorithm = reader.value()?;
        match algorithm {
            AlgorithmId::NULL => Ok(Self(None)),
            AlgorithmId::ECDSA
            | AlgorithmId::ECDAA
            | AlgorithmId::SM2
            | AlgorithmId::EC_SCHNORR
            | AlgorithmId::ECDH
            | AlgorithmId::EC_MQV => AsymmetricScheme::of(algorithm, reader).map(Self),
            _ => Err(ResponseCode::SCHEME),
        }
    }
}

wire_enum! {
    /// TPMI_ALG_KDF without TPM_ALG_NULL.
    KeyDerivation: u16, else KDF {
        /// Mask generation function 1.
        Mgf1 = 0x0007,
        /// Concatenation KDF of SP 800-56A.
        Sp800_56a = 0x0020,
        /// KDF2 of IEEE 1363a.
        Kdf2 = 0x0021,
        /// Counter mode of SP 800-108.
        Sp800_108 = 0x0022,
    }
}

/// TPMI_ALG_KDF+.
impl Unmarshal for Option<KeyDerivation> {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        match reader.value()? {
            AlgorithmId::NULL => Ok(None),
            AlgorithmId(id) => KeyDerivation::from_raw(id).map(Some).ok_or(ResponseCode::KDF),
        }
    }
}

impl Marshal for Option<KeyDerivation> {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.map_or(AlgorithmId::NULL.0, KeyDerivation::raw))
    }
}

/// TPMT_KDF_SCHEME+ (Part 2, 11.2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfScheme(pub Option<(KeyDerivation, HashAlgorithm)>);

impl Unmarshal for KdfScheme {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        match reader.value::<Option<KeyDerivation>>()? {
            None => Ok(Self(None)),
            Some(derivation) => Ok(Self(Some((derivation, reader.value()?)))),
        }
    }
}

impl Marshal for KdfScheme {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        match self.0 {
            None => writer.value(&AlgorithmId::NULL),
            Some((derivation, hash)) => {
                writer.value(&derivation)?;
                writer.value(&hash)
            }
        }
    }
}

/// TPMT_KEYEDHASH_SCHEME with a scheme (Part 2, 11.1.19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyedHashScheme {
    /// An HMAC key.
    Hmac(HashAlgorithm),
    /// A key for XOR obfuscation, whose derivation may be left open, or a derivation parent.
    Xor(HashAlgorithm, Option<KeyDerivation>),
}

/// TPMT_KEYEDHASH_SCHEME+: any other algorithm is TPM_RC_VALUE.
impl Unmarshal for Option<KeyedHashScheme> {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        match reader.value()? {
            AlgorithmId::NULL => Ok(None),
            AlgorithmId::HMAC => Ok(Some(KeyedHashScheme::Hmac(reader.value()?))),
            AlgorithmId::XOR => {
                let hash = reader.value()?;
                Ok(Some(KeyedHashScheme::Xor(hash, reader.value()?)))
            }
            _ => Err(ResponseCode::VALUE),
        }
    }
}

impl Marshal for Option<KeyedHashScheme> {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        match self {
            None => writer.value(&AlgorithmId::NULL),
            Some(KeyedHashScheme::Hmac(hash)) => {
                writer.value(&AlgorithmId::HMAC)?;
                writer.value(hash)
            }
            Some(KeyedHashScheme::Xor(hash, derivation)) => {
                writer.value(&AlgorithmId::XOR)?;
                writer.value(hash)?;
                writer.value(derivation)
            }
        }
    }
}
