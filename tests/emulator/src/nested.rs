// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nested page tables that let the real processor enforce the RMP: one set for each VMPL.
//!
//! ```text
//! root, paging on: [0] ─► shared view (C = 0) [1] ─► private view (C = 1: bit 39 of the address)
//! root, paging off: [0] ─► private view every access is private
//! ```
//! Entries appear on nested page faults, when the RMP allows the access, and go when an RMP change
//! takes a right away. A device has no entry: its accesses always exit.

use snp_abi::Vmpl;

use crate::layout::PAGE;
use crate::rmp::{Access, Change, FRAMES_IN_LARGE, Permissions, Rmp};
use crate::{physical, pool};

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const TABLE: u64 = PRESENT | WRITABLE | USER;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Gibibytes of guest memory that the tables reach.
const GIBIBYTES: u64 = 2;

/// The tables of one VMPL.
pub(crate) struct NestedTables {
    /// Root while the guest's paging is on.
    pub(crate) paged_root: u64,
    /// Root while it is off.
    pub(crate) unpaged_root: u64,
    /// Page directories, consecutive: shared view and private view.
    directories: [u64; 2],
}

impl NestedTables {
    pub(crate) fn new() -> Self {
        let view = || {
            let (pointers, directories) = (pool::pages(1), pool::pages(GIBIBYTES));
            for gibibyte in 0..GIBIBYTES {
                physical::write(pointers + gibibyte * 8, (directories + gibibyte * PAGE) | TABLE);
            }
            (pointers, directories)
        };
        let (shared, private) = (view(), view());
        let (paged_root, unpaged_root) = (pool::pages(1), pool::pages(1));
        physical::write(paged_root, shared.0 | TABLE);
        physical::write(paged_root + 8, private.0 | TABLE);
        physical::write(unpaged_root, private.0 | TABLE);
        // An address with the C-bit means the same page while paging is off.
        physical::write(unpaged_root + 8, private.0 | TABLE);
        Self { paged_root, unpaged_root, directories: [shared.1, private.1] }
    }

    fn directory_entry(&self, private: bool, frame: u64) -> u64 {
        self.directories[usize::from(private)] + frame / FRAMES_IN_LARGE * 8
    }

    /// Maps a frame for an access that the RMP has allowed.
    pub(crate) fn map(&mut self, rmp: &Rmp<'_>, vmpl: Vmpl, frame: u64, access: Access) {
        let flags = entry_flags(rmp.entry(frame).permissions(vmpl), access);
        let slot = self.directory_entry(access.private, frame);
        let directory_entry: u64 = physical::read(slot);
        if directory_entry & PRESENT == 0 && rmp.is_uniform_around(frame) {
            let base = frame / FRAMES_IN_LARGE * FRAMES_IN_LARGE * PAGE;
            physical::write(slot, base | flags | LARGE);
            return;
        }
        let table = if directory_entry & (PRESENT | LARGE) == PRESENT {
            directory_entry & ADDRESS
        } else {
            let table = pool::pages(1);
            physical::write(slot, table | TABLE);
            table
        };
        physical::write(table + frame % FRAMES_IN_LARGE * 8, (frame * PAGE) | flags);
    }

    /// Removes the entries of a range. True if there was one.
    pub(crate) fn unmap(&mut self, change: Change) -> bool {
        let mut removed = false;
        for private in [false, true] {
            let mut frame = change.first_frame;
            let end = change.first_frame + change.frames;
            while frame < end {
                let next = (frame / FRAMES_IN_LARGE + 1) * FRAMES_IN_LARGE;
                removed |= self.unmap_within_large(private, frame, next.min(end));
                frame = next;
            }
        }
        removed
    }

    fn unmap_within_large(&mut self, private: bool, first: u64, end: u64) -> bool {
        let slot = self.directory_entry(private, first);
        let directory_entry: u64 = physical::read(slot);
        if directory_entry & PRESENT == 0 {
            return false;
        }
        if directory_entry & LARGE != 0 {
            physical::write(slot, 0u64);
            return true;
        }
        let mut removed = false;
        for frame in first..end {
            let slot = (directory_entry & ADDRESS) + frame % FRAMES_IN_LARGE * 8;
            if physical::read::<u64>(slot) != 0 {
                physical::write(slot, 0u64);
                removed = true;
            }
        }
        removed
    }
}

/// The nested tables know one execute right, the RMP two: a page that only one kind of code may
/// execute becomes executable when that kind does, and is caught for the other kind until then.
fn entry_flags(permissions: Permissions, access: Access) -> u64 {
    if !access.private {
        // Instructions are always fetched privately: nothing executes from a shared page.
        return TABLE | NO_EXECUTE;
    }
    let both = Permissions::EXECUTE_USER | Permissions::EXECUTE_SUPERVISOR;
    PRESENT
        | USER
        | if permissions.contains(Permissions::WRITE) { WRITABLE } else { 0 }
        | if permissions.contains(both) || access.fetch { 0 } else { NO_EXECUTE }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Access = Access { private: true, write: false, fetch: false, user: false };

    #[test]
    fn entries_never_give_more_than_the_rmp() {
        let shared = Access { private: false, ..READ };
        assert_ne!(entry_flags(Permissions::all(), shared) & NO_EXECUTE, 0);
        assert_ne!(entry_flags(Permissions::READ, READ) & NO_EXECUTE, 0);
        assert_eq!(entry_flags(Permissions::READ, READ) & WRITABLE, 0);
        let user_code = Permissions::READ | Permissions::EXECUTE_USER;
        assert_ne!(entry_flags(user_code, READ) & NO_EXECUTE, 0);
        assert_eq!(entry_flags(user_code, Access { fetch: true, ..READ }) & NO_EXECUTE, 0);
        assert_eq!(entry_flags(Permissions::all(), READ), PRESENT | USER | WRITABLE);
    }
}
