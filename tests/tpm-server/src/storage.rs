// SPDX-License-Identifier: MIT OR Apache-2.0
//! Records in a file: a log of commits, each with its digest. A commit that wasn't written whole is
//! not there when the file is opened again.
//!
//! ```text
//! file    = magic commit*
//! commit  = size:u32  digest:[u8; 32]  change*           (size and digest are of the changes)
//! change  = kind:u8  number:u32  size:u32  octets         (size 0xffff_ffff deletes the record)
//! ```

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Bound;
use std::path::Path;

use tpm::crypto::hash::HashAlgorithm;
use tpm::platform::{PlatformFault, RecordKind, RecordName, Storage};

const MAGIC: &[u8; 16] = b"macadamia tpm 1\n";
const DIGEST_SIZE: usize = 32;
const DELETED: u32 = u32::MAX;
/// The log is written afresh at start when it is longer than this.
const COMPACT_SIZE: usize = 1 << 20;

type Records = BTreeMap<RecordName, Vec<u8>>;

/// The records, and the file behind them if there is one.
pub(crate) struct FileStorage {
    durable: Records,
    pending: BTreeMap<RecordName, Option<Vec<u8>>>,
    file: Option<File>,
}

impl FileStorage {
    /// Opens or creates the file; without a path nothing persists.
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let mut storage = Self { durable: Records::new(), pending: BTreeMap::new(), file: None };
        let Some(path) = path else { return Ok(storage) };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut log = Vec::new();
        file.read_to_end(&mut log)?;
        let length = storage.replay(&log)?;
        if length == 0 || log.len() > COMPACT_SIZE {
            storage.rewrite(&mut file)?;
        } else {
            file.set_len(u64::try_from(length).map_err(io::Error::other)?)?;
            file.seek(SeekFrom::End(0))?;
        }
        storage.file = Some(file);
        Ok(storage)
    }

    /// Forgets what wasn't committed.
    pub(crate) fn forget_pending(&mut self) {
        self.pending.clear();
    }

    /// Reads all whole commits: the length of the log up to there, 0 for a new file.
    fn replay(&mut self, log: &[u8]) -> io::Result<usize> {
        if log.is_empty() {
            return Ok(0);
        }
        let mut rest = log
            .strip_prefix(MAGIC)
            .ok_or_else(|| io::Error::other("the file is not a state of this TPM"))?;
        while let Some((changes, behind)) = next_commit(rest) {
            let changes = parse_changes(changes)
                .ok_or_else(|| io::Error::other("a commit in the file is damaged"))?;
            apply(&mut self.durable, changes);
            rest = behind;
        }
        Ok(log.len() - rest.len())
    }

    /// Writes the file anew, with all records in one commit.
    fn rewrite(&self, file: &mut File) -> io::Result<()> {
        let changes = self.durable.iter().map(|(name, record)| (*name, Some(record.as_slice())));
        let commit = write_commit(changes)?;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(MAGIC)?;
        file.write_all(&commit)
    }
}

type Change = (RecordName, Option<Vec<u8>>);

fn apply(records: &mut Records, changes: impl IntoIterator<Item = Change>) {
    for (name, record) in changes {
        match record {
            Some(record) => records.insert(name, record),
            None => records.remove(&name),
        };
    }
}

fn write_commit<'a>(
    changes: impl Iterator<Item = (RecordName, Option<&'a [u8]>)>,
) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    for (name, record) in changes {
        body.push(kind_number(name.kind));
        body.extend(name.number.to_be_bytes());
        match record {
            Some(record) => {
                let size = u32::try_from(record.len()).map_err(io::Error::other)?;
                body.extend(size.to_be_bytes());
                body.extend(record);
            }
            None => body.extend(DELETED.to_be_bytes()),
        }
    }
    let size = u32::try_from(body.len()).map_err(io::Error::other)?;
    let digest = HashAlgorithm::Sha256.digest(&[&body]);
    Ok([&size.to_be_bytes()[..], digest.as_bytes(), &body].concat())
}

/// The changes of the next whole commit, and what is behind it.
fn next_commit(log: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = log.split_first_chunk()?;
    let size = usize::try_from(u32::from_be_bytes(*size)).ok()?;
    let (digest, rest) = rest.split_at_checked(DIGEST_SIZE)?;
    let (changes, behind) = rest.split_at_checked(size)?;
    let is_whole = HashAlgorithm::Sha256.digest(&[changes]).as_bytes() == digest;
    is_whole.then_some((changes, behind))
}

fn parse_changes(mut changes: &[u8]) -> Option<Vec<Change>> {
    let mut parsed = Vec::new();
    while let Some((kind, rest)) = changes.split_first() {
        let (number, rest) = rest.split_first_chunk()?;
        let name = RecordName { kind: kind_of(*kind)?, number: u32::from_be_bytes(*number) };
        let (size, rest) = rest.split_first_chunk()?;
        let size = u32::from_be_bytes(*size);
        let (record, rest) = if size == DELETED {
            (None, rest)
        } else {
            let (record, rest) = rest.split_at_checked(usize::try_from(size).ok()?)?;
            (Some(record.to_vec()), rest)
        };
        parsed.push((name, record));
        changes = rest;
    }
    Some(parsed)
}

const KINDS: [RecordKind; 5] = [
    RecordKind::Permanent,
    RecordKind::Orderly,
    RecordKind::Saved,
    RecordKind::Object,
    RecordKind::NvIndex,
];

fn kind_number(kind: RecordKind) -> u8 {
    let place = KINDS.iter().position(|known| *known == kind);
    place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
}

fn kind_of(number: u8) -> Option<RecordKind> {
    KINDS.get(usize::from(number)).copied()
}

impl Storage for FileStorage {
    fn read(
        &mut self,
        name: RecordName,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, PlatformFault> {
        let durable = self.durable.get(&name);
        let Some(record) = self.pending.get(&name).map_or(durable, Option::as_ref) else {
            return Ok(None);
        };
        buffer.get_mut(..record.len()).ok_or(PlatformFault)?.copy_from_slice(record);
        Ok(Some(record.len()))
    }

    fn next(&mut self, behind: Option<RecordName>) -> Result<Option<RecordName>, PlatformFault> {
        let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self.durable.range((from, Bound::Unbounded)).next().map(|(name, _)| *name))
    }

    fn put(&mut self, name: RecordName, bytes: &[u8]) -> Result<(), PlatformFault> {
        self.pending.insert(name, Some(bytes.to_vec()));
        Ok(())
    }

    fn delete(&mut self, name: RecordName) -> Result<(), PlatformFault> {
        self.pending.insert(name, None);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), PlatformFault> {
        if let Some(file) = &mut self.file {
            let changes = self.pending.iter().map(|(name, record)| (*name, record.as_deref()));
            let commit = write_commit(changes).map_err(|_| PlatformFault)?;
            // One write: a process that is killed leaves it whole or not at all.
            file.write_all(&commit).map_err(|_| PlatformFault)?;
        }
        apply(&mut self.durable, std::mem::take(&mut self.pending));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: RecordName = RecordName { kind: RecordKind::Object, number: 0x8100_0001 };

    fn path(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("tpm-server-test-{}-{name}", std::process::id()))
    }

    fn read(storage: &mut FileStorage) -> Option<Vec<u8>> {
        let mut buffer = [0; 64];
        let length = storage.read(NAME, &mut buffer).unwrap()?;
        Some(buffer[..length].to_vec())
    }

    #[test]
    fn another_file_is_refused() {
        let path = path("other");
        std::fs::write(&path, b"something else").unwrap();
        assert!(FileStorage::open(Some(&path)).is_err());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn every_truncation_leaves_whole_commits() {
        let path = path("truncated");
        let mut storage = FileStorage::open(Some(&path)).unwrap();
        let mut ends = vec![usize::try_from(std::fs::metadata(&path).unwrap().len()).unwrap()];
        for value in 1..4_u8 {
            storage.put(NAME, &[value; 8]).unwrap();
            storage.commit().unwrap();
            ends.push(usize::try_from(std::fs::metadata(&path).unwrap().len()).unwrap());
        }
        drop(storage);
        let whole = std::fs::read(&path).unwrap();
        for cut in ends[0]..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let commits = ends.iter().filter(|end| **end <= cut).count() - 1;
            let expected = (commits > 0).then(|| vec![u8::try_from(commits).unwrap(); 8]);
            assert_eq!(read(&mut FileStorage::open(Some(&path)).unwrap()), expected, "{cut}");
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_not_committed_is_forgotten() {
        let path = path("pending");
        let mut storage = FileStorage::open(Some(&path)).unwrap();
        storage.put(NAME, b"kept").unwrap();
        storage.commit().unwrap();
        storage.delete(NAME).unwrap();
        assert_eq!(read(&mut storage), None);
        storage.forget_pending();
        assert_eq!(read(&mut storage).unwrap(), b"kept");
        drop(storage);
        let mut again = FileStorage::open(Some(&path)).unwrap();
        assert_eq!(read(&mut again).unwrap(), b"kept");
        assert_eq!(again.next(None).unwrap(), Some(NAME));
        assert_eq!(again.next(Some(NAME)).unwrap(), None);
        std::fs::remove_file(&path).unwrap();
    }
}
