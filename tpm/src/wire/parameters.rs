// SPDX-License-Identifier: MIT OR Apache-2.0
//! The parameter area of a command, read as a whole: all parameters or an error that carries the
//! number of the one at fault (Part 2, 6.6.2), and never an octet too many.

use super::{Reader, Result, Unmarshal};
use crate::structure::response_code::ResponseCode;

/// The parameter area, not read yet.
#[derive(Clone, Debug)]
pub struct Parameters<'a> {
    reader: Reader<'a>,
}

impl<'a> Parameters<'a> {
    /// The parameters in `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes) }
    }

    /// Reads the complete list: a tuple of the parameters' types, `()` when there are none.
    pub fn read<T: ParameterList>(mut self) -> Result<T> {
        let list = T::read(&mut self.reader)?;
        self.reader.finish()?;
        Ok(list)
    }

    /// Reads a list of one TPM2B of up to `maximum` octets, without a copy.
    pub fn read_octets(mut self, maximum: usize) -> Result<&'a [u8]> {
        let octets = self.reader.sized(maximum).map_err(|code| code.in_parameter(1))?;
        self.reader.finish()?;
        Ok(octets.rest())
    }

    /// Reads the complete list from an area that may be padded to exactly `padded_size` octets.
    pub fn read_padded<T: ParameterList>(mut self, padded_size: usize) -> Result<T> {
        let is_padded = self.reader.remaining() == padded_size;
        let list = T::read(&mut self.reader)?;
        if !is_padded {
            self.reader.finish()?;
        }
        Ok(list)
    }
}

/// A tuple of parameters in the order of Part 3's tables.
pub trait ParameterList: Sized {
    /// Reads them, numbering errors from 1.
    fn read(reader: &mut Reader<'_>) -> Result<Self>;
}

fn numbered<T: Unmarshal>(reader: &mut Reader<'_>, number: u8) -> Result<T> {
    T::unmarshal(reader).map_err(|code: ResponseCode| code.in_parameter(number))
}

impl ParameterList for () {
    fn read(_: &mut Reader<'_>) -> Result<Self> {
        Ok(())
    }
}

macro_rules! tuples {
    ($($($name:ident = $number:literal),+;)*) => {$(
        impl<$($name: Unmarshal),+> ParameterList for ($($name,)+) {
            fn read(reader: &mut Reader<'_>) -> Result<Self> {
                Ok(($(numbered::<$name>(reader, $number)?,)+))
            }
        }
    )*};
}

tuples! {
    A = 1;
    A = 1, B = 2;
    A = 1, B = 2, C = 3;
    A = 1, B = 2, C = 3, D = 4;
    A = 1, B = 2, C = 3, D = 4, E = 5;
    A = 1, B = 2, C = 3, D = 4, E = 5, F = 6;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_carry_the_number_of_the_parameter() {
        let read = Parameters::new(&[0, 1, 9]).read::<(u16, bool)>();
        assert_eq!(read, Err(ResponseCode::VALUE.in_parameter(2)));
        let read = Parameters::new(&[0]).read::<(u16,)>();
        assert_eq!(read, Err(ResponseCode::INSUFFICIENT.in_parameter(1)));
    }

    #[test]
    fn an_octet_too_many_is_refused() {
        assert_eq!(Parameters::new(&[0, 1, 1]).read::<(u16,)>(), Err(ResponseCode::SIZE));
        assert_eq!(Parameters::new(&[0]).read::<()>(), Err(ResponseCode::SIZE));
        let octets = |area: &'static [u8]| Parameters::new(area).read_octets(2);
        assert_eq!(octets(&[0, 1, 7, 7]), Err(ResponseCode::SIZE));
        assert_eq!(octets(&[0, 3, 7, 7, 7]), Err(ResponseCode::SIZE.in_parameter(1)));
        assert_eq!(octets(&[0, 2, 7]), Err(ResponseCode::INSUFFICIENT.in_parameter(1)));
        assert_eq!(octets(&[0, 2, 7, 8]), Ok(&[7, 8][..]));
        assert_eq!(Parameters::new(&[0, 5]).read::<(u16,)>(), Ok((5,)));
        let padded = |size| Parameters::new(&[0, 5, 9]).read_padded::<(u16,)>(size);
        assert_eq!(padded(2), Err(ResponseCode::SIZE));
        assert_eq!(padded(4), Err(ResponseCode::SIZE));
        assert_eq!(padded(3), Ok((5,)));
    }
}
