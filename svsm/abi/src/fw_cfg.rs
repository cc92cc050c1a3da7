// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's firmware configuration device. QEMU, `docs/specs/fw_cfg`. Big endian throughout.

use core::mem::size_of;

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout,
    big_endian::{U16, U32, U64},
};

/// Selector register, 16 bits, little endian as a port.
pub const PORT_SELECTOR: u16 = 0x510;
/// Data register, 8 bits.
pub const PORT_DATA: u16 = 0x511;
/// DMA address register, upper half, 32 bits, big endian.
pub const PORT_DMA_HIGH: u16 = 0x514;
/// DMA address register, lower half, 32 bits, big endian; writing it starts the transfer.
pub const PORT_DMA_LOW: u16 = 0x518;

/// Item: four bytes, [`SIGNATURE`].
pub const ITEM_SIGNATURE: u16 = 0x0000;
/// Item: revision and features, little endian 32 bits; bit 1 = DMA.
pub const ITEM_REVISION: u16 = 0x0001;
/// Item: the file directory.
pub const ITEM_FILE_DIRECTORY: u16 = 0x0019;
/// What [`ITEM_SIGNATURE`] holds.
pub const SIGNATURE: [u8; 4] = *b"QEMU";
/// Bit of [`ITEM_REVISION`]: DMA is there.
pub const REVISION_DMA: u32 = 1 << 1;

/// The kernel, in SVSM direct boot.
pub const FILE_KERNEL: &str = "opt/org.macadamia-svsm/kernel";
/// The initial RAM disk, in SVSM direct boot.
pub const FILE_INITRD: &str = "opt/org.macadamia-svsm/initrd";
/// The kernel's command line, in SVSM direct boot.
pub const FILE_CMDLINE: &str = "opt/org.macadamia-svsm/cmdline";
/// QEMU's script that links the ACPI tables.
pub const FILE_TABLE_LOADER: &str = "etc/table-loader";
/// The ACPI tables.
pub const FILE_ACPI_TABLES: &str = "etc/acpi/tables";
/// The ACPI root pointer.
pub const FILE_ACPI_RSDP: &str = "etc/acpi/rsdp";

bitflags::bitflags! {
    /// The control word of a DMA access; the item to select goes into bits `[31:16]`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct DmaControl: u32 {
        /// Set by the device: it failed.
        const ERROR = 1 << 0;
        /// Read from the item.
        const READ = 1 << 1;
        /// Skip bytes of the item.
        const SKIP = 1 << 2;
        /// Select an item first.
        const SELECT = 1 << 3;
        /// Write to the item.
        const WRITE = 1 << 4;
        /// The item, with [`Self::SELECT`].
        const ITEM = 0xffff << 16;
    }
}

/// A DMA access. The device clears `control` when it is done.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct DmaAccess {
    /// See [`DmaControl`].
    pub control: U32,
    /// Bytes.
    pub length: U32,
    /// Where the data goes: a shared page.
    pub address: U64,
}

impl DmaAccess {
    /// Selects `item` and reads its first `length` bytes into `address`.
    #[must_use]
    pub fn read_item(item: u16, length: u32, address: u64) -> Self {
        let control = DmaControl::READ | DmaControl::SELECT;
        Self {
            control: U32::new(control.bits() | u32::from(item) << 16),
            length: U32::new(length),
            address: U64::new(address),
        }
    }

    /// Goes on reading the selected item.
    #[must_use]
    pub fn read_on(length: u32, address: u64) -> Self {
        Self {
            control: U32::new(DmaControl::READ.bits()),
            length: U32::new(length),
            address: U64::new(address),
        }
    }
}

/// Bytes of a file's name, the final NUL included.
pub const NAME_SIZE: usize = 56;

/// One file of the directory.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FileEntry {
    /// Bytes of the file.
    pub size: U32,
    /// Its item number.
    pub item: U16,
    /// Reserved.
    pub reserved: U16,
    /// Its name, NUL terminated.
    pub name: [u8; NAME_SIZE],
}

assert_layout!(DmaAccess, size 16, length: 4, address: 8);
assert_layout!(FileEntry, size 64, item: 4, name: 8);

/// Most files the directory may list; QEMU lists some dozens.
pub const MAX_FILES: u32 = 512;

/// What is wrong with the file directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryError {
    /// More than [`MAX_FILES`].
    TooManyFiles(u32),
    /// The data ends before the last file.
    Truncated,
    /// A name isn't NUL-terminated ASCII.
    BadName,
}

/// A file as the directory describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// Its item number.
    pub item: u16,
    /// Its size in bytes.
    pub size_bytes: u32,
}

/// The number of files: the first four bytes of the directory.
///
/// # Errors
/// [`DirectoryError::TooManyFiles`].
pub fn file_count(head: [u8; 4]) -> Result<u32, DirectoryError> {
    let count = u32::from_be_bytes(head);
    if count > MAX_FILES { Err(DirectoryError::TooManyFiles(count)) } else { Ok(count) }
}

impl FileEntry {
    /// The file's name.
    ///
    /// # Errors
    /// [`DirectoryError::BadName`].
    pub fn name(&self) -> Result<&str, DirectoryError> {
        let length = self.name.iter().position(|&byte| byte == 0).ok_or(DirectoryError::BadName)?;
        self.name
            .get(..length)
            .filter(|name| name.is_ascii())
            .and_then(|name| core::str::from_utf8(name).ok())
            .ok_or(DirectoryError::BadName)
    }
}

/// Looks a file up in the directory, which begins with its count. The first of that name counts.
///
/// # Errors
/// The directory is malformed.
pub fn find_file(directory: &[u8], name: &str) -> Result<Option<File>, DirectoryError> {
    let (head, mut rest) = directory.split_first_chunk::<4>().ok_or(DirectoryError::Truncated)?;
    for _ in 0..file_count(*head)? {
        let (entry, tail) =
            rest.split_at_checked(size_of::<FileEntry>()).ok_or(DirectoryError::Truncated)?;
        let entry = FileEntry::ref_from_bytes(entry).map_err(|_| DirectoryError::Truncated)?;
        if entry.name()? == name {
            return Ok(Some(File { item: entry.item.get(), size_bytes: entry.size.get() }));
        }
        rest = tail;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(count: u32) -> [u8; 68] {
        let mut bytes = [0; 68];
        bytes[..4].copy_from_slice(&count.to_be_bytes());
        bytes[4..8].copy_from_slice(&0x1234u32.to_be_bytes());
        bytes[8..10].copy_from_slice(&0x20u16.to_be_bytes());
        bytes[12..24].copy_from_slice(b"etc/acpi/abc");
        bytes
    }

    #[test]
    fn a_malformed_directory_is_refused() {
        assert_eq!(find_file(&[], "x"), Err(DirectoryError::Truncated));
        assert_eq!(find_file(&directory(2), "x"), Err(DirectoryError::Truncated));
        assert_eq!(
            find_file(&directory(u32::MAX), "x"),
            Err(DirectoryError::TooManyFiles(u32::MAX))
        );
        let mut unterminated = directory(1);
        unterminated[12..].fill(b'a');
        assert_eq!(find_file(&unterminated, "x"), Err(DirectoryError::BadName));
        let mut foreign = directory(1);
        foreign[12] = 0xff;
        assert_eq!(find_file(&foreign, "x"), Err(DirectoryError::BadName));
    }

    #[test]
    fn a_file_is_found_by_its_whole_name() {
        assert_eq!(find_file(&directory(1), "etc/acpi"), Ok(None));
        assert_eq!(
            find_file(&directory(1), "etc/acpi/abc"),
            Ok(Some(File { item: 0x20, size_bytes: 0x1234 }))
        );
        assert_eq!(find_file(&directory(0), "etc/acpi/abc"), Ok(None));
    }

    #[test]
    fn a_dma_access_is_big_endian() {
        let access = DmaAccess::read_item(0x19, 4, 0x1000);
        assert_eq!(access.as_bytes(), [0, 0x19, 0, 0x0a, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0x10, 0]);
    }
}
