// SPDX-License-Identifier: MIT OR Apache-2.0
//! Selections of PCRs (Part 2, 10.6 and 10.9.7).

use super::digest::List;
use super::response_code::ResponseCode;
use crate::crypto::hash::HashAlgorithm;
use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer};

/// PCRs in a bank (PC Client).
pub const PCR_COUNT: usize = 24;
/// Octets of a bit map of all PCRs: sizeofSelect is always this.
pub const PCR_SELECT_SIZE: usize = PCR_COUNT.div_ceil(8);
/// Selections that a list may have: one for each hash algorithm.
pub const PCR_SELECTIONS_MAX: usize = HashAlgorithm::ALL.len();

/// A bit map of PCRs, PCR 0 in the lowest bit of the first octet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PcrBitmap(pub [u8; PCR_SELECT_SIZE]);

impl PcrBitmap {
    /// Every PCR.
    pub const ALL: Self = Self([0xff; PCR_SELECT_SIZE]);

    /// Whether PCR `index` is selected.
    pub fn contains(self, index: usize) -> bool {
        self.0.get(index / 8).is_some_and(|octet| octet & (1 << (index % 8)) != 0)
    }

    /// Selects PCR `index`, if there is one.
    pub fn insert(&mut self, index: usize) {
        if let Some(octet) = self.0.get_mut(index / 8) {
            *octet |= 1 << (index % 8);
        }
    }

    /// Takes PCR `index` out.
    pub fn remove(&mut self, index: usize) {
        if let Some(octet) = self.0.get_mut(index / 8) {
            *octet &= !(1 << (index % 8));
        }
    }

    /// The selected PCRs in ascending order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..PCR_COUNT).filter(move |index| self.contains(*index))
    }

    /// Whether none is selected.
    pub fn is_empty(self) -> bool {
        self.0 == [0; PCR_SELECT_SIZE]
    }
}

/// TPMS_PCR_SELECT: a size octet and the bit map. A size that isn't [`PCR_SELECT_SIZE`] is
/// TPM_RC_VALUE: the fewest and the most octets are the same on a PC.
impl Unmarshal for PcrBitmap {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let size: u8 = reader.value()?;
        if usize::from(size) != PCR_SELECT_SIZE {
            return Err(ResponseCode::VALUE);
        }
        reader.array().map(Self)
    }
}

impl Marshal for PcrBitmap {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        #[expect(clippy::cast_possible_truncation, reason = "a constant of 3")]
        writer.value(&(PCR_SELECT_SIZE as u8))?;
        writer.bytes(&self.0)
    }
}

/// TPMS_PCR_SELECTION: PCRs of one bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcrSelection {
    /// The bank; not necessarily one that the TPM has.
    pub bank: HashAlgorithm,
    /// The PCRs.
    pub pcrs: PcrBitmap,
}

impl Unmarshal for PcrSelection {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let bank = reader.value()?;
        Ok(Self { bank, pcrs: reader.value()? })
    }
}

impl Marshal for PcrSelection {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.bank)?;
        writer.value(&self.pcrs)
    }
}

/// TPML_PCR_SELECTION.
pub type PcrSelectionList = List<PcrSelection, PCR_SELECTIONS_MAX>;

/// What stands in the unused places of a [`PcrSelectionList`].
pub const NO_SELECTION: PcrSelection =
    PcrSelection { bank: HashAlgorithm::Sha256, pcrs: PcrBitmap([0; PCR_SELECT_SIZE]) };

impl Unmarshal for PcrSelectionList {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        Self::read(reader, NO_SELECTION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_are_checked() {
        let read = |bytes: &[u8]| PcrSelectionList::unmarshal(&mut Reader::new(bytes));
        assert_eq!(read(&[0, 0, 0, 9]), Err(ResponseCode::SIZE));
        assert_eq!(read(&[0, 0, 0, 1, 0, 0x10, 3, 0, 0, 0]), Err(ResponseCode::HASH));
        assert_eq!(read(&[0, 0, 0, 1, 0, 0x0b, 2, 0, 0]), Err(ResponseCode::VALUE));
        assert_eq!(read(&[0, 0, 0, 1, 0, 0x0b, 4, 0, 0, 0, 0]), Err(ResponseCode::VALUE));
        let list = read(&[0, 0, 0, 1, 0, 0x0b, 3, 0x02, 0, 0x80]).unwrap();
        assert!(list[0].pcrs.iter().eq([1, 23]));
    }

    #[test]
    fn bits_beyond_the_last_pcr_do_not_exist() {
        let mut bitmap = PcrBitmap::default();
        bitmap.insert(24);
        assert!(bitmap.is_empty());
        assert!(!PcrBitmap::ALL.contains(24));
    }
}
