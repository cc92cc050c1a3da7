// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads a byte slice that a guest chose; running out of octets is TPM_RC_INSUFFICIENT.

use super::{Result, Unmarshal};
use crate::structure::response_code::ResponseCode;

/// The part of a buffer that is not read yet.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of the whole slice.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `length` octets.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ResponseCode::INSUFFICIENT)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` octets.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(ResponseCode::INSUFFICIENT)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// The next value.
    pub fn value<T: Unmarshal>(&mut self) -> Result<T> {
        T::unmarshal(self)
    }

    /// A u16 size and that many octets, as a reader of their own; more than `maximum` is
    /// TPM_RC_SIZE.
    pub fn sized(&mut self, maximum: usize) -> Result<Reader<'a>> {
        let size = usize::from(u16::unmarshal(self)?);
        if size > maximum {
            return Err(ResponseCode::SIZE);
        }
        Ok(Reader::new(self.take(size)?))
    }

    /// A TPM2B that holds one structure: the size must be exact, or it is TPM_RC_SIZE.
    pub fn sized_value<T: Unmarshal>(&mut self) -> Result<T> {
        let mut inner = self.sized(usize::from(u16::MAX))?;
        if inner.is_empty() {
            return Err(ResponseCode::SIZE);
        }
        let value = inner.value()?;
        inner.finish()?;
        Ok(value)
    }

    /// What is left, without reading it.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Octets left.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Refuses octets that nobody asked for (TPM_RC_SIZE).
    pub const fn finish(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(ResponseCode::SIZE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_beyond_the_buffer_is_insufficient() {
        let mut reader = Reader::new(&[0xff, 0xff, 1]);
        assert_eq!(reader.sized(0xffff).map(|_| ()), Err(ResponseCode::INSUFFICIENT));
        let mut reader = Reader::new(&[0, 3, 1, 2, 3]);
        assert_eq!(reader.sized(2).map(|_| ()), Err(ResponseCode::SIZE));
    }

    #[test]
    fn a_sized_structure_is_exact() {
        assert_eq!(Reader::new(&[0, 0]).sized_value::<u8>(), Err(ResponseCode::SIZE));
        assert_eq!(Reader::new(&[0, 2, 1, 2]).sized_value::<u8>(), Err(ResponseCode::SIZE));
        assert_eq!(Reader::new(&[0, 1, 7]).sized_value::<u8>(), Ok(7));
    }
}
