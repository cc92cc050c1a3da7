// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of certificates that an extended guest request brings along, and the extensions of the
//! chip's certificate. AMD 56421, 4.1.8.1; AMD 57230 (VCEK certificate and KDS interface),
//! chapter 3.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::guid::{Guid, guid};

/// The chip's certificate.
pub const VCEK_GUID: Guid =
    guid(0x63da_758d, 0xe664, 0x4564, [0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd]);
/// The certificate of a loaded key.
pub const VLEK_GUID: Guid =
    guid(0xa807_4bc2, 0xa25a, 0x483e, [0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1]);
/// The certificate between root and chip.
pub const ASK_GUID: Guid =
    guid(0x4ab7_b379, 0xbbac, 0x4fe4, [0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82]);
/// The root's certificate.
pub const ARK_GUID: Guid =
    guid(0xc0b4_06a4, 0xa803, 0x4952, [0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae]);

/// One entry of the table. An entry of zeros ends it; the certificates follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TableEntry {
    /// What the certificate is.
    pub guid: Guid,
    /// Offset of the certificate from the table's first byte.
    pub offset: u32,
    /// Its bytes.
    pub length: u32,
}

assert_layout!(TableEntry, size 24, offset: 16, length: 20);

/// Most entries that a table may have.
pub const MAX_ENTRIES: usize = 16;

/// What is wrong with a table: the host made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// The table has no end, or more than [`MAX_ENTRIES`].
    NoEnd,
    /// A certificate lies outside the data or within the table.
    Place(Guid),
}

/// The certificate of this kind; `None` when the table doesn't have it.
///
/// # Errors
/// See [`TableError`]; only what lies before the certificate is looked at.
pub fn find(data: &[u8], kind: Guid) -> Result<Option<&[u8]>, TableError> {
    let mut rest = data;
    for _ in 0..=MAX_ENTRIES {
        let (entry, tail) = TableEntry::read_from_prefix(rest).map_err(|_| TableError::NoEnd)?;
        if entry.as_bytes().iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        if entry.guid == kind {
            let table_bytes = data.len().saturating_sub(tail.len());
            return certificate(data, &entry, table_bytes).map(Some);
        }
        rest = tail;
    }
    Err(TableError::NoEnd)
}

/// Bytes of the table with its certificates; 0 for one without entries.
///
/// # Errors
/// See [`TableError`].
pub fn length(data: &[u8]) -> Result<usize, TableError> {
    let mut rest = data;
    let mut end = 0;
    for _ in 0..=MAX_ENTRIES {
        let (entry, tail) = TableEntry::read_from_prefix(rest).map_err(|_| TableError::NoEnd)?;
        let table_bytes = data.len().saturating_sub(tail.len());
        if entry.as_bytes().iter().all(|&byte| byte == 0) {
            return Ok(if end == 0 { 0 } else { end.max(table_bytes) });
        }
        let length = certificate(data, &entry, table_bytes)?.len();
        end = end.max(usize::try_from(entry.offset).unwrap_or(0).saturating_add(length));
        rest = tail;
    }
    Err(TableError::NoEnd)
}

fn certificate<'data>(
    data: &'data [u8],
    entry: &TableEntry,
    table_bytes: usize,
) -> Result<&'data [u8], TableError> {
    let place = TableError::Place(entry.guid);
    let start = usize::try_from(entry.offset).map_err(|_| place)?;
    let length = usize::try_from(entry.length).map_err(|_| place)?;
    if start < table_bytes || length == 0 {
        return Err(place);
    }
    data.get(start..).and_then(|rest| rest.get(..length)).ok_or(place)
}

/// Object identifiers of the chip certificate's extensions, in DER without tag and length: all are
/// `1.3.6.1.4.1.3704.1.…`.
pub mod extension {
    /// `…1`: version of the structure, an INTEGER.
    pub const STRUCTURE_VERSION: [u8; 9] = [0x2b, 6, 1, 4, 1, 0x9c, 0x78, 1, 1];
    /// `…2`: the product's name, an IA5String.
    pub const PRODUCT_NAME: [u8; 9] = [0x2b, 6, 1, 4, 1, 0x9c, 0x78, 1, 2];
    /// `…3.1`: TCB of the boot loader, an INTEGER.
    pub const BOOT_LOADER_TCB: [u8; 10] = [0x2b, 6, 1, 4, 1, 0x9c, 0x78, 1, 3, 1];
    /// `…3.2`: TCB of the trusted execution environment, an INTEGER.
    pub const TEE_TCB: [u8; 10] = [0x2b, 6, 1, 4, 1, 0x9c, 0x78, 1, 3, 2];
    /// `…3.3`: TCB of the SNP firmware, an INTEGER.
    pub const SNP_TCB: [u8; 10] = [0x2b, 6, 1, 4, 1, 0x9c, 0x78, 1, 3, 3];
    /// `…3.8`: TCB of the microcode, an INTEGER.
    pub const MICROCODE_TCB: [u8; 10] = [0x2b, 6, 1, 4, 1, 0x9c, 0x78, 1, 3, 8];
    /// `…3.9`: TCB of what is measured first (FMC), an INTEGER; from family 1Ah.
    pub const FMC_TCB: [u8; 10] = [0x2b, 6, 1, 4, 1, 0x9c, 0x78, 1, 3, 9];
    /// `…4`: identity of the chip, 64 bytes as they are; 8 from family 1Ah.
    pub const HARDWARE_ID: [u8; 9] = [0x2b, 6, 1, 4, 1, 0x9c, 0x78, 1, 4];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(offset: u32, length: u32) -> [u8; 64] {
        let mut data = [0; 64];
        data[..24].copy_from_slice(TableEntry { guid: ASK_GUID, offset, length }.as_bytes());
        data[48..].fill(0xaa);
        data
    }

    #[test]
    fn tables_that_point_anywhere_are_refused() {
        for (offset, length) in [(48, 17), (64, 1), (u32::MAX, u32::MAX), (0, 16), (23, 1), (48, 0)]
        {
            let refused = find(&table(offset, length), ASK_GUID).err();
            assert_eq!(refused, Some(TableError::Place(ASK_GUID)), "{offset} {length}");
        }
        assert_eq!(find(&[], ASK_GUID), Err(TableError::NoEnd));
        assert_eq!(find(&table(48, 16)[..40], VCEK_GUID), Err(TableError::NoEnd));
        assert_eq!(find(&[1; 4096], ASK_GUID), Err(TableError::NoEnd));
    }

    #[test]
    fn a_table_is_as_long_as_its_last_certificate() {
        assert_eq!(length(&[0; 24]), Ok(0));
        assert_eq!(length(&[0; 23]), Err(TableError::NoEnd));
        assert_eq!(length(&[1; 4096]), Err(TableError::Place([1; 16])));
        assert_eq!(length(&table(48, 17)), Err(TableError::Place(ASK_GUID)));
        assert_eq!(length(&table(48, 16)), Ok(64));
        let mut longer = [0; 96];
        longer[..64].copy_from_slice(&table(50, 7));
        assert_eq!(length(&longer), Ok(57));
    }

    #[test]
    fn a_certificate_is_found_by_its_kind() {
        let data = table(48, 16);
        assert_eq!(find(&data, VCEK_GUID), Ok(None));
        assert_eq!(find(&data, ASK_GUID), Ok(Some(&[0xaa; 16][..])));
        assert_eq!(VCEK_GUID[..4], [0x8d, 0x75, 0xda, 0x63]);
    }
}
