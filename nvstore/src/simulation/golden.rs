// SPDX-License-Identifier: MIT OR Apache-2.0
//! The images that every later version must open, and how they were made.

use std::vec::Vec;

use super::disk::SimulatedDisk;
use super::model::{Shape, master_key, open};
use super::random::SimulatedRandom;
use crate::{Error, Store, Unanchored};

/// An image and the name of its file.
pub struct Golden {
    /// Name of the file.
    pub name: &'static str,
    /// Shape of the disk.
    pub shape: Shape,
    /// Content of the disk.
    pub image: Vec<u8>,
}

/// The golden images of this version, made afresh: the same bytes each time. Their master key is 32
/// bytes of 1.
///
/// # Errors
/// None on a healthy disk.
pub fn images() -> Result<Vec<Golden>, Error> {
    let shapes = [("version-1-512.bin", Shape::TINY), ("version-1-4096.bin", Shape::COARSE)];
    let made = shapes.into_iter().map(|(name, shape)| {
        let image = make(shape)?;
        Ok(Golden { name, shape, image })
    });
    made.collect()
}

/// Two openings, a compaction, records in the checkpoint and in the log.
fn make(shape: Shape) -> Result<Vec<u8>, Error> {
    let mut random = SimulatedRandom::new(0x676f_6c64);
    let mut store = open(shape.blank(), shape.capacity, &master_key(1), Unanchored, &mut random)?;
    for number in 0..7_u8 {
        put(&mut store, b"counter", &[number; 8])?;
    }
    put(&mut store, b"empty", &[])?;
    let disk = store.into_device();
    let mut store = open(disk, shape.capacity, &master_key(1), Unanchored, &mut random)?;
    put(&mut store, b"pcr", &[0x5a; 300])?;
    let mut transaction = store.transaction();
    transaction.delete(b"empty")?;
    transaction.put(b"owner", b"authorization")?;
    transaction.commit()?;
    Ok(store.into_device().into_image())
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
