// SPDX-License-Identifier: MIT OR Apache-2.0
//! A packed, sorted list of named records in a buffer that never grows.
//!
//! The same bytes serve as the state in memory, as the body of a checkpoint, as the changes that a
//! transaction gathers, and as the text of a log record:
//!
//! ```text
//! ┌──────┬─────────────┬──────────────┬──────┬───────┐
//! │ kind │ name length │ value length │ name │ value │   … the next record, its name greater
//! │ u8   │ u8          │ u16          │      │       │
//! └──────┴─────────────┴──────────────┴──────┴───────┘
//! ```

extern crate alloc;
use alloc::vec::Vec;
use core::ops::Range;

use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Limit};
use crate::wire::{Reader, Writer};

/// The longest name of a record.
pub const MAX_NAME_BYTES: usize = 64;
/// The longest value of a record.
pub const MAX_VALUE_BYTES: usize = 16 << 10;
/// Bytes of a record beside its name and its value.
pub(crate) const RECORD_OVERHEAD_BYTES: usize = 4;

/// What a record in the list says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    Put(&'a [u8]),
    Delete,
}

impl<'a> Change<'a> {
    const PUT: u8 = 1;
    const DELETE: u8 = 2;

    fn kind(self) -> u8 {
        match self {
            Self::Put(_) => Self::PUT,
            Self::Delete => Self::DELETE,
        }
    }

    fn value(self) -> &'a [u8] {
        match self {
            Self::Put(value) => value,
            Self::Delete => &[],
        }
    }
}

/// Bytes that a record of this name and value takes.
pub(crate) fn record_bytes(name: &[u8], value: &[u8]) -> usize {
    RECORD_OVERHEAD_BYTES.saturating_add(name.len()).saturating_add(value.len())
}

/// Checks the lengths of a name and a value.
pub(crate) fn check_lengths(name: &[u8], value: &[u8]) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::EmptyName);
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(Error::Capacity(Limit::NameBytes));
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(Error::Capacity(Limit::ValueBytes));
    }
    Ok(())
}

/// Reads a list's records in order; stops at the first that is malformed.
pub(crate) struct Iter<'a> {
    reader: Reader<'a>,
    offset: usize,
}

impl<'a> Iter<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), offset: 0 }
    }
}

/// A record and where it lies in the list.
pub(crate) struct Located<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) change: Change<'a>,
    range: Range<usize>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Located<'a>;

    fn next(&mut self) -> Option<Located<'a>> {
        let kind = self.reader.u8()?;
        let name_bytes = usize::from(self.reader.u8()?);
        let value_bytes = usize::from(self.reader.u16()?);
        let name = self.reader.bytes(name_bytes)?;
        let value = self.reader.bytes(value_bytes)?;
        check_lengths(name, value).ok()?;
        let change = match kind {
            Change::PUT => Change::Put(value),
            Change::DELETE if value.is_empty() => Change::Delete,
            _ => return None,
        };
        let start = self.offset;
        self.offset = start.checked_add(record_bytes(name, value))?;
        Some(Located { name, change, range: start..self.offset })
    }
}

/// Whether `bytes` is a list that [`Records`] could have made.
pub(crate) fn is_well_formed(bytes: &[u8], deletions: bool) -> bool {
    let mut iter = Iter::new(bytes);
    let mut previous: &[u8] = &[];
    for located in iter.by_ref() {
        if located.name <= previous || (!deletions && located.change == Change::Delete) {
            return false;
        }
        previous = located.name;
    }
    // The iterator stops short of the end at a malformed record.
    iter.offset == bytes.len()
}

/// A list in its own memory.
pub(crate) struct Records {
    bytes: Zeroizing<Vec<u8>>,
    limit_bytes: usize,
}

impl Records {
    /// Allocates room for `limit_bytes` bytes once and for all.
    pub(crate) fn new(limit_bytes: usize) -> Result<Self, Error> {
        Ok(Self { bytes: crate::memory::reserve(limit_bytes)?, limit_bytes })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn iter(&self) -> Iter<'_> {
        Iter::new(&self.bytes)
    }

    /// Forgets all records; no byte of them remains.
    pub(crate) fn clear(&mut self) {
        self.bytes.as_mut_slice().zeroize();
        self.bytes.clear();
    }

    /// Appends the next part of a list, as a checkpoint is read. [`is_well_formed`] must be asked
    /// when the list is complete.
    pub(crate) fn append(&mut self, part: &[u8]) -> Result<(), Error> {
        if part.len() > self.limit_bytes.saturating_sub(self.bytes.len()) {
            return Err(Error::Capacity(Limit::StateBytes));
        }
        self.bytes.extend_from_slice(part);
        Ok(())
    }

    /// Where the record of this name is, or where it would be.
    fn locate(&self, name: &[u8]) -> Result<Located<'_>, usize> {
        let mut place = 0;
        for located in self.iter() {
            match located.name.cmp(name) {
                core::cmp::Ordering::Less => place = located.range.end,
                core::cmp::Ordering::Equal => return Ok(located),
                core::cmp::Ordering::Greater => break,
            }
        }
        Err(place)
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<Change<'_>> {
        self.locate(name).ok().map(|located| located.change)
    }

    /// Sets the record of this name, replacing an earlier one. Unchanged after an error.
    pub(crate) fn set(
        &mut self,
        name: &[u8],
        change: Change<'_>,
        limit: Limit,
    ) -> Result<(), Error> {
        let value = change.value();
        check_lengths(name, value)?;
        let (Ok(name_bytes), Ok(value_bytes)) =
            (u8::try_from(name.len()), u16::try_from(value.len()))
        else {
            return Err(Error::Capacity(limit));
        };
        let old = self.locate(name).map_or_else(|place| place..place, |located| located.range);
        let place = self.replace(old, record_bytes(name, value)).ok_or(Error::Capacity(limit))?;
        let mut writer = Writer::new(place);
        writer
            .bytes(&[change.kind(), name_bytes])
            .and_then(|()| writer.bytes(&value_bytes.to_le_bytes()))
            .and_then(|()| writer.bytes(name))
            .and_then(|()| writer.bytes(value))
            .ok_or(Error::Internal(crate::Invariant::BufferLength))
    }

    /// Removes the record of this name, if there is one.
    pub(crate) fn remove(&mut self, name: &[u8]) {
        if let Ok(range) = self.locate(name).map(|located| located.range) {
            // Shrinking always finds room.
            let removed = self.replace(range, 0).is_some();
            debug_assert!(removed, "a record that was located could not be removed");
        }
    }

    /// Makes the bytes at `old` as long as `new_bytes`, moving what follows; `None`, and nothing
    /// moved, when there is no room.
    fn replace(&mut self, old: Range<usize>, new_bytes: usize) -> Option<&mut [u8]> {
        let used = self.bytes.len();
        let end = old.start.checked_add(new_bytes)?;
        let after = end.checked_add(used.checked_sub(old.end)?)?;
        if after > self.limit_bytes {
            return None;
        }
        if after > used {
            self.bytes.resize(after, 0);
        }
        self.move_bytes(old.end, end, used.checked_sub(old.end)?)?;
        if after < used {
            self.bytes.get_mut(after..)?.zeroize();
            self.bytes.truncate(after);
        }
        self.bytes.get_mut(old.start..end)
    }

    /// Moves `count` bytes within the list; the places may overlap.
    fn move_bytes(&mut self, from: usize, to: usize, count: usize) -> Option<()> {
        if from == to {
            return Some(());
        }
        for step in 0..count {
            let offset = if to < from { step } else { count.checked_sub(step)?.checked_sub(1)? };
            let byte = *self.bytes.get(from.checked_add(offset)?)?;
            *self.bytes.get_mut(to.checked_add(offset)?)? = byte;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::{Change, MAX_NAME_BYTES, MAX_VALUE_BYTES, Records, is_well_formed};
    use crate::error::{Error, Limit};

    fn put(records: &mut Records, name: &str, value: &[u8]) -> Result<(), Error> {
        records.set(name.as_bytes(), Change::Put(value), Limit::StateBytes)
    }

    #[test]
    fn malformed_lists_are_refused() {
        let malformed: &[&[u8]] = &[
            &[1],
            &[1, 1, 0],
            &[1, 1, 0, 0],
            &[1, 1, 2, 0, b'a', 0],
            &[1, 0, 1, 0, 9],
            &[0, 1, 0, 0, b'a'],
            &[3, 1, 0, 0, b'a'],
            &[2, 1, 1, 0, b'a', 9],
            &[1, 1, 0, 0, b'b', 1, 1, 0, 0, b'a'],
            &[1, 1, 0, 0, b'a', 1, 1, 0, 0, b'a'],
            &[1, 1, 0, 0, b'a', 7],
            &[1, 1, 0xff, 0xff, b'a'],
        ];
        for list in malformed {
            assert!(!is_well_formed(list, true), "{list:?}");
        }
        assert!(!is_well_formed(&[2, 1, 0, 0, b'a'], false));
        assert!(is_well_formed(&[2, 1, 0, 0, b'a'], true));
        assert!(is_well_formed(&[], false));
    }

    #[test]
    fn names_and_values_beyond_their_limits_are_refused() {
        let mut records = Records::new(1 << 16).unwrap();
        let long_name = "n".repeat(MAX_NAME_BYTES + 1);
        assert_eq!(put(&mut records, &long_name, &[]), Err(Error::Capacity(Limit::NameBytes)));
        let long_value = vec![0; MAX_VALUE_BYTES + 1];
        assert_eq!(put(&mut records, "a", &long_value), Err(Error::Capacity(Limit::ValueBytes)));
        assert_eq!(put(&mut records, "", &[]), Err(Error::EmptyName));
        assert!(records.is_empty());
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let mut records = Records::new(20).unwrap();
        put(&mut records, "b", &[1; 10]).unwrap();
        let before = records.as_bytes().to_vec();
        assert_eq!(put(&mut records, "a", &[2]), Err(Error::Capacity(Limit::StateBytes)));
        assert_eq!(put(&mut records, "b", &[2; 16]), Err(Error::Capacity(Limit::StateBytes)));
        assert_eq!(records.as_bytes(), before);
        put(&mut records, "b", &[3; 15]).unwrap();
        assert_eq!(records.find(b"b"), Some(Change::Put(&[3; 15])));
    }

    #[test]
    fn records_stay_sorted_and_packed() {
        let mut records = Records::new(100).unwrap();
        for name in ["m", "a", "z", "mm", "b"] {
            put(&mut records, name, name.as_bytes()).unwrap();
            assert!(is_well_formed(records.as_bytes(), false));
        }
        put(&mut records, "m", &[9; 7]).unwrap();
        put(&mut records, "z", &[]).unwrap();
        records.remove(b"a");
        records.remove(b"nothing");
        let names: Vec<&[u8]> = records.iter().map(|located| located.name).collect();
        assert_eq!(names, [&b"b"[..], b"m", b"mm", b"z"]);
        assert_eq!(records.find(b"m"), Some(Change::Put(&[9; 7])));
        assert_eq!(records.find(b"z"), Some(Change::Put(&[])));
        assert_eq!(records.find(b"a"), None);
        assert_eq!(records.bytes(), 4 * 4 + 1 + 1 + 2 + 1 + 1 + 7 + 2);
    }
}
