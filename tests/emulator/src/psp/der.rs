// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes DER (ITU-T X.690) into a fixed buffer.
//!
//! A value's length stands before it and depends on it, so everything is written from the end to
//! the front: whoever uses this writes the last field first.

/// Tags.
pub(super) mod tag {
    pub(in super::super) const BOOLEAN: u8 = 0x01;
    pub(in super::super) const INTEGER: u8 = 0x02;
    pub(in super::super) const BIT_STRING: u8 = 0x03;
    pub(in super::super) const OCTET_STRING: u8 = 0x04;
    pub(in super::super) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(in super::super) const UTF8_STRING: u8 = 0x0c;
    pub(in super::super) const IA5_STRING: u8 = 0x16;
    pub(in super::super) const UTC_TIME: u8 = 0x17;
    pub(in super::super) const GENERALIZED_TIME: u8 = 0x18;
    pub(in super::super) const SEQUENCE: u8 = 0x30;
    pub(in super::super) const SET: u8 = 0x31;
    /// Context-specific, constructed, with this number.
    pub(in super::super) const fn context(number: u8) -> u8 {
        0xa0 | number
    }
}

/// The buffer is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// What writing gives.
pub(super) type Written = Result<(), Full>;

/// A buffer that is filled from its end.
pub(super) struct BackwardWriter<const SIZE: usize> {
    buffer: [u8; SIZE],
    start: usize,
}

impl<const SIZE: usize> BackwardWriter<SIZE> {
    pub(super) const fn new() -> Self {
        Self { buffer: [0; SIZE], start: SIZE }
    }

    /// What was written so far.
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Puts these bytes before what is there.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> Written {
        let start = self.start.checked_sub(bytes.len()).ok_or(Full)?;
        self.buffer.get_mut(start..self.start).ok_or(Full)?.copy_from_slice(bytes);
        self.start = start;
        Ok(())
    }

    /// Puts a value, written by `content`, under a tag.
    pub(super) fn value(&mut self, tag: u8, content: impl FnOnce(&mut Self) -> Written) -> Written {
        let end = self.start;
        content(self)?;
        self.length(end - self.start)?;
        self.raw(&[tag])
    }

    /// Puts these bytes under a tag.
    pub(super) fn bytes_value(&mut self, tag: u8, bytes: &[u8]) -> Written {
        self.value(tag, |writer| writer.raw(bytes))
    }

    /// An INTEGER from its big-endian bytes, not negative.
    pub(super) fn integer(&mut self, big_endian: &[u8]) -> Written {
        let zeros = big_endian.iter().take_while(|&&byte| byte == 0).count();
        let digits = big_endian.get(zeros..).unwrap_or_default();
        self.value(tag::INTEGER, |writer| {
            writer.raw(digits)?;
            // A set high bit would make it negative, and zero needs a digit.
            match digits.first() {
                Some(first) if first & 0x80 == 0 => Ok(()),
                _ => writer.raw(&[0]),
            }
        })
    }

    /// A BIT STRING of whole bytes.
    pub(super) fn bit_string(&mut self, content: impl FnOnce(&mut Self) -> Written) -> Written {
        self.value(tag::BIT_STRING, |writer| {
            content(writer)?;
            writer.raw(&[0])
        })
    }

    fn length(&mut self, length: usize) -> Written {
        match u16::try_from(length).map_err(|_| Full)?.to_be_bytes() {
            [0, low @ ..0x80] => self.raw(&[low]),
            [0, low] => self.raw(&[0x81, low]),
            [high, low] => self.raw(&[0x82, high, low]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut writer = BackwardWriter::<4>::new();
        assert_eq!(writer.bytes_value(tag::OCTET_STRING, &[1, 2, 3]), Err(Full));
        let mut writer = BackwardWriter::<5>::new();
        assert_eq!(writer.bytes_value(tag::OCTET_STRING, &[1, 2, 3]), Ok(()));
        assert_eq!(writer.bytes(), [4, 3, 1, 2, 3]);
    }

    #[test]
    fn integers_are_minimal_and_not_negative() {
        for (number, expected) in [
            (&[0, 0][..], &[2, 1, 0][..]),
            (&[0, 0x7f], &[2, 1, 0x7f]),
            (&[0x80], &[2, 2, 0, 0x80]),
            (&[1, 0], &[2, 2, 1, 0]),
        ] {
            let mut writer = BackwardWriter::<8>::new();
            assert_eq!(writer.integer(number), Ok(()));
            assert_eq!(writer.bytes(), expected);
        }
    }

    #[test]
    fn lengths_take_the_fewest_bytes() {
        for (length, head) in [
            (0x7f, &[4, 0x7f][..]),
            (0x80, &[4, 0x81, 0x80]),
            (0xff, &[4, 0x81, 0xff]),
            (0x100, &[4, 0x82, 1, 0]),
        ] {
            let mut writer = BackwardWriter::<512>::new();
            let zeros = [0; 0x100];
            assert_eq!(writer.bytes_value(tag::OCTET_STRING, &zeros[..length]), Ok(()));
            assert!(writer.bytes().starts_with(head), "{length:#x}");
        }
    }
}
