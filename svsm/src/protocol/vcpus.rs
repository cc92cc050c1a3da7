// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's vCPUs: which pages are VMSAs, and where each vCPU's calling area is.
//!
//! An APIC id may have several VMSAs at a time: Linux creates the new one before it deletes the
//! old, and never deletes those of its firmware. The one created last is *current*; only that one
//! is served. Invariant: no page is a VMSA twice, no current calling area is a VMSA, at most one
//! record per APIC id is current.

use crate::machine::PAGE_BYTES;

/// Most VMSAs that may exist at a time: 128 vCPUs, each with one leftover of the firmware.
pub const VMSAS_MAX: usize = 256;

/// Who owns the page of a VMSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmsaOwner {
    /// The SVSM made it, in its own memory; the guest can't delete it.
    Svsm,
    /// The guest gave the page by CREATE_VCPU.
    Guest,
}

/// One VMSA and the vCPU that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vcpu {
    /// The APIC id.
    pub apic_id: u32,
    /// Guest-physical address of the VMSA page.
    pub vmsa: u64,
    /// Guest-physical address of the calling area; `None` once another use of the page has ended
    /// it.
    pub calling_area: Option<u64>,
    owner: VmsaOwner,
    /// Whether this record means anything. A flag rather than an `Option` around it: the empty
    /// table is then all zeros and takes no room in the image.
    in_use: bool,
    current: bool,
    serving: bool,
    /// While serving: the calling area that the call came through, which REMAP_CA may have
    /// exchanged since. The run loop still writes there.
    entered_through: Option<u64>,
}

impl Vcpu {
    const UNUSED: Self = Self {
        apic_id: 0,
        vmsa: 0,
        calling_area: None,
        owner: VmsaOwner::Svsm,
        in_use: false,
        current: false,
        serving: false,
        entered_through: None,
    };
}

/// The table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableFull;

/// Why a VMSA can't be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRemovable {
    /// No VMSA of the guest's at that address.
    Unknown,
    /// A call of that vCPU is being served: its registers are about to be written.
    Serving,
}

/// All VMSAs of the guest.
#[derive(Debug)]
pub struct VcpuTable {
    records: [Vcpu; VMSAS_MAX],
}

impl Default for VcpuTable {
    fn default() -> Self {
        Self::new()
    }
}

impl VcpuTable {
    /// A table without vCPUs.
    pub const fn new() -> Self {
        Self { records: [Vcpu::UNUSED; VMSAS_MAX] }
    }

    fn used(&self) -> impl Iterator<Item = &Vcpu> {
        self.records.iter().filter(|record| record.in_use)
    }

    fn used_mut(&mut self) -> impl Iterator<Item = &mut Vcpu> {
        self.records.iter_mut().filter(|record| record.in_use)
    }

    /// Registers a VMSA and makes it its APIC id's current one. The caller has checked that the
    /// page is no VMSA yet.
    pub fn insert(
        &mut self,
        apic_id: u32,
        vmsa: u64,
        calling_area: u64,
        owner: VmsaOwner,
    ) -> Result<(), TableFull> {
        let slot = self.records.iter().position(|record| !record.in_use).ok_or(TableFull)?;
        for record in self.used_mut() {
            if record.apic_id == apic_id {
                record.current = false;
            }
            // The page is about to become a VMSA: whoever used it as a calling area no longer does.
            if record.calling_area == Some(vmsa) {
                record.calling_area = None;
            }
        }
        let record = Vcpu {
            apic_id,
            vmsa,
            calling_area: Some(calling_area),
            owner,
            in_use: true,
            current: true,
            serving: false,
            entered_through: None,
        };
        if let Some(free) = self.records.get_mut(slot) {
            *free = record;
        }
        Ok(())
    }

    /// Whether one more VMSA can be registered.
    pub fn has_room(&self) -> bool {
        self.records.iter().any(|record| !record.in_use)
    }

    /// The VMSA and calling area that serve `apic_id` now.
    pub fn current(&self, apic_id: u32) -> Option<&Vcpu> {
        self.used().find(|record| record.current && record.apic_id == apic_id)
    }

    fn current_mut(&mut self, apic_id: u32) -> Option<&mut Vcpu> {
        self.used_mut().find(|record| record.current && record.apic_id == apic_id)
    }

    /// Marks the start of a call, so that nobody deletes the VMSA meanwhile. `None`: the vCPU has
    /// no VMSA now.
    pub fn begin_call(&mut self, apic_id: u32) -> Option<Vcpu> {
        let record = self.current_mut(apic_id)?;
        record.serving = true;
        record.entered_through = record.calling_area;
        Some(*record)
    }

    /// Marks the end of a call that started with `vmsa`.
    pub fn end_call(&mut self, vmsa: u64) {
        if let Some(record) = self.used_mut().find(|record| record.vmsa == vmsa) {
            record.serving = false;
            record.entered_through = None;
        }
    }

    /// Whether a call is being served that came through the calling area at `address`, or whose
    /// vCPU has it now.
    pub fn serving_from(&self, address: u64) -> bool {
        let mut serving = self.used().filter(|record| record.serving);
        serving.any(|record| [record.calling_area, record.entered_through].contains(&Some(address)))
    }

    /// Moves the calling area of the vCPU whose current VMSA is `apic_id`'s; `false` if it has
    /// none.
    pub fn move_calling_area(&mut self, apic_id: u32, calling_area: u64) -> bool {
        match self.current_mut(apic_id) {
            Some(record) => {
                record.calling_area = Some(calling_area);
                true
            }
            None => false,
        }
    }

    /// Whether `vmsa` may be deleted now.
    pub fn removable(&self, vmsa: u64) -> Result<(), NotRemovable> {
        let record = self
            .used()
            .find(|record| record.vmsa == vmsa && record.owner == VmsaOwner::Guest)
            .ok_or(NotRemovable::Unknown)?;
        if record.serving { Err(NotRemovable::Serving) } else { Ok(()) }
    }

    /// Forgets `vmsa` and its calling area.
    pub fn remove(&mut self, vmsa: u64) {
        for record in self.used_mut().filter(|record| record.vmsa == vmsa) {
            *record = Vcpu::UNUSED;
        }
    }

    /// Whether any VMSA page overlaps `start..end`.
    pub fn holds_vmsa(&self, start: u64, end: u64) -> bool {
        self.used().any(|record| overlaps(record.vmsa, start, end))
    }

    /// Whether any current vCPU's calling area overlaps `start..end`.
    pub fn holds_calling_area(&self, start: u64, end: u64) -> bool {
        let mut current = self.used().filter(|record| record.current);
        current.any(|record| record.calling_area.is_some_and(|area| overlaps(area, start, end)))
    }
}

fn overlaps(page: u64, start: u64, end: u64) -> bool {
    page < end && start < page.saturating_add(PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_refuses() {
        let mut table = VcpuTable::new();
        for index in 0..VMSAS_MAX as u64 {
            table.insert(1, index * PAGE_BYTES, 0x100_0000, VmsaOwner::Guest).unwrap();
        }
        assert!(!table.has_room());
        assert_eq!(table.insert(1, 0x200_0000, 0x100_0000, VmsaOwner::Guest), Err(TableFull));
    }

    #[test]
    fn what_is_served_or_ours_is_not_removable() {
        let mut table = VcpuTable::new();
        table.insert(0, 0x1000, 0x2000, VmsaOwner::Svsm).unwrap();
        table.insert(1, 0x3000, 0x4000, VmsaOwner::Guest).unwrap();
        assert_eq!(table.removable(0x1000), Err(NotRemovable::Unknown));
        assert_eq!(table.removable(0x4000), Err(NotRemovable::Unknown));
        assert_eq!(table.begin_call(1).map(|vcpu| vcpu.vmsa), Some(0x3000));
        assert_eq!(table.removable(0x3000), Err(NotRemovable::Serving));
        table.end_call(0x3000);
        assert_eq!(table.removable(0x3000), Ok(()));
    }

    #[test]
    fn the_newest_vmsa_is_current_and_the_old_one_still_protected() {
        let mut table = VcpuTable::new();
        table.insert(1, 0x1000, 0x2000, VmsaOwner::Guest).unwrap();
        table.insert(1, 0x3000, 0x4000, VmsaOwner::Guest).unwrap();
        assert_eq!(table.current(1).map(|vcpu| vcpu.vmsa), Some(0x3000));
        assert!(table.holds_vmsa(0x1000, 0x2000));
        assert!(!table.holds_calling_area(0x2000, 0x3000), "the old calling area is free");
        table.remove(0x1000);
        assert!(!table.holds_vmsa(0x1000, 0x2000));
        table.remove(0x3000);
        assert_eq!(table.current(1), None);
    }

    #[test]
    fn a_vmsa_on_a_calling_area_ends_that_calling_area() {
        let mut table = VcpuTable::new();
        table.insert(1, 0x1000, 0x2000, VmsaOwner::Guest).unwrap();
        table.insert(2, 0x2000, 0x5000, VmsaOwner::Guest).unwrap();
        assert_eq!(table.current(1).and_then(|vcpu| vcpu.calling_area), None);
    }
}
