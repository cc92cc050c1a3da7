// SPDX-License-Identifier: MIT OR Apache-2.0
//! The distinguished encoding rules (X.690), as far as certificates need them: tags of one octet,
//! definite lengths up to 65535.

use super::tag;
use crate::structure::response_code::ResponseCode;
use crate::wire::Result;

/// An element: its tag and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// Tag, length and content.
    pub(super) whole: &'a [u8],
}

/// Tags of more than one octet have all these bits.
const LONG_TAG: u8 = 0x1f;
/// The first octet of a length: in this octet, or how many octets follow.
const LONG_LENGTH: u8 = 0x80;

/// Takes the next element off `rest`: TPM_RC_VALUE for one that isn't encoded in the shortest way,
/// or that is cut off.
pub(super) fn next<'a>(rest: &mut &'a [u8]) -> Result<Element<'a>> {
    let wrong = ResponseCode::VALUE;
    let all = *rest;
    let (tag, length, behind) = match all {
        [tag, length, behind @ ..] if *length < LONG_LENGTH => (*tag, usize::from(*length), behind),
        [tag, 0x81, length, behind @ ..] if *length >= LONG_LENGTH => {
            (*tag, usize::from(*length), behind)
        }
        [tag, 0x82, high, low, behind @ ..] if *high != 0 => {
            (*tag, usize::from(u16::from_be_bytes([*high, *low])), behind)
        }
        _ => return Err(wrong),
    };
    if tag & LONG_TAG == LONG_TAG {
        return Err(wrong);
    }
    let (content, behind) = behind.split_at_checked(length).ok_or(wrong)?;
    let size = all.len().saturating_sub(behind.len());
    let whole = all.get(..size).ok_or(wrong)?;
    *rest = behind;
    Ok(Element { tag, content, whole })
}

/// The content of the next element, which must have this tag.
pub(super) fn expect<'a>(rest: &mut &'a [u8], tag: u8) -> Result<&'a [u8]> {
    let element = next(rest)?;
    if element.tag == tag { Ok(element.content) } else { Err(ResponseCode::VALUE) }
}

/// Writes elements, one behind the other. What doesn't fit is TPM_RC_FAILURE: callers provide for
/// the longest.
#[derive(Debug)]
pub struct DerWriter<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> DerWriter<'a> {
    /// Nothing yet.
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, length: 0 }
    }

    /// What is written.
    pub fn written(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// Octets written.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing is written.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Elements that are encoded already, or content.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        let end = self.length.checked_add(bytes.len()).ok_or(ResponseCode::FAILURE)?;
        let places = self.buffer.get_mut(self.length..end).ok_or(ResponseCode::FAILURE)?;
        places.iter_mut().zip(bytes).for_each(|(place, octet)| *place = *octet);
        self.length = end;
        Ok(())
    }

    /// An element with this content.
    pub fn element(&mut self, tag: u8, content: &[u8]) -> Result<()> {
        self.nested(tag, |inner| inner.raw(content))
    }

    /// An element whose content `fill` writes.
    pub fn nested(&mut self, tag: u8, fill: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let start = self.length;
        fill(self)?;
        let (header, size) = header(tag, self.length.saturating_sub(start))?;
        let header = header.get(..size).ok_or(ResponseCode::FAILURE)?;
        // Makes room behind the content, and moves the content there from its end on.
        let content = start..self.length;
        self.raw(header)?;
        for place in content.rev() {
            let octet = self.buffer.get(place).copied().unwrap_or_default();
            if let Some(moved) = self.buffer.get_mut(place.saturating_add(size)) {
                *moved = octet;
            }
        }
        let front = self.buffer.get_mut(start..self.length).ok_or(ResponseCode::FAILURE)?;
        front.iter_mut().zip(header).for_each(|(place, octet)| *place = *octet);
        Ok(())
    }

    /// An INTEGER that isn't negative, from its octets.
    pub fn unsigned(&mut self, number: &[u8]) -> Result<()> {
        let zeros = number.iter().take_while(|octet| **octet == 0).count();
        let (_, significant) = number.split_at_checked(zeros).unwrap_or_default();
        let is_padded = significant.first().is_none_or(|first| *first >= 0x80);
        self.nested(tag::INTEGER, |inner| {
            if is_padded {
                inner.raw(&[0])?;
            }
            inner.raw(significant)
        })
    }
}

/// Tag and length of an element with so much content, and how many octets of the array they are.
pub fn header(tag: u8, length: usize) -> Result<([u8; 4], usize)> {
    let length = u16::try_from(length).map_err(|_| ResponseCode::FAILURE)?;
    let [high, low] = length.to_be_bytes();
    Ok(match (high, low) {
        (0, low) if low < LONG_LENGTH => ([tag, low, 0, 0], 2),
        (0, low) => ([tag, 0x81, low, 0], 3),
        (high, low) => ([tag, 0x82, high, low], 4),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shortest_encoding_is_read() {
        for wrong in [
            &[][..],
            &[0x30],
            &[0x30, 1],
            &[0x30, 0x80],
            &[0x30, 0x81, 0x7f],
            &[0x30, 0x82, 0, 0x80],
            &[0x30, 0x83, 0, 0, 1],
            &[0x1f, 0x22, 0],
            &[0xff, 0],
        ] {
            let long = [wrong, &[0; 127]].concat();
            let mut rest = if wrong.len() < 3 { wrong } else { &long };
            assert_eq!(next(&mut rest), Err(ResponseCode::VALUE), "{wrong:x?}");
        }
        let mut rest = &[2, 1, 7, 5, 0][..];
        assert_eq!(expect(&mut rest, tag::INTEGER), Ok(&[7][..]));
        assert_eq!(expect(&mut rest, tag::INTEGER), Err(ResponseCode::VALUE));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for size in [0, 1, 127, 128, 255, 256, 1000] {
            let content = std::vec![0x5a; size];
            let mut buffer = [0; 1100];
            let mut writer = DerWriter::new(&mut buffer);
            writer.raw(&[5, 0]).unwrap();
            writer
                .nested(tag::SEQUENCE, |inner| inner.element(tag::OCTET_STRING, &content))
                .unwrap();
            let mut rest = writer.written();
            assert_eq!(expect(&mut rest, tag::NULL), Ok(&[][..]));
            let outer = next(&mut rest).unwrap();
            assert!(rest.is_empty());
            assert_eq!(outer.whole.len() + 2, writer.len());
            let mut rest = outer.content;
            assert_eq!(expect(&mut rest, tag::OCTET_STRING), Ok(&content[..]));
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn what_does_not_fit_is_a_fault() {
        let mut buffer = [0; 5];
        let mut writer = DerWriter::new(&mut buffer);
        let written = writer.nested(tag::SEQUENCE, |inner| inner.raw(&[0; 4]));
        assert_eq!(written, Err(ResponseCode::FAILURE));
        assert_eq!(writer.element(tag::SEQUENCE, &[0; 6]), Err(ResponseCode::FAILURE));
    }

    #[test]
    fn numbers_are_positive_and_short() {
        for (number, expected) in [
            (&[][..], &[2, 1, 0][..]),
            (&[0, 0], &[2, 1, 0]),
            (&[0, 0x7f], &[2, 1, 0x7f]),
            (&[0x80, 1], &[2, 3, 0, 0x80, 1]),
        ] {
            let mut buffer = [0; 8];
            let mut writer = DerWriter::new(&mut buffer);
            writer.unsigned(number).unwrap();
            assert_eq!(writer.written(), expected);
        }
    }
}
