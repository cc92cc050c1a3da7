// SPDX-License-Identifier: MIT OR Apache-2.0
//! The extensions of a certificate that TPM2_CertifyX509 vouches for (Part 3, 18.8; Part 2, 8.11):
//! what the key may be used for, which must be there, and its attributes, which may.

use super::der::{expect, next};
use super::tag;
use crate::structure::attributes::ObjectAttributes;
use crate::structure::response_code::ResponseCode;
use crate::wire::Result;

/// id-ce-keyUsage, 2.5.29.15.
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
/// tcg-tpmaObject, 2.23.133.10.1.1.1.
const OBJECT_ATTRIBUTES: &[u8] = &[0x67, 0x81, 0x05, 0x0a, 0x01, 0x01, 0x01];

/// TPMA_X509_KEY_USAGE: the bits of RFC 5280, 4.2.1.3, the first one highest.
mod usage {
    pub(super) const DIGITAL_SIGNATURE: u32 = 1 << 31;
    pub(super) const NON_REPUDIATION: u32 = 1 << 30;
    pub(super) const KEY_ENCIPHERMENT: u32 = 1 << 29;
    pub(super) const DATA_ENCIPHERMENT: u32 = 1 << 28;
    pub(super) const KEY_AGREEMENT: u32 = 1 << 27;
    pub(super) const KEY_CERT_SIGN: u32 = 1 << 26;
    pub(super) const CRL_SIGN: u32 = 1 << 25;
    pub(super) const ENCIPHER_ONLY: u32 = 1 << 24;
    pub(super) const DECIPHER_ONLY: u32 = 1 << 23;
}

const SIGNS: u32 = usage::DIGITAL_SIGNATURE | usage::KEY_CERT_SIGN | usage::CRL_SIGN;
const DECRYPTS: u32 = usage::KEY_ENCIPHERMENT
    | usage::DATA_ENCIPHERMENT
    | usage::KEY_AGREEMENT
    | usage::ENCIPHER_ONLY
    | usage::DECIPHER_ONLY;
/// Every bit that has a meaning.
const DEFINED: u32 = SIGNS | DECRYPTS | usage::NON_REPUDIATION;

/// Each of these uses demands the attribute.
const DEMANDS: [(u32, ObjectAttributes); 4] = [
    (SIGNS, ObjectAttributes::SIGN_ENCRYPT),
    (DECRYPTS, ObjectAttributes::DECRYPT),
    (usage::NON_REPUDIATION, ObjectAttributes::FIXED_TPM),
    (usage::KEY_AGREEMENT, ObjectAttributes::RESTRICTED),
];

/// Checks the extensions, with their explicit tag, of a certificate for a key.
///
/// # Errors
/// TPM_RC_VALUE if they can't be read, if there is no keyUsage, or one that the key's attributes
/// deny; TPM_RC_ATTRIBUTES if they state attributes and the key's are others.
pub fn check_extensions(extensions: &[u8], attributes: ObjectAttributes) -> Result<()> {
    let mut rest = extensions;
    let mut list = expect(&mut rest, tag::EXPLICIT_3)?;
    let mut entries = expect(&mut list, tag::SEQUENCE)?;
    if !rest.is_empty() || !list.is_empty() {
        return Err(ResponseCode::VALUE);
    }
    let (mut usage, mut stated) = (None, None);
    while !entries.is_empty() {
        let (identifier, content) = extension(expect(&mut entries, tag::SEQUENCE)?)?;
        let place = match identifier {
            KEY_USAGE => &mut usage,
            OBJECT_ATTRIBUTES => &mut stated,
            _ => continue,
        };
        // The second of two would be one that nobody has looked at.
        if place.replace(bits(content)?).is_some() {
            return Err(ResponseCode::VALUE);
        }
    }
    if stated.is_some_and(|stated| stated != attributes.raw()) {
        return Err(ResponseCode::ATTRIBUTES);
    }
    let usage = usage.filter(|usage| usage & !DEFINED == 0).ok_or(ResponseCode::VALUE)?;
    let is_denied = |(uses, demanded): &(u32, ObjectAttributes)| {
        usage & uses != 0 && !attributes.contains(*demanded)
    };
    if DEMANDS.iter().any(is_denied) { Err(ResponseCode::VALUE) } else { Ok(()) }
}

/// Extension: identifier, perhaps whether it is critical, and a value in an OCTET STRING.
fn extension(mut content: &[u8]) -> Result<(&[u8], &[u8])> {
    let identifier = expect(&mut content, tag::OBJECT_IDENTIFIER)?;
    let mut value = next(&mut content)?;
    if value.tag == tag::BOOLEAN {
        value = next(&mut content)?;
    }
    if value.tag != tag::OCTET_STRING || !content.is_empty() {
        return Err(ResponseCode::VALUE);
    }
    Ok((identifier, value.content))
}

/// The bits of a BIT STRING of up to 32, the first one highest.
fn bits(mut value: &[u8]) -> Result<u32> {
    let content = expect(&mut value, tag::BIT_STRING)?;
    let (unused, octets) = content.split_first().ok_or(ResponseCode::VALUE)?;
    let mut all = [0; 4];
    let place = all.get_mut(..octets.len()).ok_or(ResponseCode::VALUE)?;
    place.iter_mut().zip(octets).for_each(|(place, octet)| *place = *octet);
    let last = octets.last().copied().unwrap_or_default();
    let is_padded = *unused < 8 && last.trailing_zeros() >= u32::from(*unused);
    let is_right = is_padded && value.is_empty() && (*unused == 0 || !octets.is_empty());
    if is_right { Ok(u32::from_be_bytes(all)) } else { Err(ResponseCode::VALUE) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::DerWriter;
    use std::vec::Vec;

    fn one(identifier: &[u8], bits: &[u8]) -> Vec<u8> {
        let mut buffer = [0; 64];
        let mut writer = DerWriter::new(&mut buffer);
        writer
            .nested(tag::SEQUENCE, |inner| {
                inner.element(tag::OBJECT_IDENTIFIER, identifier)?;
                inner.element(tag::BOOLEAN, &[0xff])?;
                inner.nested(tag::OCTET_STRING, |value| value.element(tag::BIT_STRING, bits))
            })
            .unwrap();
        writer.written().to_vec()
    }

    fn check(entries: &[&[u8]], attributes: ObjectAttributes) -> Result<()> {
        let mut buffer = [0; 256];
        let mut writer = DerWriter::new(&mut buffer);
        writer
            .nested(tag::EXPLICIT_3, |outer| outer.element(tag::SEQUENCE, &entries.concat()))
            .unwrap();
        check_extensions(writer.written(), attributes)
    }

    #[test]
    fn a_usage_must_be_there_and_right() {
        let value = Err(ResponseCode::VALUE);
        let sign = ObjectAttributes::SIGN_ENCRYPT;
        let decrypt = ObjectAttributes::DECRYPT;
        let restricted = decrypt.with(ObjectAttributes::RESTRICTED);
        let usage = |bits: &[u8]| one(KEY_USAGE, bits);
        assert_eq!(check(&[], sign), value);
        for (bits, attributes, is_right) in [
            (&[7, 0x80][..], sign, true),
            (&[7, 0x80], decrypt, false),
            (&[2, 0x04], sign, true),
            (&[1, 0x06], decrypt, false),
            (&[5, 0x20], sign, false),
            (&[5, 0x20], decrypt, true),
            (&[3, 0x08], decrypt, false),
            (&[3, 0x08], restricted, true),
            (&[6, 0x40], sign, false),
            (&[6, 0x40], sign.with(ObjectAttributes::FIXED_TPM), true),
            (&[7, 0, 0x80], sign, false),
            (&[7, 0, 0x80], decrypt, true),
        ] {
            let checked = check(&[&usage(bits)], attributes);
            assert_eq!(checked, if is_right { Ok(()) } else { value }, "{bits:x?}");
        }
        let twice = usage(&[7, 0x80]);
        assert_eq!(check(&[&twice, &twice], sign), value);
    }

    #[test]
    fn bits_are_well_formed() {
        let sign = ObjectAttributes::SIGN_ENCRYPT;
        for wrong in [&[][..], &[8, 0x80], &[1], &[1, 0x81], &[0, 0x80, 0, 0, 0, 0], &[0, 0, 1]] {
            let checked = check(&[&one(KEY_USAGE, wrong)], sign);
            assert_eq!(checked, Err(ResponseCode::VALUE), "{wrong:x?}");
        }
        assert_eq!(check(&[&[5, 0]], sign), Err(ResponseCode::VALUE));
        assert_eq!(check_extensions(&[], sign), Err(ResponseCode::VALUE));
        assert_eq!(check_extensions(&[0xa3, 2, 0x30, 0, 5, 0], sign), Err(ResponseCode::VALUE));
    }

    #[test]
    fn stated_attributes_are_the_keys() {
        let sign = ObjectAttributes::SIGN_ENCRYPT.with(ObjectAttributes::FIXED_TPM);
        let usage = one(KEY_USAGE, &[7, 0x80]);
        let stated = one(OBJECT_ATTRIBUTES, &[0, 0, 4, 0, 2]);
        assert_eq!(check(&[&stated], sign), Err(ResponseCode::VALUE));
        assert_eq!(check(&[&stated, &usage], sign), Ok(()));
        let other = sign.with(ObjectAttributes::NO_DA);
        assert_eq!(check(&[&usage, &stated], other), Err(ResponseCode::ATTRIBUTES));
        let unknown = one(&[0x55, 0x1d, 0x13], &[0]);
        assert_eq!(check(&[&unknown, &usage], other), Ok(()));
    }
}
