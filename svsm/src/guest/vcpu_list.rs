// SPDX-License-Identifier: MIT OR Apache-2.0
//! The APIC ids of the machine's vCPUs, from the MADT that the host gives as an IGVM parameter
//! (ACPI 6.5, section 5.2.12). It is host-controlled: checked, bounded, used for nothing but ids.

use crate::cpu::CPUS_MAX;

const SIGNATURE: [u8; 4] = *b"APIC";
/// Table header, local APIC address, flags.
const HEADER_SIZE: usize = 44;
/// Offset of the table's length.
const LENGTH_OFFSET: usize = 4;
const TYPE_LOCAL_APIC: u8 = 0;
const TYPE_LOCAL_X2APIC: u8 = 9;
const FLAG_ENABLED: u32 = 1;

/// Why the list cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VcpuListError {
    /// Not a MADT, or one that does not fit its page.
    NotMadt,
    /// An entry leaves the table, or is too short for its type.
    BadEntry,
    /// The same APIC id twice.
    Duplicate(u32),
    /// More vCPUs than the SVSM serves.
    TooMany,
    /// No vCPU, or not the one that runs this code.
    Missing(u32),
}

/// APIC ids; the first is the boot vCPU's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VcpuList {
    ids: [u32; CPUS_MAX],
    count: usize,
}

impl VcpuList {
    /// The list from the MADT page, or ids from 0 to `count - 1` when the page is empty.
    /// `boot` is the id of the vCPU that runs this code.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn new(madt: &[u8], count: u32, boot: u32) -> Result<Self, VcpuListError> {
        let mut list = Self { ids: [0; CPUS_MAX], count: 0 };
        if madt.iter().all(|byte| *byte == 0) {
            for id in 0..count {
                list.push(id)?;
            }
        } else {
            list.read_madt(madt)?;
        }
        let place = list.ids().iter().position(|id| *id == boot);
        let place = place.ok_or(VcpuListError::Missing(boot))?;
        list.ids.get_mut(..=place).ok_or(VcpuListError::Missing(boot))?.rotate_right(1);
        Ok(list)
    }

    /// The ids, the boot vCPU's first.
    pub fn ids(&self) -> &[u32] {
        self.ids.get(..self.count).unwrap_or(&[])
    }

    /// Takes the last one away, unless it is the only one: it will not be the guest's.
    pub fn take_last(&mut self) -> Option<u32> {
        let last = self.ids().get(1..)?.last().copied()?;
        self.count -= 1;
        Some(last)
    }

    fn read_madt(&mut self, page: &[u8]) -> Result<(), VcpuListError> {
        let length = page
            .get(LENGTH_OFFSET..LENGTH_OFFSET + 4)
            .filter(|_| page.starts_with(&SIGNATURE))
            .and_then(little_endian)
            .and_then(|length| usize::try_from(length).ok())
            .ok_or(VcpuListError::NotMadt)?;
        let mut entries = page.get(HEADER_SIZE..length).ok_or(VcpuListError::NotMadt)?;
        // Each entry is at least two bytes long, so the page bounds this loop.
        while let Some((head, _)) = entries.split_first_chunk::<2>() {
            let [kind, size] = *head;
            let size = usize::from(size);
            let entry = entries.get(..size).filter(|_| size >= 2).ok_or(VcpuListError::BadEntry)?;
            if let Some(id) = enabled_id(kind, entry)? {
                self.push(id)?;
            }
            entries = entries.get(size..).unwrap_or(&[]);
        }
        if entries.is_empty() { Ok(()) } else { Err(VcpuListError::BadEntry) }
    }

    fn push(&mut self, id: u32) -> Result<(), VcpuListError> {
        if self.ids().contains(&id) {
            return Err(VcpuListError::Duplicate(id));
        }
        *self.ids.get_mut(self.count).ok_or(VcpuListError::TooMany)? = id;
        self.count += 1;
        Ok(())
    }
}

/// The APIC id in a processor's entry, if the processor is enabled.
fn enabled_id(kind: u8, entry: &[u8]) -> Result<Option<u32>, VcpuListError> {
    let (id, flags) = match kind {
        TYPE_LOCAL_APIC => (entry.get(3).map(|id| u32::from(*id)), entry.get(4..8)),
        TYPE_LOCAL_X2APIC => (entry.get(4..8).and_then(little_endian), entry.get(8..12)),
        _ => return Ok(None),
    };
    let id = id.ok_or(VcpuListError::BadEntry)?;
    let flags = flags.and_then(little_endian).ok_or(VcpuListError::BadEntry)?;
    Ok((flags & FLAG_ENABLED != 0).then_some(id))
}

fn little_endian(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.first_chunk::<4>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local_apic(id: u8, flags: u8) -> Vec<u8> {
        vec![0, 8, 0, id, flags, 0, 0, 0]
    }

    fn madt(entries: &[Vec<u8>]) -> Vec<u8> {
        let mut page = b"APIC".to_vec();
        page.resize(HEADER_SIZE, 0);
        entries.iter().for_each(|entry| page.extend_from_slice(entry));
        let length = u32::try_from(page.len()).unwrap();
        page[4..8].copy_from_slice(&length.to_le_bytes());
        page.resize(4096, 0);
        page
    }

    #[test]
    fn malformed_tables_are_refused() {
        let check = |page: &[u8], expected| {
            assert_eq!(VcpuList::new(page, 1, 0).unwrap_err(), expected);
        };
        check(b"FACP", VcpuListError::NotMadt);
        let mut page = madt(&[]);
        page[4..8].copy_from_slice(&5000u32.to_le_bytes());
        check(&page, VcpuListError::NotMadt);
        page[4..8].copy_from_slice(&43u32.to_le_bytes());
        check(&page, VcpuListError::NotMadt);
        check(&madt(&[vec![0, 0]]), VcpuListError::BadEntry);
        check(&madt(&[vec![0, 1]]), VcpuListError::BadEntry);
        check(&madt(&[vec![0]]), VcpuListError::BadEntry);
        check(&madt(&[vec![0, 4, 0, 0]]), VcpuListError::BadEntry);
        check(&madt(&[vec![0, 200, 0, 0]]), VcpuListError::BadEntry);
        check(&madt(&[local_apic(3, 1), local_apic(3, 1)]), VcpuListError::Duplicate(3));
        check(&madt(&[local_apic(1, 1)]), VcpuListError::Missing(0));
        check(&madt(&[local_apic(0, 0)]), VcpuListError::Missing(0));
        let many: Vec<_> = (0..9).map(|id| local_apic(id, 1)).collect();
        check(&madt(&many), VcpuListError::TooMany);
    }

    #[test]
    fn the_boot_vcpu_comes_first() {
        let x2apic = vec![9, 16, 0, 0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        let page = madt(&[local_apic(2, 1), local_apic(0, 0), local_apic(1, 1), x2apic]);
        assert_eq!(VcpuList::new(&page, 9, 1).unwrap().ids(), [1, 2, 0x107]);
    }

    #[test]
    fn the_boot_vcpu_is_never_taken_away() {
        let mut list = VcpuList::new(&[0; 4096], 3, 2).unwrap();
        assert_eq!(
            [list.take_last(), list.take_last(), list.take_last()],
            [Some(1), Some(0), None]
        );
        assert_eq!(list.ids(), [2]);
    }

    #[test]
    fn without_a_table_ids_are_counted() {
        assert_eq!(VcpuList::new(&[0; 4096], 3, 2).unwrap().ids(), [2, 0, 1]);
        assert_eq!(VcpuList::new(&[0; 4096], 9, 0).unwrap_err(), VcpuListError::TooMany);
    }
}
