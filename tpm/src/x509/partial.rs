// SPDX-License-Identifier: MIT OR Apache-2.0
//! The partial certificate (Part 3, 18.8): a SEQUENCE of the fields of a TBSCertificate (RFC 5280,
//! 4.1) that the caller decides: signature (which may be left out), issuer, validity, subject, and
//! extensions. The TPM puts its own between them.

use super::der::next;
use super::tag;
use crate::structure::response_code::ResponseCode;
use crate::wire::Result;

/// The fields, each with its tag and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialCertificate<'a> {
    /// The algorithm of the signature; `None` leaves it to the TPM.
    pub signature: Option<&'a [u8]>,
    /// Who certifies.
    pub issuer: &'a [u8],
    /// From when until when.
    pub validity: &'a [u8],
    /// Who has the key.
    pub subject: &'a [u8],
    /// The extensions with their explicit tag.
    pub extensions: &'a [u8],
}

impl<'a> PartialCertificate<'a> {
    /// The fields of a partial certificate. What they hold is looked at only in the extensions.
    ///
    /// # Errors
    /// TPM_RC_SIZE if it isn't one SEQUENCE and nothing behind it, TPM_RC_VALUE if the fields are
    /// not those.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut rest = bytes;
        let outer = next(&mut rest)?;
        if outer.tag != tag::SEQUENCE || !rest.is_empty() {
            return Err(ResponseCode::SIZE);
        }
        let mut rest = outer.content;
        let mut sequence = || {
            let element = next(&mut rest)?;
            let is_sequence = element.tag == tag::SEQUENCE;
            if is_sequence { Ok(element.whole) } else { Err(ResponseCode::VALUE) }
        };
        let fields = [sequence()?, sequence()?, sequence()?];
        let fourth = next(&mut rest)?;
        let [first, second, third] = fields;
        let (signature, [issuer, validity, subject], extensions) = if fourth.tag == tag::SEQUENCE {
            (Some(first), [second, third, fourth.whole], next(&mut rest)?)
        } else {
            (None, fields, fourth)
        };
        if extensions.tag != tag::EXPLICIT_3 || !rest.is_empty() {
            return Err(ResponseCode::VALUE);
        }
        Ok(Self { signature, issuer, validity, subject, extensions: extensions.whole })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn parse(fields: &[&[u8]]) -> Result<(bool, Vec<u8>)> {
        let content = fields.concat();
        let bytes = [&[0x30, u8::try_from(content.len()).unwrap()][..], &content].concat();
        PartialCertificate::parse(&bytes)
            .map(|found| (found.signature.is_some(), found.subject.to_vec()))
    }

    #[test]
    fn its_fields_are_those_and_no_others() {
        let value = Err(ResponseCode::VALUE);
        let (a, b, c, d): (&[u8], &[u8], &[u8], &[u8]) =
            (&[0x30, 0], &[0x30, 1, 1], &[0x30, 2, 1, 2], &[0x30, 3, 1, 2, 3]);
        let extensions: &[u8] = &[0xa3, 2, 0x30, 0];
        assert_eq!(parse(&[]), value);
        assert_eq!(parse(&[a, b, c]), value);
        assert_eq!(parse(&[a, b, extensions]), value);
        assert_eq!(parse(&[a, b, c, d]), value);
        assert_eq!(parse(&[a, b, c, d, a, extensions]), value);
        assert_eq!(parse(&[a, b, c, extensions, extensions]), value);
        assert_eq!(parse(&[a, b, c, &[5, 0]]), value);
        assert_eq!(parse(&[a, &[5, 0], c, extensions]), value);
        assert_eq!(parse(&[a, b, c, extensions]), Ok((false, c.to_vec())));
        assert_eq!(parse(&[a, b, c, d, extensions]), Ok((true, d.to_vec())));
        let wrong = PartialCertificate::parse(&[0x30, 0, 0]);
        assert_eq!(wrong, Err(ResponseCode::SIZE));
        assert_eq!(PartialCertificate::parse(&[0x31, 0]), Err(ResponseCode::SIZE));
        assert_eq!(PartialCertificate::parse(&[0x30, 1]), Err(ResponseCode::VALUE));
    }
}
