// SPDX-License-Identifier: MIT OR Apache-2.0
//! What commits and openings cost on a disk in memory: `cargo run --release -p nvstore --example
//! cost`.
//!
//! The state is a TPM's: 24 records of 1500 bytes. Every commit changes one record of 64 bytes.

use std::time::Instant;

use nvstore::simulation::disk::{Counts, SimulatedDisk};
use nvstore::simulation::model::{master_key, open};
use nvstore::simulation::random::SimulatedRandom;
use nvstore::{Capacity, Error, Store, Unanchored};

fn main() -> Result<(), Error> {
    println!(
        "block bytes | commit: writes, bytes, flushes, µs | opening: reads, writes, bytes, µs"
    );
    for block_bytes in [512, 4096] {
        measure(block_bytes)?;
    }
    println!("Store takes {} bytes beside its heap", size_of::<Store<SimulatedDisk, Unanchored>>());
    Ok(())
}

fn measure(block_bytes: usize) -> Result<(), Error> {
    let capacity = Capacity::for_tpm(block_bytes);
    let mut random = SimulatedRandom::new(1);
    let blank = SimulatedDisk::blank(block_bytes, (3 << 20) / block_bytes);
    let key = master_key(1);
    let mut store = open(blank, capacity, &key, Unanchored, &mut random)?;
    for number in 0..24_u8 {
        put(&mut store, &[b'k', number], &[number; 1500])?;
    }
    let commits = 4 * u64::from(capacity.log_blocks);
    let before = store.device().counts();
    let start = Instant::now();
    for number in 0..commits {
        put(&mut store, b"nv/01500020", &[number.to_le_bytes(); 8].concat())?;
    }
    let elapsed = start.elapsed();
    let per_commit = difference(before, store.device().counts());
    let disk = SimulatedDisk::with_image(block_bytes, store.into_device().into_image());
    let start = Instant::now();
    let store = open(disk, capacity, &key, Unanchored, &mut random)?;
    let opening = start.elapsed();
    let counts = store.device().counts();
    let rate = |count: u64| count as f64 / commits as f64;
    let bytes = block_bytes as u64;
    println!(
        "{block_bytes:>11} | {:>6.2} {:>7.0} {:>6.2} {:>6.1} | {} {} {} {} ({} commits replayed)",
        rate(per_commit.writes),
        rate(per_commit.blocks_written * bytes),
        rate(per_commit.flushes),
        elapsed.as_secs_f64() * 1e6 / commits as f64,
        counts.reads,
        counts.writes,
        counts.blocks_written * bytes,
        opening.as_micros(),
        store.recovery().replayed,
    );
    Ok(())
}

fn difference(before: Counts, after: Counts) -> Counts {
    Counts {
        reads: after.reads - before.reads,
        writes: after.writes - before.writes,
        blocks_written: after.blocks_written - before.blocks_written,
        flushes: after.flushes - before.flushes,
    }
}

fn put(
    store: &mut Store<SimulatedDisk, Unanchored>,
    name: &[u8],
    value: &[u8],
) -> Result<(), Error> {
    let mut transaction = store.transaction();
    transaction.put(name, value)?;
    transaction.commit().map(drop)
}
