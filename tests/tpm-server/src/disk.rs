// SPDX-License-Identifier: MIT OR Apache-2.0
//! The disk under the store: a file, or memory.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nvstore::{BlockDevice, DeviceError};

/// Bytes in a block: what disks really write, whatever they say.
pub(crate) const BLOCK_BYTES: usize = 4096;
/// Blocks of a new disk: what `Capacity::for_tpm` takes.
const BLOCKS: u32 = 768;
/// Bytes of a new disk.
const BYTES: usize = BLOCKS as usize * BLOCK_BYTES;

/// A disk.
pub(crate) enum Disk {
    /// Survives the process.
    File {
        /// Locked: a second server would destroy the state.
        file: File,
        /// Whole blocks of the file.
        blocks: u64,
        /// It survives a loss of the host's power too: each commit waits for the medium.
        syncs: bool,
    },
    /// Survives nothing but `_TPM_Init`.
    Memory(Vec<u8>),
}

impl Disk {
    /// A disk in memory, empty.
    pub(crate) fn in_memory() -> Self {
        Self::Memory(vec![0; BYTES])
    }

    /// Opens a disk image, or makes an empty one where there is no file or an empty file.
    pub(crate) fn open(path: &Path, syncs: bool) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.try_lock().map_err(|_| io::Error::other("another process uses it"))?;
        if file.metadata()?.len() == 0 {
            file.set_len(BYTES as u64)?;
        }
        let blocks = file.metadata()?.len() / BLOCK_BYTES as u64;
        Ok(Self::File { file, blocks, syncs })
    }

    /// The offset in bytes of a range that lies on the disk and consists of whole blocks.
    fn offset(&self, first_block: u64, bytes: usize) -> Result<u64, DeviceError> {
        let blocks = (bytes / BLOCK_BYTES) as u64;
        let end = first_block.checked_add(blocks).ok_or(DeviceError::OutOfRange)?;
        if !bytes.is_multiple_of(BLOCK_BYTES) || end > self.block_count() {
            return Err(DeviceError::OutOfRange);
        }
        Ok(first_block * BLOCK_BYTES as u64)
    }
}

impl BlockDevice for Disk {
    fn block_bytes(&self) -> usize {
        BLOCK_BYTES
    }

    fn block_count(&self) -> u64 {
        match self {
            Self::File { blocks, .. } => *blocks,
            Self::Memory(bytes) => (bytes.len() / BLOCK_BYTES) as u64,
        }
    }

    fn read(&mut self, first_block: u64, into: &mut [u8]) -> Result<(), DeviceError> {
        let offset = self.offset(first_block, into.len())?;
        match self {
            Self::File { file, .. } => {
                file.read_exact_at(into, offset).map_err(|_| DeviceError::Failed)
            }
            Self::Memory(bytes) => {
                into.copy_from_slice(range(bytes, offset, into.len())?);
                Ok(())
            }
        }
    }

    fn write(&mut self, first_block: u64, from: &[u8]) -> Result<(), DeviceError> {
        let offset = self.offset(first_block, from.len())?;
        match self {
            Self::File { file, .. } => {
                file.write_all_at(from, offset).map_err(|_| DeviceError::Failed)
            }
            Self::Memory(bytes) => {
                range(bytes, offset, from.len())?.copy_from_slice(from);
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        match self {
            Self::File { file, syncs: true, .. } => {
                file.sync_data().map_err(|_| DeviceError::Failed)
            }
            Self::File { syncs: false, .. } | Self::Memory(_) => Ok(()),
        }
    }
}

fn range(bytes: &mut [u8], offset: u64, length: usize) -> Result<&mut [u8], DeviceError> {
    let start = usize::try_from(offset).map_err(|_| DeviceError::OutOfRange)?;
    let end = start.checked_add(length).ok_or(DeviceError::OutOfRange)?;
    bytes.get_mut(start..end).ok_or(DeviceError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_are_not_on_the_disk_are_refused() {
        let mut disk = Disk::in_memory();
        let mut block = [0; BLOCK_BYTES];
        let blocks = u64::from(BLOCKS);
        for first in [blocks, blocks + 1, u64::MAX] {
            assert_eq!(disk.read(first, &mut block), Err(DeviceError::OutOfRange));
            assert_eq!(disk.write(first, &block), Err(DeviceError::OutOfRange));
        }
        assert_eq!(disk.write(0, &block[1..]), Err(DeviceError::OutOfRange));
        assert_eq!(disk.write(blocks - 1, &[7; BLOCK_BYTES]), Ok(()));
        assert_eq!(disk.read(blocks - 1, &mut block), Ok(()));
        assert_eq!(block, [7; BLOCK_BYTES]);
    }

    #[test]
    fn a_file_has_one_user_at_a_time() {
        let path = std::env::temp_dir().join(format!("tpm-server-disk-{}", std::process::id()));
        let mut disk = Disk::open(&path, true).unwrap();
        assert_eq!(disk.flush(), Ok(()));
        assert_eq!(disk.block_count(), u64::from(BLOCKS));
        assert!(Disk::open(&path, true).is_err());
        drop(disk);
        assert!(Disk::open(&path, false).is_ok());
        std::fs::remove_file(&path).unwrap();
    }
}
