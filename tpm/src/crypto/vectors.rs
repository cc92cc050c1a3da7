// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading of test vectors: text files of `name = hex` lines, one blank line between records.

extern crate std;

use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;

use super::hash::HashAlgorithm;
use super::{CryptoError, Random};

/// The bytes that `text` writes in hexadecimal; white space is skipped.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|character| !character.is_whitespace())
        .map(|character| u8::try_from(character.to_digit(16).expect("a hex digit")).unwrap())
        .collect();
    assert_eq!(digits.len() % 2, 0, "an even number of hex digits");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// One record of a vector file.
pub(crate) struct Record(BTreeMap<String, String>);

impl Record {
    /// The value of `name` as it stands in the file.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("no field {name}"))
    }

    /// The bytes of `name`.
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        unhex(self.text(name))
    }

    /// The hash algorithm of the field "hash".
    pub(crate) fn hash(&self) -> HashAlgorithm {
        let id = u16::from_str_radix(self.text("hash"), 16).expect("hex digits");
        HashAlgorithm::from_id(id).expect("a hash algorithm")
    }

    /// The decimal number of `name`.
    pub(crate) fn number(&self, name: &str) -> usize {
        self.text(name).parse().expect("a decimal number")
    }
}

/// The records of a vector file. Lines that start with `#` are comments.
pub(crate) fn records(file: &str) -> Vec<Record> {
    let mut records = Vec::new();
    let mut fields = BTreeMap::new();
    for line in file.lines().filter(|line| !line.starts_with('#')).chain([""]) {
        if let Some((name, value)) = line.split_once('=') {
            fields.insert(name.trim().to_string(), value.trim().to_string());
        } else if !fields.is_empty() {
            records.push(Record(core::mem::take(&mut fields)));
        }
    }
    assert!(!records.is_empty(), "a vector file has records");
    records
}

/// A generator that gives out prepared bytes, then fails.
pub(crate) struct Prepared(Vec<u8>);

impl Prepared {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Random for Prepared {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        if bytes.len() > self.0.len() {
            return Err(CryptoError::Random);
        }
        let rest = self.0.split_off(bytes.len());
        bytes.copy_from_slice(&self.0);
        self.0 = rest;
        Ok(())
    }
}
