// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the Linux kernel wants at its 64-bit entry. Linux, `Documentation/arch/x86/boot.rst` and
//! `zero-page.rst`; the confidential-computing blob: Linux, `arch/x86/include/asm/sev.h`.

use zerocopy::{
    FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout,
    little_endian::{U16, U32, U64},
};

use crate::PAGE_SIZE;

/// Value of `boot_flag`.
pub const BOOT_FLAG: u16 = 0xaa55;
/// Value of `header`.
pub const HEADER_MAGIC: [u8; 4] = *b"HdrS";
/// Least version of the boot protocol that this project boots (2.12: `xloadflags`).
pub const PROTOCOL_MIN: u16 = 0x020c;
/// `xloadflags`: the kernel has a 64-bit entry at 0x200.
pub const XLF_KERNEL_64: u16 = 1 << 0;
/// `loadflags`: the protected-mode code is loaded at 1 MiB.
pub const LOADED_HIGH: u8 = 1 << 0;
/// `type_of_loader` of a loader without a number.
pub const LOADER_UNDEFINED: u8 = 0xff;
/// The 64-bit entry's distance from the start of the protected-mode code.
pub const ENTRY_64_OFFSET: u64 = 0x200;
/// Bytes of a sector of the setup code.
pub const SECTOR_SIZE: u64 = 512;
/// Offset of the setup header in the image and in boot_params.
pub const SETUP_HEADER_OFFSET: usize = 0x1f1;

/// The setup header, from 0x1f1 of the image; the same place in boot_params.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[expect(missing_docs, reason = "fields under their names in boot.rst")]
pub struct SetupHeader {
    pub setup_sects: u8,
    pub root_flags: U16,
    pub syssize: U32,
    pub ram_size: U16,
    pub vid_mode: U16,
    pub root_dev: U16,
    pub boot_flag: U16,
    pub jump: U16,
    pub header: [u8; 4],
    pub version: U16,
    pub realmode_swtch: U32,
    pub start_sys_seg: U16,
    pub kernel_version: U16,
    pub type_of_loader: u8,
    pub loadflags: u8,
    pub setup_move_size: U16,
    pub code32_start: U32,
    pub ramdisk_image: U32,
    pub ramdisk_size: U32,
    pub bootsect_kludge: U32,
    pub heap_end_ptr: U16,
    pub ext_loader_ver: u8,
    pub ext_loader_type: u8,
    pub cmd_line_ptr: U32,
    pub initrd_addr_max: U32,
    pub kernel_alignment: U32,
    pub relocatable_kernel: u8,
    pub min_alignment: u8,
    pub xloadflags: U16,
    pub cmdline_size: U32,
    pub hardware_subarch: U32,
    pub hardware_subarch_data: U64,
    pub payload_offset: U32,
    pub payload_length: U32,
    pub setup_data: U64,
    pub pref_address: U64,
    pub init_size: U32,
    pub handover_offset: U32,
    pub kernel_info_offset: U32,
}

assert_layout!(
    SetupHeader, size 0x26c - 0x1f1,
    boot_flag: 0x1fe - 0x1f1, header: 0x202 - 0x1f1, version: 0x206 - 0x1f1,
    type_of_loader: 0x210 - 0x1f1, code32_start: 0x214 - 0x1f1, ramdisk_image: 0x218 - 0x1f1,
    cmd_line_ptr: 0x228 - 0x1f1, initrd_addr_max: 0x22c - 0x1f1, kernel_alignment: 0x230 - 0x1f1,
    xloadflags: 0x236 - 0x1f1, cmdline_size: 0x238 - 0x1f1, setup_data: 0x250 - 0x1f1,
    pref_address: 0x258 - 0x1f1, init_size: 0x260 - 0x1f1, kernel_info_offset: 0x268 - 0x1f1,
);

/// Most entries of the e820 table in boot_params.
pub const E820_MAX: usize = 128;

/// boot_params, the "zero page".
#[repr(C)]
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[expect(missing_docs, reason = "fields under their names in zero-page.rst")]
pub struct BootParams {
    pub screen_info: [u8; 0x40],
    pub reserved_040: [u8; 0x30],
    pub acpi_rsdp_addr: U64,
    pub reserved_078: [u8; 0x48],
    pub ext_ramdisk_image: U32,
    pub ext_ramdisk_size: U32,
    pub ext_cmd_line_ptr: U32,
    pub reserved_0cc: [u8; 0x70],
    pub cc_blob_address: U32,
    pub reserved_140: [u8; 0xa8],
    pub e820_entries: u8,
    pub reserved_1e9: [u8; 6],
    pub sentinel: u8,
    pub reserved_1f0: u8,
    pub header: SetupHeader,
    pub reserved_26c: [u8; 0x64],
    pub e820_table: [E820Entry; E820_MAX],
    pub reserved_cd0: [u8; 0x330],
}

/// One range of the e820 table.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct E820Entry {
    /// First byte.
    pub address: U64,
    /// Bytes.
    pub size: U64,
    /// See [`e820`].
    pub kind: U32,
}

/// Kinds of e820 ranges.
pub mod e820 {
    /// RAM.
    pub const RAM: u32 = 1;
    /// Reserved.
    pub const RESERVED: u32 = 2;
    /// ACPI tables; Linux maps them encrypted everywhere, unlike reserved ranges.
    pub const ACPI: u32 = 3;
    /// ACPI non-volatile storage.
    pub const NVS: u32 = 4;
}

assert_layout!(E820Entry, size 20, size: 8, kind: 16);
assert_layout!(
    BootParams, size PAGE_SIZE,
    acpi_rsdp_addr: 0x70, ext_ramdisk_image: 0xc0, cc_blob_address: 0x13c, e820_entries: 0x1e8,
    sentinel: 0x1ef, header: SETUP_HEADER_OFFSET, e820_table: 0x2d0, reserved_cd0: 0xcd0,
);

/// `setup_data` type of the confidential-computing blob's address.
pub const SETUP_CC_BLOB: u32 = 7;

/// A `setup_data` node that carries the address of a [`CcBlob`].
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CcSetupData {
    /// Address of the next node; 0 for none.
    pub next: U64,
    /// [`SETUP_CC_BLOB`].
    pub kind: U32,
    /// Bytes that follow: 4.
    pub length: U32,
    /// Address of the blob, below 4 GiB.
    pub cc_blob_address: U32,
}

/// Where the guest finds its secrets and CPUID pages.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CcBlob {
    /// [`CC_BLOB_MAGIC`].
    pub magic: U32,
    /// 1.
    pub version: U16,
    /// Reserved.
    pub reserved_06: U16,
    /// Address of the secrets page.
    pub secrets_address: U64,
    /// Its bytes.
    pub secrets_length: U32,
    /// Reserved.
    pub reserved_14: U32,
    /// Address of the CPUID page.
    pub cpuid_address: U64,
    /// Its bytes.
    pub cpuid_length: U32,
    /// Reserved.
    pub reserved_24: U32,
}

/// First word of a [`CcBlob`].
pub const CC_BLOB_MAGIC: u32 = 0x4544_4d41;

assert_layout!(CcSetupData, size 20, kind: 8, length: 12, cc_blob_address: 16);
assert_layout!(CcBlob, size 0x28, version: 4, secrets_address: 8, secrets_length: 0x10,
    cpuid_address: 0x18, cpuid_length: 0x20);

impl CcSetupData {
    /// The only node of a list.
    #[must_use]
    pub fn new(cc_blob_address: u32) -> Self {
        Self {
            next: U64::ZERO,
            kind: U32::new(SETUP_CC_BLOB),
            length: U32::new(4),
            cc_blob_address: U32::new(cc_blob_address),
        }
    }
}

impl CcBlob {
    /// The blob for one page of each kind.
    #[must_use]
    pub fn new(secrets_address: u64, cpuid_address: u64) -> Self {
        Self {
            magic: U32::new(CC_BLOB_MAGIC),
            version: U16::new(1),
            secrets_address: U64::new(secrets_address),
            secrets_length: U32::new(0x1000),
            cpuid_address: U64::new(cpuid_address),
            cpuid_length: U32::new(0x1000),
            ..Self::new_zeroed()
        }
    }
}

/// What is wrong with a kernel image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// Too short for a setup header, or for the setup code it announces.
    Truncated,
    /// No boot flag or no "HdrS".
    NotLinux,
    /// Boot protocol before 2.12.
    TooOld(u16),
    /// No 64-bit entry.
    No64BitEntry,
    /// The alignment is zero or not a power of two, or `init_size` is smaller than the code.
    BadHeader,
}

/// What a loader needs of a kernel image; checked.
#[derive(Clone, Copy, Debug)]
pub struct KernelImage {
    /// The setup header as found.
    pub header: SetupHeader,
    /// Offset of the protected-mode code in the image.
    pub code_offset: u64,
    /// Bytes of the protected-mode code.
    pub code_size: u64,
    /// Bytes the kernel wants at its load address; not less than `code_size`.
    pub init_size: u64,
    /// Alignment of its load address, a power of two.
    pub alignment: u64,
}

impl KernelImage {
    /// Reads the setup header from the first bytes of an image of `image_size` bytes.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn parse(head: &[u8], image_size: u64) -> Result<Self, ImageError> {
        let header = head
            .get(SETUP_HEADER_OFFSET..)
            .and_then(|rest| SetupHeader::read_from_prefix(rest).ok())
            .map(|(header, _)| header)
            .ok_or(ImageError::Truncated)?;
        if header.boot_flag.get() != BOOT_FLAG || header.header != HEADER_MAGIC {
            return Err(ImageError::NotLinux);
        }
        if header.version.get() < PROTOCOL_MIN {
            return Err(ImageError::TooOld(header.version.get()));
        }
        if header.xloadflags.get() & XLF_KERNEL_64 == 0 || header.loadflags & LOADED_HIGH == 0 {
            return Err(ImageError::No64BitEntry);
        }
        let sectors = if header.setup_sects == 0 { 4 } else { u64::from(header.setup_sects) };
        let code_offset = sectors.saturating_add(1).saturating_mul(SECTOR_SIZE);
        let code_size = image_size
            .checked_sub(code_offset)
            .filter(|&size| size > ENTRY_64_OFFSET)
            .ok_or(ImageError::Truncated)?;
        let init_size = u64::from(header.init_size.get());
        let alignment = u64::from(header.kernel_alignment.get());
        if !alignment.is_power_of_two() || init_size < code_size {
            return Err(ImageError::BadHeader);
        }
        Ok(Self { header, code_offset, code_size, init_size, alignment })
    }
}

impl BootParams {
    /// Fills in the e820 table.
    ///
    /// # Errors
    /// Returns the number of ranges when there are more than [`E820_MAX`].
    pub fn set_memory(&mut self, ranges: &[E820Entry]) -> Result<(), usize> {
        let table = self.e820_table.get_mut(..ranges.len()).ok_or(ranges.len())?;
        table.copy_from_slice(ranges);
        self.e820_entries = u8::try_from(ranges.len()).map_err(|_| ranges.len())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> [u8; 0x300] {
        let mut header = SetupHeader::new_zeroed();
        header.setup_sects = 27;
        header.boot_flag = U16::new(BOOT_FLAG);
        header.header = HEADER_MAGIC;
        header.version = U16::new(0x020f);
        header.loadflags = LOADED_HIGH;
        header.xloadflags = U16::new(XLF_KERNEL_64);
        header.kernel_alignment = U32::new(0x20_0000);
        header.init_size = U32::new(0x100_0000);
        let mut image = [0; 0x300];
        image[SETUP_HEADER_OFFSET..0x26c].copy_from_slice(header.as_bytes());
        image
    }

    fn refused(offset: usize, value: u8) -> Option<ImageError> {
        let mut image = image();
        image[offset] = value;
        KernelImage::parse(&image, 0x80_0000).err()
    }

    #[test]
    fn broken_images_are_refused() {
        assert_eq!(KernelImage::parse(&[0; 16], 16).err(), Some(ImageError::Truncated));
        assert_eq!(KernelImage::parse(&image(), 28 * 512).err(), Some(ImageError::Truncated));
        assert_eq!(refused(0x1fe, 0), Some(ImageError::NotLinux));
        assert_eq!(refused(0x202, 0), Some(ImageError::NotLinux));
        assert_eq!(refused(0x206, 0x0b), Some(ImageError::TooOld(0x020b)));
        assert_eq!(refused(0x236, 0), Some(ImageError::No64BitEntry));
        assert_eq!(refused(0x211, 0), Some(ImageError::No64BitEntry));
        assert_eq!(refused(0x232, 0), Some(ImageError::BadHeader));
        assert_eq!(refused(0x263, 0), Some(ImageError::BadHeader));
        assert_eq!(KernelImage::parse(&image(), 0x200_0000).err(), Some(ImageError::BadHeader));
    }

    #[test]
    fn the_code_begins_behind_the_setup_sectors() {
        let image = KernelImage::parse(&image(), 0x80_0000).expect("a good image");
        assert_eq!(image.code_offset, 28 * 512);
        assert_eq!(image.code_size, 0x80_0000 - 28 * 512);
    }

    #[test]
    fn the_e820_table_has_128_places() {
        let mut params = BootParams::new_zeroed();
        let range = E820Entry { address: U64::ZERO, size: U64::ZERO, kind: U32::new(e820::RAM) };
        assert_eq!(params.set_memory(&[range; 129]), Err(129));
        assert_eq!(params.set_memory(&[range; 128]), Ok(()));
        assert_eq!(params.e820_entries, 128);
    }

    #[test]
    fn the_blob_names_both_pages() {
        let blob = CcBlob::new(0x1000, 0x2000);
        assert_eq!(blob.as_bytes()[..8], [0x41, 0x4d, 0x44, 0x45, 1, 0, 0, 0]);
        assert_eq!(
            CcSetupData::new(0x3000).as_bytes()[8..],
            [7, 0, 0, 0, 4, 0, 0, 0, 0, 0x30, 0, 0]
        );
    }
}
