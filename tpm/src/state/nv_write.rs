// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of what an NV index holds (Part 1, 34.3 to 34.7). What an index with TPMA_NV_ORDERLY
//! holds need not be durable before the next TPM2_Shutdown.

use super::State;
use super::capacity::ORDERLY_COUNT;
use super::groups::Shutdown;
use super::nv::{Nv, NvIndex};
use crate::structure::handle::Handle;
use crate::structure::nv::{NvAttributes, NvType};
use crate::structure::response_code::ResponseCode;
use crate::wire::Result;

/// What is behind a first write that doesn't fill the index.
const ERASED: u8 = 0xff;

impl State {
    /// Puts `data` at `offset` and marks the index written. Permission, type and range are the
    /// caller's to check; beyond the index is TPM_RC_NV_RANGE.
    pub fn write_nv(&mut self, index: Handle, offset: usize, data: &[u8]) -> Result<()> {
        let attributes = self.nv_attributes(index)?;
        let end = offset.checked_add(data.len()).ok_or(ResponseCode::NV_RANGE)?;
        let current = self.nv.data(index).get(offset..end).ok_or(ResponseCode::NV_RANGE)?;
        let is_written = attributes.contains(NvAttributes::WRITTEN);
        if is_written && current == data {
            return Ok(());
        }
        let place = if is_written && can_wait(attributes, data) {
            self.note_orderly_change();
            self.nv.change_data_orderly(index)
        } else {
            self.set_nv_attribute(index, NvAttributes::WRITTEN)?;
            self.nv.change_data(index)
        };
        if !is_written {
            place.fill(ERASED);
        }
        place.get_mut(offset..end).ok_or(ResponseCode::NV_RANGE)?.copy_from_slice(data);
        Ok(())
    }

    /// Sets an attribute of an index that the pipeline has resolved.
    pub fn set_nv_attribute(&mut self, index: Handle, attribute: NvAttributes) -> Result<()> {
        let found = self.nv.change(index).ok_or(ResponseCode::HANDLE)?;
        found.public.attributes = found.public.attributes.with(attribute);
        Ok(())
    }

    /// The greatest count of any counter that there is or was.
    pub fn greatest_nv_count(&self) -> u64 {
        let counters = self.nv.iter().filter(|index| index.is_written_counter());
        let counts = counters.map(|index| self.nv.number(index.public.index));
        counts.fold(self.permanent.nv_counter_max, u64::max)
    }

    /// What the last TPM2_Shutdown wrote is no more true.
    fn note_orderly_change(&mut self) {
        if matches!(self.orderly.shutdown, Shutdown::Clear | Shutdown::State) {
            self.orderly.change().shutdown = Shutdown::None;
        }
    }
}

/// Whether a change can wait for the shutdown: of an orderly index, but of a counter only those
/// that [`NvAttributes::ORDERLY`] counters make up for by skipping (Part 1, 34.7.3).
fn can_wait(attributes: NvAttributes, data: &[u8]) -> bool {
    if attributes.nv_type() != Some(NvType::Counter) {
        return attributes.contains(NvAttributes::ORDERLY);
    }
    let is_milestone = match data.first_chunk().copied().map(u64::from_be_bytes) {
        Some(count) => count & u64::from(ORDERLY_COUNT) == 0,
        None => true,
    };
    attributes.contains(NvAttributes::ORDERLY) && !is_milestone
}

impl Nv {
    /// The number that a counter or bit field holds; 0 for an index of less than 8 octets.
    pub fn number(&self, handle: Handle) -> u64 {
        self.data(handle).first_chunk().copied().map_or(0, u64::from_be_bytes)
    }

    /// Moves orderly counters to the last count before the one that would have been written.
    pub(super) fn skip_lost_counts(&mut self) {
        for place in 0..self.indices.len() {
            let index = self.indices.get(place).and_then(|slot| slot.as_ref());
            let is_lossy = |index: &&NvIndex| {
                index.is_written_counter()
                    && index.public.attributes.contains(NvAttributes::ORDERLY)
            };
            let Some(handle) = index.filter(is_lossy).map(|index| index.public.index) else {
                continue;
            };
            let count = self.number(handle) | u64::from(ORDERLY_COUNT);
            if let Some(place) = self.change_data(handle).first_chunk_mut() {
                *place = count.to_be_bytes();
            }
        }
    }
}

impl NvIndex {
    /// Whether it is a counter that has a count.
    pub fn is_written_counter(&self) -> bool {
        let attributes = self.public.attributes;
        attributes.nv_type() == Some(NvType::Counter) && attributes.contains(NvAttributes::WRITTEN)
    }
}
