// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2B buffers (Part 2, 10.4): a u16 size and up to `N` octets, held inline.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::response_code::ResponseCode;
use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer};

/// Up to `N` octets. Longer ones are TPM_RC_SIZE. Compared in constant time; wiped when dropped,
/// since any of them may hold a secret. Behind `length` there are only zeros, always: what a large
/// buffer with a short content costs is what the content costs.
#[derive(Clone)]
pub struct Buffer<const N: usize> {
    length: u16,
    bytes: [u8; N],
}

impl<const N: usize> Buffer<N> {
    /// No octets.
    pub const EMPTY: Self = Self { length: 0, bytes: [0; N] };

    /// The most octets that it holds.
    pub const CAPACITY: usize = N;

    /// A copy of `bytes`.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        const { assert!(N <= u16::MAX as usize, "a TPM2B has a 16-bit size") };
        let mut buffer = Self::EMPTY;
        buffer.bytes.get_mut(..bytes.len()).ok_or(ResponseCode::SIZE)?.copy_from_slice(bytes);
        buffer.length = u16::try_from(bytes.len()).map_err(|_| ResponseCode::SIZE)?;
        Ok(buffer)
    }

    /// `length` octets of zero.
    pub fn zeroed(length: usize) -> Result<Self> {
        if length > N {
            return Err(ResponseCode::SIZE);
        }
        let length = u16::try_from(length).map_err(|_| ResponseCode::SIZE)?;
        Ok(Self { length, bytes: [0; N] })
    }

    /// The octets that `fill` writes; more than `N` are a fault.
    pub fn written(fill: impl FnOnce(&mut Writer<'_>) -> Result<()>) -> Result<Self> {
        let mut buffer = Self::zeroed(N)?;
        let mut writer = Writer::new(&mut buffer.bytes);
        fill(&mut writer)?;
        let length = writer.len();
        // What was written and taken back.
        buffer.bytes.get_mut(length..).unwrap_or_default().zeroize();
        buffer.length = u16::try_from(length).map_err(|_| ResponseCode::FAILURE)?;
        Ok(buffer)
    }

    /// The octets.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The octets, to be changed in place.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..usize::from(self.length)).unwrap_or_default()
    }

    /// How many octets.
    pub const fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Appends octets, or TPM_RC_SIZE.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let start = self.len();
        let end = start.checked_add(bytes.len()).ok_or(ResponseCode::SIZE)?;
        self.bytes.get_mut(start..end).ok_or(ResponseCode::SIZE)?.copy_from_slice(bytes);
        self.length = u16::try_from(end).map_err(|_| ResponseCode::SIZE)?;
        Ok(())
    }

    /// Drops octets of zero at the end, as authorisation values are kept (Part 1, 19.6.5).
    #[must_use]
    pub fn without_trailing_zeros(mut self) -> Self {
        while let Some(0) = self.as_slice().last() {
            self.length = self.length.saturating_sub(1);
        }
        self
    }
}

impl<const N: usize> Default for Buffer<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> Zeroize for Buffer<N> {
    fn zeroize(&mut self) {
        self.as_mut_slice().zeroize();
        self.length.zeroize();
    }
}

impl<const N: usize> Drop for Buffer<N> {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl<const N: usize> PartialEq for Buffer<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice().ct_eq(other.as_slice()).into()
    }
}

impl<const N: usize> Eq for Buffer<N> {}

impl<const N: usize> fmt::Debug for Buffer<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The content may be secret.
        write!(formatter, "Buffer({} of {N} octets)", self.length)
    }
}

impl<const N: usize> core::ops::Deref for Buffer<N> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl<const N: usize> Unmarshal for Buffer<N> {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        Self::new(reader.sized(N)?.rest())
    }
}

impl<const N: usize> Marshal for Buffer<N> {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.sized_bytes(self.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_beyond_the_capacity_is_refused() {
        let mut reader = Reader::new(&[0, 3, 1, 2, 3]);
        assert_eq!(Buffer::<2>::unmarshal(&mut reader), Err(ResponseCode::SIZE));
        let mut reader = Reader::new(&[0, 2, 1]);
        assert_eq!(Buffer::<2>::unmarshal(&mut reader), Err(ResponseCode::INSUFFICIENT));
        assert_eq!(Buffer::<2>::zeroed(3), Err(ResponseCode::SIZE));
        let mut buffer = Buffer::<2>::EMPTY;
        assert_eq!(buffer.append(&[1, 2, 3]), Err(ResponseCode::SIZE));
    }

    #[test]
    fn behind_the_content_there_are_zeros() {
        let mut buffer = Buffer::<8>::new(&[1, 2, 3, 0, 0]).unwrap();
        buffer.append(&[0]).unwrap();
        assert_eq!(buffer.append(&[9; 3]), Err(ResponseCode::SIZE));
        let mut buffer = buffer.without_trailing_zeros();
        let taken_back = Buffer::<8>::written(|writer| {
            writer.bytes(&[1, 2, 3, 4])?;
            writer.truncate(2);
            Ok(())
        });
        assert_eq!(taken_back.unwrap().bytes, [1, 2, 0, 0, 0, 0, 0, 0]);
        let too_long = Buffer::<8>::written(|writer| writer.bytes(&[1; 9]));
        assert_eq!(too_long, Err(ResponseCode::FAILURE));
        assert_eq!((buffer.len(), buffer.bytes), (3, [1, 2, 3, 0, 0, 0, 0, 0]));
        buffer.zeroize();
        assert_eq!((buffer.len(), buffer.bytes), (0, [0; 8]));
    }

    #[test]
    fn trailing_zeros_are_no_part_of_an_authorisation_value() {
        let value = Buffer::<4>::new(&[1, 0, 2, 0]).unwrap().without_trailing_zeros();
        assert_eq!(value.as_slice(), [1, 0, 2]);
        let value = Buffer::<4>::new(&[0, 0]).unwrap().without_trailing_zeros();
        assert!(value.is_empty());
    }
}
