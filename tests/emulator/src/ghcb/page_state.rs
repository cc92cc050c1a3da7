// SPDX-License-Identifier: MIT OR Apache-2.0
//! Page state change by the GHCB page. AMD 56421, 4.1.6.

use core::mem::offset_of;

use snp_abi::ghcb::{
    PAGE_STATE_ENTRIES, PageOperation, PageStateChange, PageStateEntry, page_state_error,
};

use super::call::{Call, Refusal};
use crate::counters::{Event, count_many};
use crate::physical;
use crate::rmp::FRAMES_IN_LARGE;
use crate::vcpu::Context;
use crate::world;

/// Works through the entries from `current` to `end`. After an error `current` names the entry that
/// failed.
pub(super) fn change(context: &Context, call: &Call) -> Result<u64, Refusal> {
    let list = call.scratch(size_of::<PageStateChange>() as u64)?;
    let current_at = list + offset_of!(PageStateChange, current) as u64;
    let (first, last): (u16, u16) = (
        physical::read(current_at),
        physical::read(list + offset_of!(PageStateChange, end) as u64),
    );
    if usize::from(last) >= PAGE_STATE_ENTRIES || first > last {
        return Ok(page_state_error::INVALID_HEADER);
    }
    for index in first..=last {
        physical::write(current_at, index);
        let entry_at = list + offset_of!(PageStateChange, entries) as u64 + 8 * u64::from(index);
        let Some(mut entry) = PageStateEntry::decode(physical::read(entry_at)) else {
            return Ok(page_state_error::INVALID_ENTRY);
        };
        if !apply(context, &entry) {
            return Ok(page_state_error::GENERIC);
        }
        entry.current_page = if entry.large { 512 } else { 1 };
        physical::write(entry_at, entry.encode());
    }
    physical::write(current_at, last + 1);
    Ok(0)
}

/// One entry; false if the hypervisor can't.
fn apply(context: &Context, entry: &PageStateEntry) -> bool {
    let private = match entry.operation {
        PageOperation::Private => true,
        PageOperation::Shared => false,
        // Hints about entry sizes: the machine splits by itself.
        PageOperation::Smash | PageOperation::Unsmash => return true,
    };
    let pages = if entry.large { FRAMES_IN_LARGE } else { 1 };
    count_many(context.processor, context.vmpl, Event::PageStatePages, pages);
    world::memory().change_state(context.processor, entry.gpa, private, entry.large).is_ok()
}
