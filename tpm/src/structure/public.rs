// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public areas (Part 2, 12.2): what an object is, and its Name.

use super::attributes::ObjectAttributes;
use super::buffer::Buffer;
use super::digest::Name;
use super::ecc::{EccCurve, EccPoint};
use super::response_code::ResponseCode;
use super::scheme::{AsymmetricScheme, EccScheme, KdfScheme, KeyedHashScheme, RsaScheme};
use super::symmetric::CipherDefinition;
use crate::crypto::hash::{Digest, HashAlgorithm, Hasher};
use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer, wire_enum};

/// Octets of the longest RSA modulus (4096 bits).
pub const RSA_MODULUS_SIZE_MAX: usize = 512;
/// Octets of the longest marshalled public area: RSA 4096 with SHA-512 and every scheme.
pub const PUBLIC_SIZE_MAX: usize = 640;

/// TPM2B_PUBLIC_KEY_RSA: a modulus, a message or a ciphertext.
pub type RsaBuffer = Buffer<RSA_MODULUS_SIZE_MAX>;

wire_enum! {
    /// TPMI_ALG_PUBLIC: kinds of objects. Any other value is TPM_RC_TYPE.
    ObjectType: u16, else TYPE {
        /// RSA key.
        Rsa = 0x0001,
        /// HMAC key, XOR key, derivation parent or sealed data.
        KeyedHash = 0x0008,
        /// Elliptic curve key.
        Ecc = 0x0023,
        /// Key of a block cipher.
        SymmetricCipher = 0x0025,
    }
}

wire_enum! {
    /// TPMI_RSA_KEY_BITS. Any other value is TPM_RC_VALUE.
    RsaKeyBits: u16, else VALUE {
        /// Only to load old keys.
        Bits1024 = 1024,
        /// 2048 bits.
        Bits2048 = 2048,
        /// 3072 bits.
        Bits3072 = 3072,
        /// 4096 bits.
        Bits4096 = 4096,
    }
}

/// TPMS_RSA_PARMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RsaParameters {
    /// The cipher that a restricted decryption key protects its children with.
    pub symmetric: Option<CipherDefinition>,
    /// The only scheme, or none: the command chooses.
    pub scheme: Option<AsymmetricScheme>,
    /// Bits of the modulus.
    pub key_bits: RsaKeyBits,
    /// The public exponent; zero means 65537.
    pub exponent: u32,
}

impl RsaParameters {
    /// The public exponent with zero replaced by what it means.
    pub const fn public_exponent(&self) -> u32 {
        if self.exponent == 0 { 65537 } else { self.exponent }
    }

    /// Octets of the modulus.
    pub const fn modulus_size(&self) -> usize {
        (self.key_bits.raw() / 8) as usize
    }
}

/// TPMS_ECC_PARMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EccParameters {
    /// The cipher that a restricted decryption key protects its children with.
    pub symmetric: Option<CipherDefinition>,
    /// The only scheme, or none: the command chooses.
    pub scheme: Option<AsymmetricScheme>,
    /// The curve.
    pub curve: EccCurve,
    /// A KDF for key exchange; nothing uses one yet, and only none is allowed in a key.
    pub kdf: KdfScheme,
}

/// TPMU_PUBLIC_PARMS with its selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicParameters {
    /// RSA key.
    Rsa(RsaParameters),
    /// Keyed hash object; without a scheme it may be sealed data.
    KeyedHash(Option<KeyedHashScheme>),
    /// Elliptic curve key.
    Ecc(EccParameters),
    /// Key of a block cipher.
    SymmetricCipher(CipherDefinition),
}

impl PublicParameters {
    /// The type of an object with these parameters.
    pub const fn object_type(&self) -> ObjectType {
        match self {
            Self::Rsa(_) => ObjectType::Rsa,
            Self::KeyedHash(_) => ObjectType::KeyedHash,
            Self::Ecc(_) => ObjectType::Ecc,
            Self::SymmetricCipher(_) => ObjectType::SymmetricCipher,
        }
    }

    /// The cipher with which a parent protects its children.
    pub const fn symmetric(&self) -> Option<CipherDefinition> {
        match self {
            Self::Rsa(parameters) => parameters.symmetric,
            Self::Ecc(parameters) => parameters.symmetric,
            Self::SymmetricCipher(definition) => Some(*definition),
            Self::KeyedHash(_) => None,
        }
    }

    fn of(object_type: ObjectType, reader: &mut Reader<'_>) -> Result<Self> {
        Ok(match object_type {
            ObjectType::KeyedHash => Self::KeyedHash(reader.value()?),
            ObjectType::SymmetricCipher => Self::SymmetricCipher(reader.value()?),
            ObjectType::Rsa => {
                let symmetric = reader.value()?;
                let RsaScheme(scheme) = reader.value()?;
                let key_bits = reader.value()?;
                Self::Rsa(RsaParameters { symmetric, scheme, key_bits, exponent: reader.value()? })
            }
            ObjectType::Ecc => {
                let symmetric = reader.value()?;
                let EccScheme(scheme) = reader.value()?;
                let curve = reader.value()?;
                Self::Ecc(EccParameters { symmetric, scheme, curve, kdf: reader.value()? })
            }
        })
    }

    fn marshal_behind_type(&self, writer: &mut Writer<'_>) -> Result<()> {
        match self {
            Self::KeyedHash(scheme) => writer.value(scheme),
            Self::SymmetricCipher(definition) => writer.value(definition),
            Self::Rsa(rsa) => {
                writer.value(&rsa.symmetric)?;
                writer.value(&rsa.scheme)?;
                writer.value(&rsa.key_bits)?;
                writer.value(&rsa.exponent)
            }
            Self::Ecc(ecc) => {
                writer.value(&ecc.symmetric)?;
                writer.value(&ecc.scheme)?;
                writer.value(&ecc.curve)?;
                writer.value(&ecc.kdf)
            }
        }
    }
}

/// TPMT_PUBLIC_PARMS: the type and the parameters.
impl Unmarshal for PublicParameters {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let object_type = reader.value()?;
        Self::of(object_type, reader)
    }
}

impl Marshal for PublicParameters {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.object_type())?;
        self.marshal_behind_type(writer)
    }
}

/// TPMU_PUBLIC_ID.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is no heap to put the modulus on")]
pub enum Unique {
    /// Of keyed hash objects and symmetric ciphers.
    Digest(Digest),
    /// The modulus.
    Rsa(RsaBuffer),
    /// The public point.
    Ecc(EccPoint),
}

impl Unique {
    fn of(object_type: ObjectType, reader: &mut Reader<'_>) -> Result<Self> {
        Ok(match object_type {
            ObjectType::KeyedHash | ObjectType::SymmetricCipher => Self::Digest(reader.value()?),
            ObjectType::Rsa => Self::Rsa(reader.value()?),
            ObjectType::Ecc => Self::Ecc(reader.value()?),
        })
    }
}

impl Marshal for Unique {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        match self {
            Self::Digest(digest) => writer.value(digest),
            Self::Rsa(modulus) => writer.value(modulus),
            Self::Ecc(point) => writer.value(point),
        }
    }
}

/// TPMT_PUBLIC+ (`name_algorithm` may be TPM_ALG_NULL; commands that need a Name refuse that).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Public {
    /// The algorithm of the Name.
    pub name_algorithm: Option<HashAlgorithm>,
    /// What the object may do.
    pub attributes: ObjectAttributes,
    /// The policy: a digest of `name_algorithm`, or empty.
    pub auth_policy: Digest,
    /// Type and parameters.
    pub parameters: PublicParameters,
    /// The unique value; of the kind that belongs to the type.
    pub unique: Unique,
}

impl Public {
    /// The object's type.
    pub const fn object_type(&self) -> ObjectType {
        self.parameters.object_type()
    }

    /// Whether all these attributes are set.
    pub const fn has(&self, attributes: ObjectAttributes) -> bool {
        self.attributes.contains(attributes)
    }

    /// Whether it is a restricted decryption key: a parent, if it is asymmetric or a cipher.
    pub const fn is_parent(&self) -> bool {
        self.has(ObjectAttributes::RESTRICTED.with(ObjectAttributes::DECRYPT))
            && !self.has(ObjectAttributes::SIGN_ENCRYPT)
            && self.name_algorithm.is_some()
    }

    /// The Name (Part 1, 16): algorithm and digest of the public area; empty without algorithm.
    pub fn name(&self) -> Result<Name> {
        let Some(algorithm) = self.name_algorithm else { return Ok(Name::EMPTY) };
        let mut buffer = [0; PUBLIC_SIZE_MAX];
        let mut writer = Writer::new(&mut buffer);
        writer.value(self)?;
        let mut hasher = Hasher::new(algorithm);
        hasher.update(writer.written());
        let mut name = Name::new(&algorithm.id().to_be_bytes())?;
        name.append(hasher.finish().as_bytes())?;
        Ok(name)
    }
}

impl Public {
    /// Reads everything up to the unique value, which a template of a derived object has not.
    pub fn read_without_unique(reader: &mut Reader<'_>) -> Result<Self> {
        let object_type = reader.value()?;
        let name_algorithm = reader.value()?;
        let attributes = reader.value()?;
        let auth_policy = reader.value()?;
        let parameters = PublicParameters::of(object_type, reader)?;
        let unique = Unique::Digest(Digest::EMPTY);
        Ok(Self { name_algorithm, attributes, auth_policy, parameters, unique })
    }
}

impl Unmarshal for Public {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let mut public = Self::read_without_unique(reader)?;
        public.unique = Unique::of(public.object_type(), reader)?;
        Ok(public)
    }
}

impl Marshal for Public {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.object_type())?;
        writer.value(&self.name_algorithm)?;
        writer.value(&self.attributes)?;
        writer.value(&self.auth_policy)?;
        self.parameters.marshal_behind_type(writer)?;
        writer.value(&self.unique)
    }
}

/// TPM2B_PUBLIC as a parameter: sized, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizedPublic(pub Public);

impl Unmarshal for SizedPublic {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let SizedPublicOrNull(public) = reader.value()?;
        if public.name_algorithm.is_none() {
            return Err(ResponseCode::HASH);
        }
        Ok(Self(public))
    }
}

/// TPM2B_PUBLIC+: the Name algorithm may be TPM_ALG_NULL (TPM2_LoadExternal).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizedPublicOrNull(pub Public);

impl Unmarshal for SizedPublicOrNull {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        reader.sized_value().map(Self)
    }
}

/// TPM2B_TEMPLATE: a public area that TPM2_CreateLoaded reads by the kind of the parent.
pub type Template = Buffer<PUBLIC_SIZE_MAX>;

#[cfg(test)]
mod tests {
    use super::*;

    /// The template of Linux's NULL primary: P-256, AES-128-CFB, no scheme.
    const STORAGE_KEY: &str = "0023000b000300720000000600800043001000030010\
                               00000000";

    fn bytes(hex: &str) -> ([u8; 64], usize) {
        let mut bytes = [0; 64];
        let digits = hex.as_bytes();
        for (place, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *place = u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
        }
        (bytes, digits.len() / 2)
    }

    #[test]
    fn every_truncation_of_a_template_is_refused() {
        let (template, length) = bytes(STORAGE_KEY);
        for cut in 0..length {
            let read = Public::unmarshal(&mut Reader::new(&template[..cut]));
            assert_eq!(read, Err(ResponseCode::INSUFFICIENT), "{cut}");
        }
    }

    #[test]
    fn a_template_survives_the_round_trip() {
        let (template, length) = bytes(STORAGE_KEY);
        let mut reader = Reader::new(&template[..length]);
        let public = Public::unmarshal(&mut reader).unwrap();
        assert!(reader.is_empty());
        assert!(public.is_parent());
        assert_eq!(public.object_type(), ObjectType::Ecc);
        let mut copy = [0; 64];
        let mut writer = Writer::new(&mut copy);
        writer.value(&public).unwrap();
        assert_eq!(writer.written(), &template[..length]);
        assert_eq!(public.name().unwrap().len(), 34);
    }

    #[test]
    fn unknown_types_and_curves_are_named() {
        let (mut template, length) = bytes(STORAGE_KEY);
        template[17] = 0xee;
        let read = Public::unmarshal(&mut Reader::new(&template[..length]));
        assert_eq!(read, Err(ResponseCode::SYMMETRIC).or(Err(ResponseCode::SCHEME)));
        let (mut template, length) = bytes(STORAGE_KEY);
        template[1] = 0x22;
        let read = Public::unmarshal(&mut Reader::new(&template[..length]));
        assert_eq!(read, Err(ResponseCode::TYPE));
        let (mut template, length) = bytes(STORAGE_KEY);
        template[19] = 0x02;
        let read = Public::unmarshal(&mut Reader::new(&template[..length]));
        assert_eq!(read, Err(ResponseCode::CURVE));
    }
}
