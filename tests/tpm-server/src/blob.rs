// SPDX-License-Identifier: MIT OR Apache-2.0
//! All records of a storage as one value, to be carried to another server.
//!
//! ```text
//! blob   = magic record*
//! record = kind:u8  number:u32  size:u32  octets
//! ```

use tpm::platform::{PlatformFault, RECORD_SIZE_MAX, RecordKind, RecordName, Storage};

const MAGIC: &[u8; 16] = b"macadamia blob 1";

/// Reads everything.
pub(crate) fn export(storage: &mut dyn Storage) -> Result<Vec<u8>, PlatformFault> {
    let mut blob = MAGIC.to_vec();
    let mut record = [0; RECORD_SIZE_MAX];
    let mut behind = None;
    while let Some(name) = storage.next(behind)? {
        let length = storage.read(name, &mut record)?.ok_or(PlatformFault)?;
        let octets = record.get(..length).ok_or(PlatformFault)?;
        blob.push(name.kind as u8);
        blob.extend(name.number.to_be_bytes());
        blob.extend(u32::try_from(length).map_err(|_| PlatformFault)?.to_be_bytes());
        blob.extend(octets);
        behind = Some(name);
    }
    Ok(blob)
}

/// Puts a blob's records in the place of everything that is there, in one commit. Octets that are
/// no blob change nothing.
pub(crate) fn import(storage: &mut dyn Storage, blob: &[u8]) -> Result<(), PlatformFault> {
    let records = parse(blob).ok_or(PlatformFault)?;
    let mut behind = None;
    while let Some(name) = storage.next(behind)? {
        storage.delete(name)?;
        behind = Some(name);
    }
    for (name, octets) in records {
        storage.put(name, octets)?;
    }
    storage.commit()
}

fn parse(blob: &[u8]) -> Option<Vec<(RecordName, &[u8])>> {
    let mut records = Vec::new();
    let mut rest = blob.strip_prefix(MAGIC)?;
    while let Some((number, behind)) = rest.split_first() {
        let kind = RecordKind::from_number(*number)?;
        let (number, behind) = behind.split_first_chunk()?;
        let (size, behind) = behind.split_first_chunk()?;
        let size = usize::try_from(u32::from_be_bytes(*size)).ok()?;
        let (octets, behind) = behind.split_at_checked(size)?;
        if size > RECORD_SIZE_MAX {
            return None;
        }
        records.push((RecordName { kind, number: u32::from_be_bytes(*number) }, octets));
        rest = behind;
    }
    Some(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_blob_is_refused() {
        let record = [1, 0, 0, 0, 0, 0, 0, 0, 2, 7, 8];
        let blob = [&MAGIC[..], &record].concat();
        assert_eq!(parse(&blob).map(|records| records.len()), Some(1));
        assert_eq!(parse(MAGIC).map(|records| records.len()), Some(0));
        for cut in (0..MAGIC.len()).chain(MAGIC.len() + 1..blob.len()) {
            assert!(parse(&blob[..cut]).is_none(), "{cut}");
        }
        let mut unknown = blob;
        unknown[MAGIC.len()] = 6;
        assert!(parse(&unknown).is_none());
    }
}
