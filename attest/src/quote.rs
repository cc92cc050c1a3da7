// SPDX-License-Identifier: MIT OR Apache-2.0
//! Quotes: TPMS_ATTEST of TPM2_Quote (TPM 2.0 Part 2, 10.12.12).

use std::collections::BTreeMap;

use crate::{hash::Hash, reader::Reader};

/// What a quote begins with: nobody but a TPM makes a restricted key sign it.
const GENERATED: u32 = 0xff54_4347;
/// TPM_ST_ATTEST_QUOTE.
const ATTEST_QUOTE: u16 = 0x8018;
/// Most banks that a selection may have.
const SELECTIONS_MAX: u32 = 16;
/// Most bytes that a bank's bitmap may have.
const SELECT_BYTES_MAX: u8 = 4;

/// The values of PCRs, by bank and number.
pub type PcrValues = BTreeMap<Hash, BTreeMap<u32, Vec<u8>>>;

/// What a quote says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// What the caller wanted in it.
    pub extra_data: Vec<u8>,
    /// Milliseconds that the TPM has been powered, over its whole life.
    pub clock_ms: u64,
    /// Starts of the TPM that lost its volatile state.
    pub reset_count: u32,
    /// Starts of the TPM that kept it.
    pub restart_count: u32,
    /// The firmware's version.
    pub firmware_version: u64,
    /// Banks in order, each with its PCRs.
    pub selections: Vec<(Hash, Vec<u32>)>,
    /// Over the values of the selected PCRs.
    pub pcr_digest: Vec<u8>,
}

/// Why a quote can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuoteError {
    /// It ends early, something stands behind it, or a number in it is out of range.
    Malformed,
    /// It isn't from a TPM, or isn't a quote.
    Kind,
}

impl Quote {
    /// Reads a TPMS_ATTEST.
    ///
    /// # Errors
    /// See [`QuoteError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, QuoteError> {
        let mut reader = Reader::new(bytes);
        let magic = reader.be_u32().ok_or(QuoteError::Malformed)?;
        let kind = reader.be_u16().ok_or(QuoteError::Malformed)?;
        if (magic, kind) != (GENERATED, ATTEST_QUOTE) {
            return Err(QuoteError::Kind);
        }
        parse_body(&mut reader).filter(|_| reader.is_empty()).ok_or(QuoteError::Malformed)
    }

    /// The digest that these values would give; `None` when one that is selected is missing.
    /// `hash` is that of the key that signs (Part 3, TPM2_Quote).
    #[must_use]
    pub fn digest_of(&self, values: &PcrValues, hash: Hash) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        for (bank, numbers) in &self.selections {
            for number in numbers {
                all.push(values.get(bank)?.get(number)?.as_slice());
            }
        }
        Some(hash.digest(&all))
    }

    /// The PCRs of a bank.
    pub fn selected(&self, bank: Hash) -> impl Iterator<Item = u32> + '_ {
        self.selections
            .iter()
            .filter(move |(hash, _)| *hash == bank)
            .flat_map(|(_, numbers)| numbers.iter().copied())
    }
}

fn parse_body(reader: &mut Reader<'_>) -> Option<Quote> {
    let _qualified_signer = reader.sized()?;
    let extra_data = reader.sized()?.to_vec();
    let clock_ms = reader.be_u64()?;
    let reset_count = reader.be_u32()?;
    let restart_count = reader.be_u32()?;
    let _is_safe = reader.byte()?;
    let firmware_version = reader.be_u64()?;
    let count = reader.be_u32()?;
    if count > SELECTIONS_MAX {
        return None;
    }
    let mut selections = Vec::new();
    for _ in 0..count {
        selections.push(parse_selection(reader)?);
    }
    let pcr_digest = reader.sized()?.to_vec();
    Some(Quote {
        extra_data,
        clock_ms,
        reset_count,
        restart_count,
        firmware_version,
        selections,
        pcr_digest,
    })
}

/// TPMS_PCR_SELECTION.
fn parse_selection(reader: &mut Reader<'_>) -> Option<(Hash, Vec<u32>)> {
    let hash = Hash::from_number(reader.be_u16()?)?;
    let size = reader.byte().filter(|size| *size <= SELECT_BYTES_MAX)?;
    let bitmap = reader.bytes(usize::from(size))?;
    let numbers = (0..u32::from(size) * 8)
        .zip(bitmap.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)))
        .filter_map(|(number, is_selected)| is_selected.then_some(number))
        .collect();
    Some((hash, numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote() -> Vec<u8> {
        let mut bytes = vec![0xff, 0x54, 0x43, 0x47, 0x80, 0x18, 0, 1, 0xaa, 0, 2, 1, 2];
        bytes.extend([0; 8]);
        bytes.extend([0, 0, 0, 5, 0, 0, 0, 6, 1]);
        bytes.extend(7_u64.to_be_bytes());
        bytes.extend([0, 0, 0, 1, 0, 0x0b, 3, 0x11, 0x02, 0]);
        bytes.extend([0, 2, 8, 9]);
        bytes
    }

    #[test]
    fn cut_and_longer_quotes_are_refused() {
        let quote = quote();
        for length in 0..quote.len() {
            assert_eq!(Quote::parse(&quote[..length]), Err(QuoteError::Malformed), "{length}");
        }
        assert_eq!(Quote::parse(&[quote, vec![0]].concat()), Err(QuoteError::Malformed));
    }

    #[test]
    fn what_is_no_quote_is_refused() {
        for (place, value) in [(0, 0), (3, 0x48), (4, 0), (5, 0x17)] {
            let mut bytes = quote();
            bytes[place] = value;
            assert_eq!(Quote::parse(&bytes), Err(QuoteError::Kind), "{place}");
        }
        let mut many = quote();
        many[38] = 0xff;
        assert_eq!(Quote::parse(&many), Err(QuoteError::Malformed));
    }

    #[test]
    fn a_quote_is_read() {
        let quote = Quote::parse(&quote()).expect("a good quote");
        assert_eq!(quote.extra_data, [1, 2]);
        assert_eq!((quote.reset_count, quote.restart_count), (5, 6));
        assert_eq!(quote.firmware_version, 7);
        assert_eq!(quote.selections, [(Hash::Sha256, vec![0, 4, 9])]);
        let mut values = PcrValues::new();
        assert_eq!(quote.digest_of(&values, Hash::Sha256), None);
        values.entry(Hash::Sha256).or_default().extend((0..10).map(|n| (n, vec![1; 32])));
        let expected = Hash::Sha256.digest(&[&[1; 96]]);
        assert_eq!(quote.digest_of(&values, Hash::Sha256), Some(expected));
    }
}
