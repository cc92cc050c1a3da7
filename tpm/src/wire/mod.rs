// SPDX-License-Identifier: MIT OR Apache-2.0
//! The canonical form of TPM structures on the wire: big-endian, unpadded (Part 1, 9; Part 2, 4).
//!
//! A [`Reader`] can only shrink and a [`Writer`] can only fill what it was given, so no command can
//! make either leave its buffer. Errors are response codes; the number of the parameter, handle or
//! session at fault is added where the list is walked (see [`Parameters`]).

mod macros;
mod parameters;
mod reader;
mod writer;

pub(crate) use macros::{wire_bits, wire_enum};
pub use parameters::{ParameterList, Parameters};
pub use reader::Reader;
pub use writer::{Counter, Writer};

use crate::structure::response_code::ResponseCode;

/// The outcome of anything that a command can do.
pub type Result<T> = core::result::Result<T, ResponseCode>;

/// A structure that can be read from a command.
pub trait Unmarshal: Sized {
    /// Reads and validates one value; the reader then stands behind it.
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self>;
}

/// A structure that can be written into a response, a hash or a record.
pub trait Marshal {
    /// Writes the canonical form.
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()>;

    /// The octets that [`Marshal::marshal`] writes.
    fn marshalled_size(&self) -> Result<usize> {
        // Large enough for every structure of Part 2; what doesn't fit is a fault of ours.
        let mut scratch = [0; 4096];
        let mut writer = Writer::new(&mut scratch);
        self.marshal(&mut writer)?;
        Ok(writer.len())
    }
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Unmarshal for $integer {
            fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
                Ok(<$integer>::from_be_bytes(reader.array()?))
            }
        }

        impl Marshal for $integer {
            fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
                writer.bytes(&self.to_be_bytes())
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, i32);

/// TPMI_YES_NO (Part 2, 9.2): any octet but 0 and 1 is TPM_RC_VALUE.
impl Unmarshal for bool {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        match u8::unmarshal(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(ResponseCode::VALUE),
        }
    }
}

impl Marshal for bool {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        u8::from(*self).marshal(writer)
    }
}

/// Two values, one behind the other.
impl<A: Marshal, B: Marshal> Marshal for (A, B) {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.0)?;
        writer.value(&self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boolean_is_zero_or_one() {
        assert_eq!(bool::unmarshal(&mut Reader::new(&[2])), Err(ResponseCode::VALUE));
        assert_eq!(bool::unmarshal(&mut Reader::new(&[1])), Ok(true));
        assert_eq!(bool::unmarshal(&mut Reader::new(&[])), Err(ResponseCode::INSUFFICIENT));
    }

    #[test]
    fn integers_are_big_endian() {
        assert_eq!(u32::unmarshal(&mut Reader::new(&[1, 2, 3, 4])), Ok(0x0102_0304));
        assert_eq!(u32::unmarshal(&mut Reader::new(&[1, 2, 3])), Err(ResponseCode::INSUFFICIENT));
        assert_eq!(0x0102_0304_u32.marshalled_size(), Ok(4));
    }
}
