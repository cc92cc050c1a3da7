// SPDX-License-Identifier: MIT OR Apache-2.0
//! Page tables for the payload's entry: the first 4 GiB, identity mapped and private (boot.rst,
//! "64-bit boot protocol": kernel, boot_params and command line must be mapped).

use super::PayloadError;
use crate::machine::{LARGE_PAGE_BYTES, Machine, PAGE_BYTES, PAGE_LENGTH};

/// Pages that the tables take: PML4, page directory pointers, four page directories.
pub(super) const PAGES: u64 = 6;
/// The identity mapping ends here.
pub(super) const MAPPED_END: u64 = 1 << 32;

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const LARGE: u64 = 1 << 7;

/// Writes the tables to `PAGES` pages at `base` and returns the value for CR3.
pub(super) fn write(machine: &mut dyn Machine, base: u64, c_bit: u64) -> Result<u64, PayloadError> {
    let page = |index: u64| base.saturating_add(index.saturating_mul(PAGE_BYTES));
    let table = |address: u64| address | c_bit | PRESENT | WRITABLE;
    write_table(machine, page(0), |index| if index == 0 { table(page(1)) } else { 0 })?;
    write_table(machine, page(1), |index| {
        if index < 4 { table(page(index.saturating_add(2))) } else { 0 }
    })?;
    for directory in 0..4_u64 {
        write_table(machine, page(directory.saturating_add(2)), |index| {
            let number = directory.saturating_mul(512).saturating_add(index);
            table(number.saturating_mul(LARGE_PAGE_BYTES)) | LARGE
        })?;
    }
    Ok(base | c_bit)
}

fn write_table(
    machine: &mut dyn Machine,
    address: u64,
    entry: impl Fn(u64) -> u64,
) -> Result<(), PayloadError> {
    let mut bytes = [0; PAGE_LENGTH];
    for (index, place) in (0..).zip(bytes.chunks_exact_mut(8)) {
        place.copy_from_slice(&entry(index).to_le_bytes());
    }
    machine.write_guest(address, &bytes).map_err(|_| PayloadError::GuestMemory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fake::FakeMachine;

    const C_BIT: u64 = 1 << 39;

    fn walk(machine: &mut FakeMachine, cr3: u64, address: u64) -> Option<u64> {
        let mut table = cr3;
        for level in [39, 30, 21] {
            let index = address >> level & 0x1ff;
            let bytes = machine.peek((table & !C_BIT & !0xfff) + index * 8, 8);
            table = u64::from_le_bytes(bytes.try_into().unwrap());
            if table & 3 != 3 || table & C_BIT == 0 {
                return None;
            }
        }
        (table & LARGE != 0).then_some((table & !C_BIT & !0x1f_ffff) | (address & 0x1f_ffff))
    }

    #[test]
    fn every_address_below_4_gib_is_itself_and_private() {
        let mut machine = FakeMachine::new();
        let cr3 = write(&mut machine, 0x2_0000, C_BIT).unwrap();
        assert_eq!(cr3, 0x2_0000 | C_BIT);
        for address in [0, 0x1f_ffff, 0x20_0000, 0x4000_0123, 0xc000_0000, MAPPED_END - 1] {
            assert_eq!(walk(&mut machine, cr3, address), Some(address));
        }
        assert_eq!(walk(&mut machine, cr3, MAPPED_END), None);
        assert_eq!(walk(&mut machine, cr3, 1 << 39), None);
    }
}
