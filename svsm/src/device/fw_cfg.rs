// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's firmware configuration device (QEMU, `docs/specs/fw_cfg`), through its DMA interface.
//!
//! The directory is read once, into private memory; file contents pass through shared pages and are
//! copied out once. Names, sizes and contents are all the host's.

use crate::machine::FileFault;
use alloc::vec::Vec;
use snp_abi::fw_cfg::{
    DmaControl, File, FileEntry, ITEM_FILE_DIRECTORY, ITEM_SIGNATURE, SIGNATURE, file_count,
    find_file,
};

/// One transfer at a time between the device and a buffer that the host can write.
pub trait Transfer {
    /// Most bytes of one transfer.
    fn capacity(&self) -> usize;

    /// Has the device do `control` on `length` bytes.
    ///
    /// # Errors
    /// The device reports an error, or does not answer.
    fn run(&mut self, control: u32, length: u32) -> Result<(), FileFault>;

    /// Copies the transfer's first bytes out.
    ///
    /// # Errors
    /// The buffer is larger than the capacity.
    fn copy_out(&self, buffer: &mut [u8]) -> Result<(), FileFault>;
}

/// The device.
#[derive(Debug)]
pub struct FwCfg<T> {
    transfer: T,
    directory: Vec<u8>,
    /// Item that is selected, and the offset at which it would go on.
    position: Option<(u16, u32)>,
}

impl<T: Transfer> FwCfg<T> {
    /// Finds the device and reads its directory.
    ///
    /// # Errors
    /// `Missing` when there is no such device; `Host` when it answers nonsense.
    pub fn new(transfer: T) -> Result<Self, FileFault> {
        let mut device = Self { transfer, directory: Vec::new(), position: None };
        let mut signature = [0; 4];
        device.read_item(ITEM_SIGNATURE, 0, &mut signature).map_err(|_| FileFault::Missing)?;
        if signature != SIGNATURE {
            return Err(FileFault::Missing);
        }
        let mut head = [0; 4];
        device.read_item(ITEM_FILE_DIRECTORY, 0, &mut head)?;
        let count = file_count(head).map_err(|_| FileFault::Host)?;
        let size = head.len() + count as usize * size_of::<FileEntry>();
        let mut directory = Vec::new();
        directory.try_reserve_exact(size).map_err(|_| FileFault::Host)?;
        directory.resize(size, 0);
        let (first, rest) = directory.split_at_mut_checked(head.len()).ok_or(FileFault::Host)?;
        // The count that was checked is the one that is used.
        first.copy_from_slice(&head);
        device.read_item(ITEM_FILE_DIRECTORY, 4, rest)?;
        device.directory = directory;
        Ok(device)
    }

    /// Bytes of a file.
    ///
    /// # Errors
    /// `Missing`; `Host` when the directory is malformed.
    pub fn size(&self, name: &str) -> Result<u32, FileFault> {
        Ok(self.find(name)?.size_bytes)
    }

    /// Reads part of a file.
    ///
    /// # Errors
    /// `Missing`, `OutOfRange`, `Host`.
    pub fn read(&mut self, name: &str, offset: u32, buffer: &mut [u8]) -> Result<(), FileFault> {
        let file = self.find(name)?;
        let length = u32::try_from(buffer.len()).map_err(|_| FileFault::OutOfRange)?;
        match offset.checked_add(length) {
            Some(end) if end <= file.size_bytes => self.read_item(file.item, offset, buffer),
            _ => Err(FileFault::OutOfRange),
        }
    }

    fn find(&self, name: &str) -> Result<File, FileFault> {
        find_file(&self.directory, name).map_err(|_| FileFault::Host)?.ok_or(FileFault::Missing)
    }

    fn read_item(&mut self, item: u16, offset: u32, buffer: &mut [u8]) -> Result<(), FileFault> {
        if self.position != Some((item, offset)) {
            self.position = None;
            let select = DmaControl::SELECT.bits() | u32::from(item) << 16;
            self.transfer.run(select | DmaControl::SKIP.bits(), offset)?;
        }
        let mut next = offset;
        for part in buffer.chunks_mut(self.transfer.capacity().max(1)) {
            let length = u32::try_from(part.len()).map_err(|_| FileFault::OutOfRange)?;
            self.position = None;
            self.transfer.run(DmaControl::READ.bits(), length)?;
            self.transfer.copy_out(part)?;
            next = next.checked_add(length).ok_or(FileFault::OutOfRange)?;
        }
        self.position = Some((item, next));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;
    use zerocopy::big_endian::{U16, U32};

    /// A device with items, whose answers a test can spoil.
    #[derive(Debug)]
    struct FakeDevice {
        items: Vec<(u16, Vec<u8>)>,
        selected: u16,
        offset: usize,
        buffer: Vec<u8>,
        selections: usize,
        fail: bool,
    }

    impl Transfer for FakeDevice {
        fn capacity(&self) -> usize {
            16
        }
        fn run(&mut self, control: u32, length: u32) -> Result<(), FileFault> {
            if self.fail {
                return Err(FileFault::Host);
            }
            if control & DmaControl::SELECT.bits() != 0 {
                self.selected = u16::try_from(control >> 16).unwrap();
                self.offset = 0;
                self.selections += 1;
            }
            let item = self.items.iter().find(|(number, _)| *number == self.selected);
            if control & DmaControl::READ.bits() != 0 {
                self.buffer = (0..length as usize)
                    .map(|index| {
                        item.and_then(|(_, bytes)| bytes.get(self.offset + index))
                            .copied()
                            .unwrap_or(0)
                    })
                    .collect();
            }
            self.offset += length as usize;
            Ok(())
        }
        fn copy_out(&self, buffer: &mut [u8]) -> Result<(), FileFault> {
            buffer.copy_from_slice(self.buffer.get(..buffer.len()).ok_or(FileFault::Host)?);
            Ok(())
        }
    }

    fn device(count: u32, entries: &[FileEntry], files: &[(u16, Vec<u8>)]) -> FakeDevice {
        let mut directory = count.to_be_bytes().to_vec();
        entries.iter().for_each(|entry| directory.extend_from_slice(entry.as_bytes()));
        let mut items =
            vec![(ITEM_SIGNATURE, SIGNATURE.to_vec()), (ITEM_FILE_DIRECTORY, directory)];
        items.extend_from_slice(files);
        FakeDevice { items, selected: 0, offset: 0, buffer: vec![], selections: 0, fail: false }
    }

    fn entry(name: &str, item: u16, size: u32) -> FileEntry {
        let mut bytes = [0; 56];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        FileEntry { size: U32::new(size), item: U16::new(item), reserved: U16::new(0), name: bytes }
    }

    #[test]
    fn a_missing_or_broken_device_is_refused() {
        let mut nothing = device(0, &[], &[]);
        nothing.items.clear();
        assert_eq!(FwCfg::new(nothing).unwrap_err(), FileFault::Missing);
        let mut silent = device(0, &[], &[]);
        silent.fail = true;
        assert_eq!(FwCfg::new(silent).unwrap_err(), FileFault::Missing);
        assert_eq!(FwCfg::new(device(513, &[], &[])).unwrap_err(), FileFault::Host);
        let broken = FwCfg::new(device(1, &[entry("", 0x20, 1)], &[])).unwrap();
        assert_eq!(broken.size("x").unwrap_err(), FileFault::Missing);
        let mut unterminated = entry("", 0x20, 1);
        unterminated.name = [b'a'; 56];
        let broken = FwCfg::new(device(1, &[unterminated], &[])).unwrap();
        assert_eq!(broken.size("x").unwrap_err(), FileFault::Host);
    }

    #[test]
    fn reads_stay_inside_the_file() {
        let files = [(0x20, (0..100).collect())];
        let mut device = FwCfg::new(device(1, &[entry("a", 0x20, 100)], &files)).unwrap();
        let mut buffer = [0; 50];
        assert_eq!(device.read("a", 51, &mut buffer), Err(FileFault::OutOfRange));
        assert_eq!(device.read("a", u32::MAX, &mut buffer), Err(FileFault::OutOfRange));
        assert_eq!(device.read("b", 0, &mut buffer), Err(FileFault::Missing));
        device.read("a", 50, &mut buffer).unwrap();
        assert!((50..100).eq(buffer));
    }

    #[test]
    fn reading_on_needs_no_new_selection() {
        let files = [(0x20, (0..100).collect()), (0x21, vec![7; 10])];
        let entries = [entry("a", 0x20, 100), entry("b", 0x21, 10)];
        let mut device = FwCfg::new(device(2, &entries, &files)).unwrap();
        let before = device.transfer.selections;
        let mut all = Vec::new();
        for offset in (0..100).step_by(20) {
            let mut part = [0; 20];
            device.read("a", offset, &mut part).unwrap();
            all.extend_from_slice(&part);
        }
        assert!((0..100).eq(all));
        assert_eq!(device.transfer.selections, before + 1);
        let mut byte = [0];
        device.read("b", 9, &mut byte).unwrap();
        device.read("a", 3, &mut byte).unwrap();
        assert_eq!(byte, [3]);
        assert_eq!(device.size("b"), Ok(10));
    }
}
