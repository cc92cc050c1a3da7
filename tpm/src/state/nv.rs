// SPDX-License-Identifier: MIT OR Apache-2.0
//! NV indices (Part 1, 34): public areas, authorisation values and data in one arena.

use zeroize::Zeroize;

use super::capacity::{NV_DATA_SIZE, NV_INDICES};
use super::tracked::Tracked;
use crate::structure::digest::Auth;
use crate::structure::handle::{Handle, HandleKind};
use crate::structure::nv::{NvAttributes, NvPublic, NvType};
use crate::structure::response_code::ResponseCode;
use crate::wire::Result;

/// An NV index. Its data stands in the arena.
#[derive(Clone, Debug)]
pub struct NvIndex {
    /// The public area, with the attributes as they are now.
    pub public: NvPublic,
    /// The authorisation value.
    pub auth: Auth,
    offset: usize,
}

/// All NV indices. The data of all stands without gaps at the front of the arena.
///
/// Most commands have nothing to do with NV, and few TPMs have many indices: neither shall cost a
/// walk through all places.
pub struct Nv {
    pub(super) indices: [Tracked<Option<NvIndex>>; NV_INDICES],
    pub(super) removed: [Option<Handle>; NV_INDICES],
    /// Every index is before this place.
    end: usize,
    /// Something may be marked, or removed, since the last commit.
    is_changed: bool,
    data: [u8; NV_DATA_SIZE],
    used: usize,
}

impl core::fmt::Debug for Nv {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Nv({} of {NV_DATA_SIZE} octets used)", self.used)
    }
}

impl Nv {
    /// None.
    pub const fn new() -> Self {
        Self {
            indices: [const { Tracked::new(None) }; NV_INDICES],
            removed: [None; NV_INDICES],
            end: 0,
            is_changed: false,
            data: [0; NV_DATA_SIZE],
            used: 0,
        }
    }

    /// Forgets everything, wiping the data (power was lost; the records stay).
    pub fn clear(&mut self) {
        self.indices = [const { Tracked::new(None) }; NV_INDICES];
        self.removed = [None; NV_INDICES];
        self.end = 0;
        self.is_changed = false;
        self.data.as_mut_slice().zeroize();
        self.used = 0;
    }

    /// Whether there may be records to write or delete.
    pub(super) const fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// The records were written.
    pub(super) fn settle(&mut self) {
        if self.is_changed {
            self.indices.iter_mut().for_each(Tracked::settle);
            self.removed = [None; NV_INDICES];
            self.is_changed = false;
        }
    }

    /// Whether every index is where it is looked for.
    pub fn is_compact(&self) -> bool {
        self.indices.iter().skip(self.end).all(|slot| slot.is_none())
    }

    /// The index with this handle.
    pub fn get(&self, handle: Handle) -> Option<&NvIndex> {
        if handle.kind() != Some(HandleKind::NvIndex) {
            return None;
        }
        self.iter().find(|index| index.public.index == handle)
    }

    /// The index with this handle, to be changed and written at the commit.
    pub fn change(&mut self, handle: Handle) -> Option<&mut NvIndex> {
        self.is_changed = true;
        self.slot(handle)?.change().as_mut()
    }

    /// The index with this handle, to be changed; not written before an orderly shutdown.
    pub fn change_orderly(&mut self, handle: Handle) -> Option<&mut NvIndex> {
        self.slot(handle)?.change_volatile().as_mut()
    }

    /// All indices, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &NvIndex> {
        self.indices.iter().take(self.end).filter_map(|slot| slot.as_ref())
    }

    /// Free octets of data.
    pub const fn free(&self) -> usize {
        NV_DATA_SIZE.saturating_sub(self.used)
    }

    /// Defines an index: TPM_RC_NV_DEFINED if there is one, TPM_RC_NV_SPACE if it doesn't fit.
    /// Its data are all ones, as erased memory has them.
    pub fn define(&mut self, public: NvPublic, auth: Auth) -> Result<()> {
        if self.get(public.index).is_some() {
            return Err(ResponseCode::NV_DEFINED);
        }
        let size = usize::from(public.data_size);
        self.check_room(public.index, size)?;
        let offset = self.used;
        let free = (1..).zip(&mut self.indices).find(|(_, slot)| slot.is_none());
        let (end, slot) = free.ok_or(ResponseCode::NV_SPACE)?;
        *slot.change() = Some(NvIndex { public, auth, offset });
        self.end = self.end.max(end);
        self.is_changed = true;
        self.used = offset.saturating_add(size);
        self.data.get_mut(offset..self.used).unwrap_or_default().fill(0xff);
        Ok(())
    }

    /// TPM_RC_NV_SPACE if an index with so many octets of data could not take the place of the one
    /// with this handle, or be added if there is none.
    pub fn check_room(&self, handle: Handle, size: usize) -> Result<()> {
        let replaced = self.get(handle).map(|index| usize::from(index.public.data_size));
        let has_slot = replaced.is_some() || self.indices.iter().any(|slot| slot.is_none());
        let has_room = size <= self.free().saturating_add(replaced.unwrap_or_default());
        if has_slot && has_room { Ok(()) } else { Err(ResponseCode::NV_SPACE) }
    }

    /// Removes every index that fits.
    pub fn remove_if(&mut self, mut fits: impl FnMut(&NvIndex) -> bool) {
        for place in 0..self.end {
            let index = self.indices.get(place).and_then(|slot| slot.as_ref());
            if let Some(index) = index.filter(|index| fits(index)).cloned() {
                self.remove_at(place, &index);
            }
        }
    }

    fn remove_at(&mut self, place: usize, index: &NvIndex) {
        if let Some(slot) = self.indices.get_mut(place) {
            *slot.change() = None;
        }
        if let Some(removed) = self.removed.get_mut(place) {
            *removed = Some(index.public.index);
        }
        self.is_changed = true;
        while let Some(last) = self.end.checked_sub(1)
            && self.indices.get(last).is_some_and(|slot| slot.is_none())
        {
            self.end = last;
        }
        // Closes the gap; the octets that become free are wiped.
        let size = usize::from(index.public.data_size);
        if let Some(behind) = self.data.get_mut(index.offset..self.used)
            && size <= behind.len()
        {
            behind.copy_within(size.., 0);
        }
        let used = self.used.saturating_sub(size);
        self.data.get_mut(used..self.used).unwrap_or_default().fill(0);
        self.used = used;
        for slot in self.indices.iter_mut().take(self.end) {
            if let Some(other) = slot.change_volatile()
                && other.offset > index.offset
            {
                other.offset = other.offset.saturating_sub(size);
            }
        }
    }

    /// The data of an index; empty if there is none.
    pub fn data(&self, handle: Handle) -> &[u8] {
        let range = self.get(handle).map(NvIndex::range);
        range.and_then(|range| self.data.get(range)).unwrap_or_default()
    }

    /// The data of an index, to be changed and written at the commit.
    pub fn change_data(&mut self, handle: Handle) -> &mut [u8] {
        let range = self.change(handle).map(|index| index.range());
        range.and_then(|range| self.data.get_mut(range)).unwrap_or_default()
    }

    /// The data of an orderly index, to be changed; not written before an orderly shutdown.
    pub fn change_data_orderly(&mut self, handle: Handle) -> &mut [u8] {
        let range = self.get(handle).map(NvIndex::range);
        range.and_then(|range| self.data.get_mut(range)).unwrap_or_default()
    }

    /// Marks every index that fits to be written at the commit.
    pub fn mark_if(&mut self, mut fits: impl FnMut(&NvIndex) -> bool) {
        for slot in self.indices.iter_mut().take(self.end) {
            if slot.as_ref().is_some_and(&mut fits) {
                slot.change();
                self.is_changed = true;
            }
        }
    }

    /// Changes every index for which `change` says that it did.
    pub fn change_each(&mut self, mut change: impl FnMut(&mut NvIndex) -> bool) {
        for slot in self.indices.iter_mut().take(self.end) {
            if slot.change_volatile().as_mut().is_some_and(&mut change) {
                slot.change();
                self.is_changed = true;
            }
        }
    }

    fn slot(&mut self, handle: Handle) -> Option<&mut Tracked<Option<NvIndex>>> {
        let fits = |index: &NvIndex| index.public.index == handle;
        self.indices.iter_mut().take(self.end).find(|slot| slot.as_ref().is_some_and(fits))
    }
}

impl NvIndex {
    fn range(&self) -> core::ops::Range<usize> {
        self.offset..self.offset.saturating_add(usize::from(self.public.data_size))
    }
}

impl Default for Nv {
    fn default() -> Self {
        Self::new()
    }
}

impl super::State {
    /// Removes every index that fits. The greatest count of a removed counter is remembered, so
    /// that a new one never counts what was counted before (Part 1, 34.3).
    pub fn remove_indices(&mut self, mut fits: impl FnMut(&NvIndex) -> bool) {
        let mut greatest = self.permanent.nv_counter_max;
        for index in self.nv.iter().filter(|index| fits(index)) {
            let attributes = index.public.attributes;
            if attributes.nv_type() == Some(NvType::Counter)
                && attributes.contains(NvAttributes::WRITTEN)
                && let Some(count) = self.nv.data(index.public.index).first_chunk()
            {
                greatest = greatest.max(u64::from_be_bytes(*count));
            }
        }
        if greatest != self.permanent.nv_counter_max {
            self.permanent.change().nv_counter_max = greatest;
        }
        self.nv.remove_if(fits);
    }
}

impl Nv {
    /// NV counters that can still be defined.
    pub fn free_counters(&self) -> usize {
        const COUNTER_SIZE: usize = 8;
        let places = self.indices.iter().filter(|slot| slot.is_none()).count();
        places.min(self.free() / COUNTER_SIZE)
    }
}
