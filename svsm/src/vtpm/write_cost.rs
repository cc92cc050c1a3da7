// SPDX-License-Identifier: MIT OR Apache-2.0
//! What commands cost the disk: blocks, bytes and flushes, counted at the device. The figures are
//! in `docs/performance.md`.

use super::records::StoredRecords;
use super::tests::{PASSWORD, STARTUP, execute, power_on_with};
use super::{VirtualTpm, records::StateStorage};
use nvstore::simulation::model::{master_key, open};
use nvstore::simulation::random::SimulatedRandom;
use nvstore::{BlockDevice, Capacity, DeviceError, Unanchored};
use std::boxed::Box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::vec::Vec;
use tpm::state::capacity::{NV_DATA_SIZE, NV_INDICES};

const BLOCK_BYTES: usize = 4096;
/// What COCONUT-SVSM writes for each commit: its whole file.
const WHOLE_FILE_BYTES: u64 = 16 * 1024;

/// What a device was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    blocks: u64,
    flushes: u64,
}

#[derive(Clone, Default)]
struct Counters {
    blocks: Arc<AtomicU64>,
    flushes: Arc<AtomicU64>,
}

impl Counters {
    /// What was asked for since the last time.
    fn take(&self) -> Cost {
        Cost { blocks: self.blocks.swap(0, Relaxed), flushes: self.flushes.swap(0, Relaxed) }
    }
}

/// A disk in memory that counts.
struct CountingDisk {
    content: Vec<u8>,
    counters: Counters,
}

impl CountingDisk {
    fn range(&self, first: u64, bytes: usize) -> core::ops::Range<usize> {
        let start = usize::try_from(first).unwrap() * BLOCK_BYTES;
        start..start + bytes
    }
}

impl BlockDevice for CountingDisk {
    fn block_bytes(&self) -> usize {
        BLOCK_BYTES
    }
    fn block_count(&self) -> u64 {
        (self.content.len() / BLOCK_BYTES) as u64
    }
    fn read(&mut self, first_block: u64, into: &mut [u8]) -> Result<(), DeviceError> {
        into.copy_from_slice(&self.content[self.range(first_block, into.len())]);
        Ok(())
    }
    fn write(&mut self, first_block: u64, from: &[u8]) -> Result<(), DeviceError> {
        self.counters.blocks.fetch_add((from.len() / BLOCK_BYTES) as u64, Relaxed);
        let range = self.range(first_block, from.len());
        self.content[range].copy_from_slice(from);
        Ok(())
    }
    fn flush(&mut self) -> Result<(), DeviceError> {
        self.counters.flushes.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// A new TPM on a new disk, started.
fn started() -> (VirtualTpm, Counters) {
    let counters = Counters::default();
    let disk = CountingDisk { content: vec![0; 3 << 20], counters: counters.clone() };
    let mut random = SimulatedRandom::new(1);
    let capacity = Capacity::for_tpm(BLOCK_BYTES);
    let store = open(disk, capacity, &master_key(1), Unanchored, &mut random).unwrap();
    let storage: Box<dyn StateStorage + Send> = Box::new(StoredRecords::new(store));
    let mut tpm = power_on_with(storage);
    assert_eq!(execute(&mut tpm, &STARTUP)[6..10], [0; 4]);
    counters.take();
    (tpm, counters)
}

const OWNER: u32 = 0x4000_0001;
const DEFINE_SPACE: u8 = 0x2a;
const WRITE: u8 = 0x37;
/// TPMA_NV_OWNERWRITE and TPMA_NV_OWNERREAD.
const OWNERS: u32 = 1 << 17 | 1 << 1;
const ORDERLY: u32 = 1 << 26;

/// A command with one empty password.
fn authorised(tpm: &mut VirtualTpm, code: u8, handles: &[u32], body: &[u8]) {
    let mut command = vec![0x80, 2, 0, 0, 0, 0, 0, 0, 1, code];
    command.extend(handles.iter().flat_map(|handle| handle.to_be_bytes()));
    command.extend(PASSWORD);
    command.extend(body);
    succeed(tpm, &mut command);
}

fn succeed(tpm: &mut VirtualTpm, command: &mut [u8]) {
    let length = u32::try_from(command.len()).unwrap();
    command[2..6].copy_from_slice(&length.to_be_bytes());
    let response = execute(tpm, command);
    assert_eq!(response[6..10], [0; 4], "{:02x?}", &command[..10]);
}

fn define(tpm: &mut VirtualTpm, index: u32, attributes: u32, bytes: u16) {
    let mut body = vec![0, 0, 0, 14];
    body.extend(index.to_be_bytes());
    body.extend([0, 0x0b]);
    body.extend(attributes.to_be_bytes());
    body.extend([0, 0]);
    body.extend(bytes.to_be_bytes());
    authorised(tpm, DEFINE_SPACE, &[OWNER], &body);
}

fn write(tpm: &mut VirtualTpm, index: u32, data: &[u8]) {
    let mut body = u16::try_from(data.len()).unwrap().to_be_bytes().to_vec();
    body.extend(data);
    body.extend([0, 0]);
    authorised(tpm, WRITE, &[OWNER, index], &body);
}

#[test]
fn commands_that_change_nothing_that_persists_write_nothing() {
    let (mut tpm, counters) = started();
    let quiet: [&[u8]; 5] = [
        // GetRandom(32), PCR_Read, ReadClock, Hash, SelfTest.
        &[0x80, 1, 0, 0, 0, 0, 0, 0, 1, 0x7b, 0, 32],
        &[0x80, 1, 0, 0, 0, 0, 0, 0, 1, 0x7e, 0, 0, 0, 1, 0, 0x0b, 3, 1, 0, 0],
        &[0x80, 1, 0, 0, 0, 0, 0, 0, 1, 0x81],
        &[0x80, 1, 0, 0, 0, 0, 0, 0, 1, 0x7d, 0, 1, 9, 0, 0x0b, 0x40, 0, 0, 7],
        &[0x80, 1, 0, 0, 0, 0, 0, 0, 1, 0x43, 1],
    ];
    for command in quiet {
        succeed(&mut tpm, &mut command.to_vec());
        assert_eq!(counters.take(), Cost::default(), "{:02x?}", &command[..10]);
    }
    // PCR_Extend of PCR 16.
    let digest = [&[0, 0, 0, 1, 0, 0x0b][..], &[5; 32]].concat();
    authorised(&mut tpm, 0x82, &[16], &digest);
    assert_eq!(counters.take(), Cost::default());
}

#[test]
fn an_nv_write_is_one_block_and_a_third_of_a_whole_file_at_most() {
    const WRITES: u64 = 1200;
    let (mut tpm, counters) = started();
    define(&mut tpm, 0x0150_0001, OWNERS, 64);
    assert_eq!(counters.take(), Cost { blocks: 1, flushes: 1 });
    let mut total = 0;
    let mut cheapest = 0;
    for number in 0..WRITES {
        let data = [u8::try_from(number % 251).unwrap(); 64];
        write(&mut tpm, 0x0150_0001, &data);
        let Cost { blocks, flushes } = counters.take();
        assert_eq!(flushes, 1, "{number}");
        assert!((1..=3).contains(&blocks), "{number}: {blocks} blocks");
        cheapest += u64::from(blocks == 1);
        total += blocks;
    }
    println!("{total} blocks for {WRITES} writes of 64 bytes, {cheapest} of them one block");
    // More than two turns of the log: what compaction costs is in it.
    assert!(total * BLOCK_BYTES as u64 * 3 <= WRITES * WHOLE_FILE_BYTES);
    assert!(cheapest * 10 >= WRITES * 9);
}

#[test]
fn orderly_indices_cost_one_bounded_commit_at_the_shutdown() {
    const SHUTDOWN_STATE: [u8; 12] = [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x45, 0, 1];
    let (mut tpm, counters) = started();
    let bytes = NV_DATA_SIZE / NV_INDICES;
    let indices = 0x0150_0000..0x0150_0000 + u32::try_from(NV_INDICES).unwrap();
    for index in indices.clone() {
        define(&mut tpm, index, OWNERS | ORDERLY, u16::try_from(bytes).unwrap());
        // The first write of an index tells that it was written: that persists.
        write(&mut tpm, index, &[1; 8]);
    }
    counters.take();
    for index in indices {
        write(&mut tpm, index, &vec![2; bytes]);
    }
    assert_eq!(counters.take(), Cost::default(), "they wait for the shutdown");
    assert_eq!(execute(&mut tpm, &SHUTDOWN_STATE)[6..10], [0; 4]);
    let cost = counters.take();
    let capacity = Capacity::for_tpm(BLOCK_BYTES);
    let record = u64::from(capacity.transaction_bytes) / BLOCK_BYTES as u64 + 1;
    let checkpoint = u64::from(capacity.state_bytes) / (BLOCK_BYTES as u64 - 16) + 3;
    println!("{} blocks for a shutdown with {NV_INDICES} orderly indices", cost.blocks);
    assert_eq!(cost.flushes, 1);
    assert!(cost.blocks >= (NV_DATA_SIZE / BLOCK_BYTES) as u64, "all of them are written");
    assert!(cost.blocks <= record + checkpoint, "{cost:?}");
}
