// SPDX-License-Identifier: MIT OR Apache-2.0
//! Little-endian fields in byte slices, without a way to reach past the end.

/// Takes fields from the front of a slice; `None` when it is too short.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

/// Puts fields into a slice from its front; `None` when there is no room.
pub(crate) struct Writer<'a> {
    rest: &'a mut [u8],
}

impl<'a> Writer<'a> {
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let rest = core::mem::take(&mut self.rest);
        let (place, rest) = rest.split_at_mut_checked(bytes.len())?;
        place.copy_from_slice(bytes);
        self.rest = rest;
        Some(())
    }

    /// Fills what remains with zeros.
    pub(crate) fn zero_rest(self) {
        self.rest.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, Writer};

    #[test]
    fn a_reader_refuses_to_run_past_the_end() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u32(), None);
        assert_eq!(reader.u16(), Some(0x0201));
        assert_eq!(reader.bytes(2), None);
        assert_eq!(reader.u8(), Some(3));
        assert_eq!(reader.u8(), None);
    }

    #[test]
    fn a_writer_refuses_to_run_past_the_end() {
        let mut place = [0xff; 5];
        let mut writer = Writer::new(&mut place);
        assert_eq!(writer.bytes(&[1, 2, 3]), Some(()));
        assert_eq!(writer.bytes(&[4, 5, 6]), None);
        assert_eq!(place, [1, 2, 3, 0xff, 0xff]);
    }

    #[test]
    fn a_writer_zeroes_what_is_left() {
        let mut place = [0xff; 5];
        let mut writer = Writer::new(&mut place);
        assert_eq!(writer.bytes(&[7]), Some(()));
        writer.zero_rest();
        assert_eq!(place, [7, 0, 0, 0, 0]);
    }
}
