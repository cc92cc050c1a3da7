// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reverse map table (RMP): who may do what with each page of memory.
//! AMD 24593 (APM volume 2), 15.36.3 to 15.36.10; the instructions are in AMD 24594 (volume 3).
//!
//! This file decides and keeps the state. The nested page tables follow it (nested.rs), and the
//! vCPU turns its answers into results, exceptions or violations.

use snp_abi::Vmpl;

use crate::bits::index;

bitflags::bitflags! {
    /// What a VMPL may do with a page. AMD 24594, RMPADJUST.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Permissions: u8 {
        /// Read.
        const READ = 1;
        /// Write.
        const WRITE = 2;
        /// Execute at CPL 3.
        const EXECUTE_USER = 4;
        /// Execute at CPL 0 to 2.
        const EXECUTE_SUPERVISOR = 8;
    }
}

bitflags::bitflags! {
    /// State of one 4 KiB page.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Flags: u32 {
        const ASSIGNED = 1;
        const VALIDATED = 2;
        const VMSA = 4;
        /// Part of a 2 MiB entry.
        const LARGE = 8;
        /// Guest memory at all: not a device, and not the machine's own.
        const MEMORY = 16;
        /// A vCPU runs from this VMSA.
        const IN_USE = 32;
    }
}

/// One page's entry: flags, and from bit 8 four permission bits for each VMPL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry(u32);

impl Entry {
    /// Not memory.
    pub const EMPTY: Self = Self(0);

    const fn has(self, flags: Flags) -> bool {
        self.0 & flags.bits() == flags.bits()
    }
    const fn with(self, flags: Flags) -> Self {
        Self(self.0 | flags.bits())
    }
    const fn without(self, flags: Flags) -> Self {
        Self(self.0 & !flags.bits())
    }
    fn set(&mut self, flags: Flags, on: bool) {
        *self = if on { self.with(flags) } else { self.without(flags) };
    }
    const fn with_permissions(self, vmpl: Vmpl, permissions: Permissions) -> Self {
        let shift = 8 + 4 * vmpl.index();
        Self(self.0 & !(15 << shift) | (permissions.bits() as u32) << shift)
    }

    /// Guest memory, as opposed to devices and the machine's own.
    #[must_use]
    pub const fn is_memory(self) -> bool {
        self.has(Flags::MEMORY)
    }
    /// Private: owned by the guest.
    #[must_use]
    pub const fn is_assigned(self) -> bool {
        self.has(Flags::ASSIGNED)
    }
    /// Memory that is not assigned.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        self.is_memory() && !self.is_assigned()
    }
    /// Accepted by the guest.
    #[must_use]
    pub const fn is_validated(self) -> bool {
        self.has(Flags::VALIDATED)
    }
    /// Usable as a VM save area.
    #[must_use]
    pub const fn is_vmsa(self) -> bool {
        self.has(Flags::VMSA)
    }
    /// A vCPU runs from it.
    #[must_use]
    pub const fn is_in_use(self) -> bool {
        self.has(Flags::IN_USE)
    }
    /// Part of a 2 MiB entry.
    #[must_use]
    pub const fn is_large(self) -> bool {
        self.has(Flags::LARGE)
    }
    /// What a VMPL may do.
    #[must_use]
    pub const fn permissions(self, vmpl: Vmpl) -> Permissions {
        let bits = self.0 >> (8 + 4 * vmpl.index());
        Permissions::from_bits_truncate(crate::bits::low_8(bits as u64) & 15)
    }
}

impl core::fmt::Display for Entry {
    /// For example `assigned,validated,4k,vmpl0=rwxx,vmpl2=r---`.
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if !self.is_memory() {
            return formatter.write_str("not-memory");
        }
        formatter.write_str(if self.is_assigned() { "assigned" } else { "shared" })?;
        for (on, name) in [
            (self.is_validated(), ",validated"),
            (self.is_vmsa(), ",vmsa"),
            (self.is_in_use(), ",in-use"),
        ] {
            if on {
                formatter.write_str(name)?;
            }
        }
        formatter.write_str(if self.is_large() { ",2m" } else { ",4k" })?;
        for vmpl in Vmpl::ALL {
            let permissions = self.permissions(vmpl);
            if !permissions.is_empty() {
                write!(formatter, ",vmpl{}=", vmpl.index())?;
                for (permission, letter) in [
                    (Permissions::READ, 'r'),
                    (Permissions::WRITE, 'w'),
                    (Permissions::EXECUTE_USER, 'u'),
                    (Permissions::EXECUTE_SUPERVISOR, 's'),
                ] {
                    let letter = if permissions.contains(permission) { letter } else { '-' };
                    write!(formatter, "{letter}")?;
                }
            }
        }
        Ok(())
    }
}

/// EAX of PVALIDATE, RMPADJUST and RMPQUERY. AMD 24594.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Outcome {
    /// Done.
    Success = 0,
    /// A malformed operand.
    FailInput = 1,
    /// The caller's VMPL doesn't allow it.
    FailPermission = 2,
    /// The page is a VMSA that a vCPU runs from.
    FailInUse = 3,
    /// A 2 MiB operation on 4 KiB pages.
    FailSizeMismatch = 6,
}

/// An access or operation that hardware wouldn't complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The page isn't assigned: a nested page fault that the hypervisor can't resolve.
    Unassigned,
    /// The page is assigned but not validated: #VC with error code 0x404.
    NotValidated,
    /// A shared access to an assigned page.
    SharedAccess,
    /// The VMPL lacks a permission.
    Permission,
    /// A device: #VC with error code 0x400 for a shared access.
    Device,
    /// A private access to a device.
    PrivateDevice,
}

/// How a page is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// With the C-bit (or with paging off).
    pub private: bool,
    /// A write.
    pub write: bool,
    /// An instruction fetch.
    pub fetch: bool,
    /// At CPL 3.
    pub user: bool,
}

/// What an operation changed, so that the nested page tables can follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// First frame.
    pub first_frame: u64,
    /// Number of frames.
    pub frames: u64,
    /// Whether some right was taken away: other CPUs must lose their cached translations.
    pub rights_lost: bool,
}

/// The result of an RMP instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// EAX.
    pub outcome: Outcome,
    /// What changed, if anything.
    pub change: Option<Change>,
}

impl Done {
    const fn failed(outcome: Outcome) -> Self {
        Self { outcome, change: None }
    }
}

/// 4 KiB pages in a 2 MiB page.
pub const FRAMES_IN_LARGE: u64 = 512;

/// The table, one entry for each 4 KiB page of memory.
pub struct Rmp<'a> {
    entries: &'a mut [Entry],
}

impl<'a> Rmp<'a> {
    /// A table over `entries`, in which nothing is memory yet.
    pub fn new(entries: &'a mut [Entry]) -> Self {
        entries.fill(Entry::default());
        Self { entries }
    }

    /// The entry of a frame; beyond the table nothing is memory.
    #[must_use]
    pub fn entry(&self, frame: u64) -> Entry {
        self.entries.get(index(frame)).copied().unwrap_or_default()
    }

    fn update(&mut self, frame: u64, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.get_mut(index(frame)) {
            change(entry);
        }
    }

    /// The entries of a range; none if any frame is beyond the table.
    fn range(&mut self, first_frame: u64, frames: u64) -> &mut [Entry] {
        let first = index(first_frame);
        self.entries.get_mut(first..first.saturating_add(index(frames))).unwrap_or_default()
    }

    /// Marks a range as guest memory, not assigned.
    pub fn add_memory(&mut self, first_frame: u64, frames: u64) {
        self.range(first_frame, frames).fill(Entry::EMPTY.with(Flags::MEMORY));
    }

    /// What the secure processor does with a page of the IGVM file: assigned, validated, all
    /// permissions for VMPL0 and none for the others. AMD 56860, SNP_LAUNCH_UPDATE.
    pub fn launch_page(&mut self, frame: u64) {
        self.update(frame, |entry| {
            *entry = entry
                .with(Flags::ASSIGNED.union(Flags::VALIDATED))
                .with_permissions(Vmpl::Vmpl0, Permissions::all());
        });
    }

    /// May this access go through? AMD 24593, 15.36.10.
    ///
    /// # Errors
    /// What hardware does instead.
    pub fn check(&self, vmpl: Vmpl, frame: u64, access: Access) -> Result<(), Fault> {
        let entry = self.entry(frame);
        if !entry.is_memory() {
            return Err(if access.private { Fault::PrivateDevice } else { Fault::Device });
        }
        if !access.private {
            return if entry.is_assigned() { Err(Fault::SharedAccess) } else { Ok(()) };
        }
        if !entry.is_assigned() {
            return Err(Fault::Unassigned);
        }
        if !entry.is_validated() {
            return Err(Fault::NotValidated);
        }
        let needed = Permissions::READ
            | if access.write { Permissions::WRITE } else { Permissions::empty() }
            | match (access.fetch, access.user) {
                (false, _) => Permissions::empty(),
                (true, false) => Permissions::EXECUTE_SUPERVISOR,
                (true, true) => Permissions::EXECUTE_USER,
            };
        if entry.permissions(vmpl).contains(needed) { Ok(()) } else { Err(Fault::Permission) }
    }

    /// All 512 frames around `frame` have the same entry: one large nested mapping will do.
    #[must_use]
    pub fn is_uniform_around(&self, frame: u64) -> bool {
        let first = index(frame & !(FRAMES_IN_LARGE - 1));
        let Some(entries) = self.entries.get(first..first + index(FRAMES_IN_LARGE)) else {
            return false;
        };
        let Some(model) = entries.first().map(|entry| entry.without(Flags::LARGE)) else {
            return false;
        };
        entries.iter().all(|entry| entry.without(Flags::LARGE) == model)
    }

    /// Splits the 2 MiB entry around a frame, as a hypervisor does with PSMASH.
    fn smash(&mut self, frame: u64) {
        if self.entry(frame).is_large() {
            let first = frame & !(FRAMES_IN_LARGE - 1);
            for entry in self.range(first, FRAMES_IN_LARGE) {
                entry.set(Flags::LARGE, false);
            }
        }
    }

    /// The hypervisor's RMPUPDATE for a page state change request. AMD 56421, 4.1.6.
    /// Pages already in the wanted state stay as they are, contents included.
    ///
    /// # Errors
    /// `Err(frame)`: that frame isn't memory, or is a VMSA in use; nothing was changed.
    pub fn change_state(
        &mut self,
        first_frame: u64,
        private: bool,
        large: bool,
        mut scramble: impl FnMut(u64),
    ) -> Result<Option<Change>, u64> {
        let frames = if large { FRAMES_IN_LARGE } else { 1 };
        if large && !first_frame.is_multiple_of(FRAMES_IN_LARGE) {
            return Err(first_frame);
        }
        if !large {
            self.smash(first_frame);
        }
        let entries = self.range(first_frame, frames);
        if entries.is_empty() {
            return Err(first_frame);
        }
        let refuses = |entry: &Entry| !entry.is_memory() || entry.is_in_use();
        if let Some(position) = entries.iter().position(refuses) {
            return Err(first_frame + position as u64);
        }
        let mut wanted = Entry::EMPTY.with(Flags::MEMORY);
        if private {
            let all_shared = entries.iter().all(|entry| !entry.is_assigned());
            wanted = wanted.with(Flags::ASSIGNED).with_permissions(Vmpl::Vmpl0, Permissions::all());
            wanted.set(Flags::LARGE, large && all_shared);
        }
        let mut changed = false;
        for (frame, entry) in (first_frame..).zip(entries) {
            if entry.is_assigned() != private {
                changed = true;
                *entry = wanted;
                scramble(frame);
            }
        }
        Ok(changed.then_some(Change { first_frame, frames, rights_lost: true }))
    }

    /// PVALIDATE at VMPL0. Returns also the carry flag: "the page was in that state already".
    ///
    /// # Errors
    /// [`Fault::Unassigned`]: hardware exits to the hypervisor, which can't go on.
    pub fn pvalidate(
        &mut self,
        frame: u64,
        large: bool,
        validate: bool,
    ) -> Result<(Done, bool), Fault> {
        if large && !frame.is_multiple_of(FRAMES_IN_LARGE) {
            return Ok((Done::failed(Outcome::FailInput), false));
        }
        let entry = self.entry(frame);
        if !entry.is_memory() || !entry.is_assigned() {
            return Err(Fault::Unassigned);
        }
        if large && !entry.is_large() {
            return Ok((Done::failed(Outcome::FailSizeMismatch), false));
        }
        if !large {
            // Hardware exits with a size mismatch, the hypervisor splits the entry, the guest
            // executes the instruction again and doesn't notice.
            self.smash(frame);
        }
        if entry.is_validated() == validate {
            return Ok((Done { outcome: Outcome::Success, change: None }, true));
        }
        let frames = if large { FRAMES_IN_LARGE } else { 1 };
        for entry in self.range(frame, frames) {
            entry.set(Flags::VALIDATED, validate);
        }
        let change = Change { first_frame: frame, frames, rights_lost: !validate };
        Ok((Done { outcome: Outcome::Success, change: Some(change) }, false))
    }

    /// RMPADJUST by `caller`.
    ///
    /// # Errors
    /// The page isn't assigned, or not validated.
    pub fn adjust(
        &mut self,
        caller: Vmpl,
        frame: u64,
        large: bool,
        target: u64,
        permissions: Permissions,
        vmsa: bool,
    ) -> Result<Done, Fault> {
        let (Some(target), false) =
            (Vmpl::from_number(target), large && (vmsa || !frame.is_multiple_of(FRAMES_IN_LARGE)))
        else {
            return Ok(Done::failed(Outcome::FailInput));
        };
        // The order matters: Linux learns its VMPL from the permission failure.
        if target <= caller || vmsa && caller != Vmpl::Vmpl0 {
            return Ok(Done::failed(Outcome::FailPermission));
        }
        let entry = self.entry(frame);
        if !entry.is_memory() || !entry.is_assigned() {
            return Err(Fault::Unassigned);
        }
        if !entry.is_validated() {
            return Err(Fault::NotValidated);
        }
        if large && !entry.is_large() {
            return Ok(Done::failed(Outcome::FailSizeMismatch));
        }
        if !entry.permissions(caller).contains(permissions) {
            return Ok(Done::failed(Outcome::FailPermission));
        }
        if entry.is_in_use() {
            return Ok(Done::failed(Outcome::FailInUse));
        }
        if !large {
            self.smash(frame);
        }
        let frames = if large { FRAMES_IN_LARGE } else { 1 };
        let mut rights_lost = false;
        for entry in self.range(frame, frames) {
            let before = *entry;
            *entry = entry.with_permissions(target, permissions);
            // Only VMPL0 decides what is a VMSA; below it the bit in RDX was refused above.
            if caller == Vmpl::Vmpl0 {
                entry.set(Flags::VMSA, vmsa);
            }
            rights_lost |= !permissions.contains(before.permissions(target))
                || entry.is_vmsa() && !before.is_vmsa();
        }
        let change = Change { first_frame: frame, frames, rights_lost };
        Ok(Done { outcome: Outcome::Success, change: Some(change) })
    }

    /// RMPQUERY by `caller`: the target's permissions and the page's size (large or not).
    ///
    /// # Errors
    /// The page isn't assigned, or not validated.
    pub fn query(
        &self,
        caller: Vmpl,
        frame: u64,
        target: u64,
    ) -> Result<Result<Entry, Outcome>, Fault> {
        let Some(target) = Vmpl::from_number(target) else {
            return Ok(Err(Outcome::FailInput));
        };
        if target <= caller {
            return Ok(Err(Outcome::FailPermission));
        }
        let entry = self.entry(frame);
        if !entry.is_memory() || !entry.is_assigned() {
            return Err(Fault::Unassigned);
        }
        if !entry.is_validated() {
            return Err(Fault::NotValidated);
        }
        Ok(Ok(entry))
    }

    /// Takes a VMSA into use for a VMRUN, or says why hardware wouldn't. AMD 24593, 15.36.16.
    ///
    /// # Errors
    /// The page isn't a VMSA, or another vCPU runs from it.
    pub fn take_vmsa(&mut self, frame: u64) -> Result<(), VmsaRefusal> {
        let entry = self.entry(frame);
        if !entry.is_memory()
            || !entry.has(Flags::ASSIGNED.union(Flags::VALIDATED).union(Flags::VMSA))
        {
            return Err(VmsaRefusal::NotVmsa);
        }
        if entry.is_in_use() {
            return Err(VmsaRefusal::InUse);
        }
        self.update(frame, |entry| entry.set(Flags::IN_USE, true));
        Ok(())
    }

    /// Ends a VMSA's use.
    pub fn release_vmsa(&mut self, frame: u64) {
        self.update(frame, |entry| entry.set(Flags::IN_USE, false));
    }
}

/// Why a VMSA page can't be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmsaRefusal {
    /// Not assigned, validated and marked as a VMSA.
    NotVmsa,
    /// Another vCPU runs from it.
    InUse,
}

#[cfg(test)]
mod tests;
