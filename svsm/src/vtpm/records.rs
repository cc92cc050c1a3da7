// SPDX-License-Identifier: MIT OR Apache-2.0
//! The engine's records in an encrypted store: one transaction for each command.

use nvstore::{Anchor, BlockDevice, Error, Fault, FreshnessRoot, Store};
use tpm::platform::{NoStorage, PlatformFault, RecordKind, RecordName, Storage};

/// Bytes of a record's name in the store: the kind, and the number with the highest byte first, so
/// that the store's order is the engine's.
const NAME_BYTES: usize = 5;

/// A storage that knows whether, and since when, it remembers.
pub trait StateStorage: Storage {
    /// What stands for the whole history of the TPM's state; `None` if nothing persists.
    fn freshness_root(&self) -> Option<FreshnessRoot>;
}

impl StateStorage for NoStorage {
    fn freshness_root(&self) -> Option<FreshnessRoot> {
        None
    }
}

/// An open store as the engine's storage.
pub struct StoredRecords<D, A> {
    store: Store<D, A>,
    /// What stopped the store; the first error is the one that tells.
    failure: Option<Error>,
}

impl<D: BlockDevice, A: Anchor> StoredRecords<D, A> {
    /// Takes a store that was opened.
    pub const fn new(store: Store<D, A>) -> Self {
        Self { store, failure: None }
    }

    /// Forgets what was not committed, as a loss of power does.
    pub fn forget_pending(&mut self) {
        drop(self.store.transaction());
    }

    /// The store.
    pub const fn store(&self) -> &Store<D, A> {
        &self.store
    }

    fn noted<T>(&mut self, result: Result<T, Error>) -> Result<T, PlatformFault> {
        result.map_err(|error| {
            self.failure.get_or_insert(error);
            PlatformFault
        })
    }
}

impl<D: BlockDevice, A: Anchor> Storage for StoredRecords<D, A> {
    fn read(
        &mut self,
        name: RecordName,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, PlatformFault> {
        let transaction = self.store.resume();
        let copied = match transaction.value(&name_bytes(name)) {
            None => Ok(None),
            Some(value) => match buffer.get_mut(..value.len()) {
                None => Err(PlatformFault),
                Some(place) => {
                    place.copy_from_slice(value);
                    Ok(Some(value.len()))
                }
            },
        };
        transaction.suspend();
        copied
    }

    fn next(&mut self, behind: Option<RecordName>) -> Result<Option<RecordName>, PlatformFault> {
        let behind = behind.map(name_bytes);
        let is_behind = |name: &[u8]| behind.is_none_or(|behind| name > behind.as_slice());
        let found = self.store.iter().map(|(name, _)| name).find(|name| is_behind(name));
        found.map(|name| record_name(name).ok_or(PlatformFault)).transpose()
    }

    fn put(&mut self, name: RecordName, bytes: &[u8]) -> Result<(), PlatformFault> {
        let mut transaction = self.store.resume();
        let put = transaction.put(&name_bytes(name), bytes);
        transaction.suspend();
        self.noted(put)
    }

    fn delete(&mut self, name: RecordName) -> Result<(), PlatformFault> {
        let mut transaction = self.store.resume();
        let deleted = transaction.delete(&name_bytes(name));
        transaction.suspend();
        self.noted(deleted)
    }

    fn commit(&mut self) -> Result<(), PlatformFault> {
        let committed = self.store.resume().commit().map(|_root| ());
        self.noted(committed)
    }

    fn fault_reason(&self) -> u16 {
        self.failure.as_ref().map_or(0, reason)
    }
}

impl<D: BlockDevice, A: Anchor> StateStorage for StoredRecords<D, A> {
    fn freshness_root(&self) -> Option<FreshnessRoot> {
        Some(self.store.root())
    }
}

/// Storage that is there and must not be touched: the TPM goes into failure mode and tells why.
#[derive(Clone, Copy, Debug)]
pub struct RefusedStorage(pub u16);

impl Storage for RefusedStorage {
    fn read(&mut self, _: RecordName, _: &mut [u8]) -> Result<Option<usize>, PlatformFault> {
        Err(PlatformFault)
    }
    fn next(&mut self, _: Option<RecordName>) -> Result<Option<RecordName>, PlatformFault> {
        Err(PlatformFault)
    }
    fn put(&mut self, _: RecordName, _: &[u8]) -> Result<(), PlatformFault> {
        Err(PlatformFault)
    }
    fn delete(&mut self, _: RecordName) -> Result<(), PlatformFault> {
        Err(PlatformFault)
    }
    fn commit(&mut self) -> Result<(), PlatformFault> {
        Err(PlatformFault)
    }
    fn fault_reason(&self) -> u16 {
        self.0
    }
}

impl StateStorage for RefusedStorage {
    fn freshness_root(&self) -> Option<FreshnessRoot> {
        None
    }
}

/// What TPM2_GetTestResult tells in the upper half of its number; `docs/nvstore.md` has the table.
/// Reasons from 32 on are about the master key ([`super::master_key`]).
#[must_use]
pub fn reason(error: &Error) -> u16 {
    match error {
        Error::Device(_) => 1,
        Error::Geometry(_) => 2,
        Error::Foreign => 3,
        Error::UnsupportedVersion { .. } => 4,
        Error::WrongKey => 5,
        Error::Tampered(_) => 6,
        Error::RolledBack { .. } => 7,
        Error::AnchorBehind { .. } => 8,
        Error::Anchor(_) => 9,
        Error::Capacity(_) => 10,
        Error::Randomness => 11,
        Error::Memory => 12,
        other => match other.fault() {
            Fault::Ours => 14,
            _ => 13,
        },
    }
}

fn name_bytes(RecordName { kind, number }: RecordName) -> [u8; NAME_BYTES] {
    let [a, b, c, d] = number.to_be_bytes();
    [kind as u8, a, b, c, d]
}

/// `None` for a record that no engine of this version writes.
fn record_name(name: &[u8]) -> Option<RecordName> {
    let (kind, number) = name.split_first()?;
    let kind = RecordKind::from_number(*kind)?;
    Some(RecordName { kind, number: u32::from_be_bytes(number.try_into().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nvstore::Unanchored;
    use nvstore::simulation::disk::SimulatedDisk;
    use nvstore::simulation::model::{Shape, master_key, open};
    use nvstore::simulation::random::SimulatedRandom;

    const OBJECT: RecordName = RecordName { kind: RecordKind::Object, number: 0x8100_0001 };
    const INDEX: RecordName = RecordName { kind: RecordKind::NvIndex, number: 0x0100_0001 };
    const SHAPE: Shape = Shape::FINE;

    fn opened(disk: SimulatedDisk) -> StoredRecords<SimulatedDisk, Unanchored> {
        let mut random = SimulatedRandom::new(3);
        let store = open(disk, SHAPE.capacity, &master_key(1), Unanchored, &mut random).unwrap();
        StoredRecords::new(store)
    }

    fn read(records: &mut dyn Storage, name: RecordName) -> Option<Vec<u8>> {
        let mut buffer = [0; 64];
        let length = records.read(name, &mut buffer).unwrap()?;
        Some(buffer[..length].to_vec())
    }

    #[test]
    fn a_record_of_another_kind_is_a_fault() {
        let mut records = opened(SHAPE.blank());
        let mut transaction = records.store.transaction();
        transaction.put(&[6, 0, 0, 0, 0], b"of a later version").unwrap();
        transaction.commit().unwrap();
        assert_eq!(records.next(None), Err(PlatformFault));
        assert_eq!(record_name(&[1, 0, 0, 0]), None);
        assert_eq!(record_name(&[]), None);
    }

    #[test]
    fn a_buffer_that_is_too_small_is_a_fault() {
        let mut records = opened(SHAPE.blank());
        records.put(OBJECT, &[7; 65]).unwrap();
        assert_eq!(records.read(OBJECT, &mut [0; 64]), Err(PlatformFault));
        assert_eq!(records.read(OBJECT, &mut [0; 65]), Ok(Some(65)));
    }

    #[test]
    fn what_is_not_committed_is_forgotten() {
        let mut records = opened(SHAPE.blank());
        records.put(OBJECT, b"kept").unwrap();
        records.put(INDEX, b"gone").unwrap();
        assert_eq!(records.next(None), Ok(None), "only what is durable is listed");
        records.commit().unwrap();
        records.delete(INDEX).unwrap();
        assert_eq!(read(&mut records, INDEX), None);
        records.forget_pending();
        assert_eq!(read(&mut records, INDEX).unwrap(), b"gone");
        records.delete(INDEX).unwrap();
        records.commit().unwrap();
        records.put(OBJECT, b"lost with the power").unwrap();

        let mut again = opened(records.store.into_device());
        assert_eq!(read(&mut again, OBJECT).unwrap(), b"kept");
        assert_eq!(again.next(None), Ok(Some(OBJECT)));
        assert_eq!(again.next(Some(OBJECT)), Ok(None));
    }

    #[test]
    fn the_first_failure_is_the_reason() {
        let mut records = opened(SHAPE.blank());
        records.put(OBJECT, &[0; 1 << 15]).unwrap_err();
        assert_eq!(records.fault_reason(), 10);
        let name = RecordName { kind: RecordKind::Permanent, number: 0 };
        assert_eq!(RefusedStorage(35).read(name, &mut []), Err(PlatformFault));
        assert_eq!(RefusedStorage(35).fault_reason(), 35);
        assert_eq!(RefusedStorage(35).freshness_root(), None);
    }

    #[test]
    fn every_commit_moves_the_root() {
        let mut records = opened(SHAPE.blank());
        let before = records.freshness_root().unwrap();
        records.put(OBJECT, b"new").unwrap();
        records.commit().unwrap();
        let after = records.freshness_root().unwrap();
        assert_eq!(after.sequence, before.sequence + 1);
        assert_ne!(after.digest, before.digest);
        assert!(NoStorage.freshness_root().is_none());
    }
}
