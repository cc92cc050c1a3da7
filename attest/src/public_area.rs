// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public areas of TPM keys: TPMT_PUBLIC (TPM 2.0 Part 2, 12.2.4), as far as endorsement and
//! attestation keys have them.

use crate::{hash::Hash, reader::Reader};

/// Bytes of the longest public area that is read.
pub const PUBLIC_AREA_BYTES_MAX: usize = 1024;

const ALG_RSA: u16 = 0x0001;
const ALG_AES: u16 = 0x0006;
const ALG_NULL: u16 = 0x0010;
const ALG_RSASSA: u16 = 0x0014;
const ALG_RSAPSS: u16 = 0x0016;
const ALG_ECDSA: u16 = 0x0018;
const ALG_ECC: u16 = 0x0023;
const ALG_CFB: u16 = 0x0043;
const CURVE_P256: u16 = 0x0003;
const CURVE_P384: u16 = 0x0004;

/// Object attributes (Part 2, 8.3).
pub mod attribute {
    /// The key never leaves its TPM.
    pub const FIXED_TPM: u32 = 1 << 1;
    /// The key never leaves its parent.
    pub const FIXED_PARENT: u32 = 1 << 4;
    /// The TPM made the key's secrets.
    pub const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
    /// The key works only on what the TPM itself made.
    pub const RESTRICTED: u32 = 1 << 16;
    /// The key decrypts.
    pub const DECRYPT: u32 = 1 << 17;
    /// The key signs.
    pub const SIGN: u32 = 1 << 18;
}

/// The curves that are supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
}

impl Curve {
    const fn field_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }
}

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5.
    Rsassa(Hash),
    /// RSASSA-PSS.
    Rsapss(Hash),
    /// ECDSA.
    Ecdsa(Hash),
}

impl Scheme {
    /// The hash that what is signed goes through.
    #[must_use]
    pub const fn hash(self) -> Hash {
        match self {
            Self::Rsassa(hash) | Self::Rsapss(hash) | Self::Ecdsa(hash) => hash,
        }
    }
}

/// The public key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// RSA.
    Rsa {
        /// Big-endian.
        modulus: Vec<u8>,
        /// 65537 where the structure has zero.
        exponent: u32,
    },
    /// A point.
    Ecc {
        /// On which curve.
        curve: Curve,
        /// `04 ‖ x ‖ y`, of full length.
        point: Vec<u8>,
    },
}

/// A public area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicArea {
    /// Makes the key's Name.
    pub name_algorithm: Hash,
    /// See [`attribute`].
    pub attributes: u32,
    /// Bits of the AES key that a storage key protects with; `None` for a key that isn't one.
    pub symmetric_bits: Option<u16>,
    /// How it signs; `None` for a key that leaves it open.
    pub scheme: Option<Scheme>,
    /// The key.
    pub key: Key,
    bytes: Vec<u8>,
}

impl PublicArea {
    /// Reads a TPMT_PUBLIC; `None` when it isn't one of a key of a supported kind, or when
    /// something stands behind it.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > PUBLIC_AREA_BYTES_MAX {
            return None;
        }
        let mut reader = Reader::new(bytes);
        let kind = reader.be_u16()?;
        let name_algorithm = Hash::from_number(reader.be_u16()?)?;
        let attributes = reader.be_u32()?;
        let _policy = reader.sized()?;
        let symmetric_bits = parse_symmetric(&mut reader)?;
        let scheme = parse_scheme(&mut reader)?;
        let key = match kind {
            ALG_RSA => parse_rsa(&mut reader)?,
            ALG_ECC => parse_ecc(&mut reader)?,
            _ => return None,
        };
        let fits = matches!(
            (&key, scheme),
            (_, None)
                | (Key::Rsa { .. }, Some(Scheme::Rsassa(_) | Scheme::Rsapss(_)))
                | (Key::Ecc { .. }, Some(Scheme::Ecdsa(_)))
        );
        (fits && reader.is_empty()).then(|| Self {
            name_algorithm,
            attributes,
            symmetric_bits,
            scheme,
            key,
            bytes: bytes.to_vec(),
        })
    }

    /// Reads a TPM2B_PUBLIC, as tpm2-tools writes it, or a bare TPMT_PUBLIC.
    #[must_use]
    pub fn parse_either(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        match reader.sized() {
            Some(area) if reader.is_empty() => Self::parse(area),
            _ => Self::parse(bytes),
        }
    }

    /// The TPMT_PUBLIC as it was read.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key's Name (Part 1, 16): the algorithm's number and the digest of the public area.
    #[must_use]
    pub fn name(&self) -> Vec<u8> {
        let mut name = self.name_algorithm.number().to_be_bytes().to_vec();
        name.extend(self.name_algorithm.digest(&[&self.bytes]));
        name
    }

    /// Whether all of these attributes are set and none of those.
    #[must_use]
    pub const fn has(&self, set: u32, clear: u32) -> bool {
        self.attributes & set == set && self.attributes & clear == 0
    }

    /// What kind of key it is, for people.
    #[must_use]
    pub fn kind(&self) -> String {
        match &self.key {
            Key::Rsa { modulus, .. } => format!("RSA-{}", modulus.len() * 8),
            Key::Ecc { curve: Curve::P256, .. } => "P-256".to_owned(),
            Key::Ecc { curve: Curve::P384, .. } => "P-384".to_owned(),
        }
    }
}

/// TPMT_SYM_DEF_OBJECT: nothing, or AES in CFB mode.
fn parse_symmetric(reader: &mut Reader<'_>) -> Option<Option<u16>> {
    match reader.be_u16()? {
        ALG_NULL => Some(None),
        ALG_AES => {
            let bits = reader.be_u16()?;
            let mode = reader.be_u16()?;
            (matches!(bits, 128 | 192 | 256) && mode == ALG_CFB).then_some(Some(bits))
        }
        _ => None,
    }
}

fn parse_scheme(reader: &mut Reader<'_>) -> Option<Option<Scheme>> {
    let scheme = match reader.be_u16()? {
        ALG_NULL => return Some(None),
        ALG_RSASSA => Scheme::Rsassa,
        ALG_RSAPSS => Scheme::Rsapss,
        ALG_ECDSA => Scheme::Ecdsa,
        _ => return None,
    };
    Hash::from_number(reader.be_u16()?).map(scheme).map(Some)
}

fn parse_rsa(reader: &mut Reader<'_>) -> Option<Key> {
    let bits = reader.be_u16()?;
    let exponent = match reader.be_u32()? {
        0 => 65537,
        other => other,
    };
    let modulus = reader.sized()?.to_vec();
    // An even or short modulus isn't one; smaller keys than these nobody should believe.
    let is_sound = matches!(bits, 2048 | 3072 | 4096)
        && modulus.len() == usize::from(bits / 8)
        && modulus.first().is_some_and(|byte| byte & 0x80 != 0)
        && modulus.last().is_some_and(|byte| byte & 1 == 1)
        && exponent >= 65537
        && exponent & 1 == 1;
    is_sound.then_some(Key::Rsa { modulus, exponent })
}

fn parse_ecc(reader: &mut Reader<'_>) -> Option<Key> {
    let curve = match reader.be_u16()? {
        CURVE_P256 => Curve::P256,
        CURVE_P384 => Curve::P384,
        _ => return None,
    };
    // TPMT_KDF_SCHEME: such keys have none.
    if reader.be_u16()? != ALG_NULL {
        return None;
    }
    let mut point = vec![4];
    for _ in ["x", "y"] {
        let coordinate = reader.sized()?;
        let zeros = curve.field_bytes().checked_sub(coordinate.len())?;
        point.extend(std::iter::repeat_n(0, zeros));
        point.extend(coordinate);
    }
    // That the point is on the curve is checked where it is used.
    Some(Key::Ecc { curve, point })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A restricted ECDSA key on P-256 with this point.
    pub(crate) fn ecc_area(scheme: u16, symmetric: &[u8], attributes: u32) -> Vec<u8> {
        let mut area = vec![0x00, 0x23, 0x00, 0x0b];
        area.extend(attributes.to_be_bytes());
        area.extend([0, 0]);
        area.extend(symmetric);
        area.extend(scheme.to_be_bytes());
        if scheme != ALG_NULL {
            area.extend([0x00, 0x0b]);
        }
        area.extend([0x00, 0x03, 0x00, 0x10]);
        area.extend([0, 32]);
        area.extend([7; 32]);
        area.extend([0, 31]);
        area.extend([9; 31]);
        area
    }

    #[test]
    fn cut_or_longer_areas_are_refused() {
        let area = ecc_area(ALG_ECDSA, &[0, 0x10], attribute::SIGN);
        for length in 0..area.len() {
            assert_eq!(PublicArea::parse(&area[..length]), None, "{length}");
        }
        assert_eq!(PublicArea::parse(&[area.as_slice(), &[0]].concat()), None);
        assert!(PublicArea::parse(&area).is_some());
    }

    #[test]
    fn schemes_of_another_kind_of_key_are_refused() {
        assert_eq!(PublicArea::parse(&ecc_area(ALG_RSASSA, &[0, 0x10], 0)), None);
        assert_eq!(PublicArea::parse(&ecc_area(0x1a, &[0, 0x10], 0)), None);
        // SM4, AES with an odd key, AES in another mode.
        for symmetric in
            [[0, 0x13, 0, 128, 0, 0x43], [0, 6, 0, 129, 0, 0x43], [0, 6, 0, 128, 0, 0x44]]
        {
            assert_eq!(PublicArea::parse(&ecc_area(ALG_NULL, &symmetric, 0)), None);
        }
    }

    #[test]
    fn weak_rsa_keys_are_refused() {
        let area = |bits: u16, exponent: u32, first: u8, last: u8| {
            let mut area = vec![0, 1, 0, 0x0b, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0x10];
            area.extend(bits.to_be_bytes());
            area.extend(exponent.to_be_bytes());
            area.extend((bits / 8).to_be_bytes());
            let mut modulus = vec![0x55; usize::from(bits / 8)];
            modulus[0] = first;
            if let Some(place) = modulus.last_mut() {
                *place = last;
            }
            area.extend(modulus);
            PublicArea::parse(&area).is_some()
        };
        assert!(area(2048, 0, 0x80, 1));
        assert!(!area(1024, 0, 0x80, 1));
        assert!(!area(2048, 3, 0x80, 1));
        assert!(!area(2048, 65538, 0x80, 1));
        assert!(!area(2048, 0, 0x7f, 1));
        assert!(!area(2048, 0, 0x80, 2));
    }

    #[test]
    fn a_short_coordinate_is_padded_on_the_left() {
        let area = ecc_area(ALG_ECDSA, &[0, 0x10], 0);
        let Some(PublicArea { key: Key::Ecc { point, .. }, .. }) = PublicArea::parse(&area) else {
            panic!("a good area");
        };
        assert_eq!(point.len(), 65);
        assert_eq!(point[32..35], [7, 0, 9]);
        let mut sized = vec![0, u8::try_from(area.len()).expect("short")];
        sized.extend(&area);
        let parsed = PublicArea::parse_either(&sized).expect("a TPM2B");
        assert_eq!(parsed.as_bytes(), area);
        assert_eq!(parsed.name().len(), 34);
    }
}
