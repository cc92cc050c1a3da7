// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the processors share: the memory's state, who is in the guest, which VMSA belongs to whom,
//! and how one processor gets the others' attention.
//!
//! **Stop the world.** A translation that was removed may still be cached by a processor that runs
//! guest code. Every VMRUN and #VMEXIT flushes (TCG ignores ASIDs; on other hosts each VMRUN asks
//! for a flush), so the one who removed it sends NMIs and waits until every other processor has
//! left the guest at least once. The order is: change the tables, then look who is in the guest. A
//! processor that enters later walks the changed tables.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};

use snp_abi::Vmpl;
use spin::{Mutex, MutexGuard};

use crate::layout::{MAX_PROCESSORS, PAGE};
use crate::nested::NestedTables;
use crate::processor::ticks;
use crate::rmp::{Access, Change, Fault, Rmp};
use crate::{fatal, physical};

/// A processor's public side.
pub(crate) struct Member {
    /// Runs guest code, or is about to.
    in_guest: AtomicBool,
    /// Times it left the guest.
    departures: AtomicU64,
    /// The VMSA of each VMPL: 0, or a physical address.
    vmsa: [AtomicU64; 4],
    /// The guest has sent it an NMI.
    guest_nmi: AtomicBool,
    /// Non-zero: wake from waiting for a VMSA.
    pub(crate) wake: AtomicU32,
}

/// All processors, by APIC id.
pub(crate) static MEMBERS: [Member; MAX_PROCESSORS] = [const { Member::new() }; MAX_PROCESSORS];
/// Processors that are there.
static PROCESSORS: AtomicUsize = AtomicUsize::new(1);
/// Rounds of stopping, NMIs sent for them, and ticks spent waiting.
pub(crate) static STOPS: AtomicU64 = AtomicU64::new(0);
pub(crate) static KICKS: AtomicU64 = AtomicU64::new(0);
pub(crate) static STOP_TICKS: AtomicU64 = AtomicU64::new(0);

/// Guest memory: the RMP and what follows from it.
pub(crate) struct Memory {
    pub(crate) rmp: Rmp<'static>,
    tables: [NestedTables; 4],
}

static MEMORY: Mutex<Option<Memory>> = Mutex::new(None);

/// Exclusive access to guest memory's state.
pub(crate) struct MemoryGuard(MutexGuard<'static, Option<Memory>>);

/// Installs the memory, once.
pub(crate) fn install_memory(rmp: Rmp<'static>) {
    let tables = core::array::from_fn(|_| NestedTables::new());
    *MEMORY.lock() = Some(Memory { rmp, tables });
}

/// Locks the memory's state.
pub(crate) fn memory() -> MemoryGuard {
    MemoryGuard(MEMORY.lock())
}

/// Locks the memory's state unless another holds it: for reports at the machine's end.
pub(crate) fn try_memory() -> Option<MemoryGuard> {
    MEMORY.try_lock().map(MemoryGuard)
}

impl core::ops::Deref for MemoryGuard {
    type Target = Memory;
    fn deref(&self) -> &Memory {
        match self.0.as_ref() {
            Some(memory) => memory,
            None => fatal!("guest memory is used before it is installed"),
        }
    }
}

impl core::ops::DerefMut for MemoryGuard {
    fn deref_mut(&mut self) -> &mut Memory {
        match self.0.as_mut() {
            Some(memory) => memory,
            None => fatal!("guest memory is used before it is installed"),
        }
    }
}

impl Memory {
    /// The nested roots of a VMPL: with paging on, with paging off.
    pub(crate) fn roots(&self, vmpl: Vmpl) -> (u64, u64) {
        let tables = &self.tables[vmpl.index()];
        (tables.paged_root, tables.unpaged_root)
    }

    /// Resolves a nested page fault: maps the page if the access is allowed.
    pub(crate) fn resolve(&mut self, vmpl: Vmpl, gpa: u64, access: Access) -> Result<(), Fault> {
        let frame = gpa / PAGE;
        self.rmp.check(vmpl, frame, access)?;
        self.tables[vmpl.index()].map(&self.rmp, vmpl, frame, access);
        Ok(())
    }

    /// Makes the nested tables follow an RMP change made by processor `me`.
    pub(crate) fn follow(&mut self, me: usize, change: Option<Change>) {
        let Some(change) = change else { return };
        // Entries that grant less than the RMP now does would only cost a fault. But a large entry
        // may cover pages that differ from now on: entries go in any case, and the processors are
        // stopped only when a right was lost.
        let mut removed = false;
        for tables in &mut self.tables {
            removed |= tables.unmap(change);
        }
        if removed && change.rights_lost {
            stop_others(me);
        }
    }

    /// A page state change, with all it entails.
    pub(crate) fn change_state(
        &mut self,
        me: usize,
        gpa: u64,
        private: bool,
        large: bool,
    ) -> Result<(), u64> {
        // Nothing survives a change of state: with real encryption the other view sees noise.
        let scramble = |frame: u64| physical::fill_pages(frame * PAGE, 1, 0xa5);
        let change = self.rmp.change_state(gpa / PAGE, private, large, scramble)?;
        self.follow(me, change);
        Ok(())
    }
}

impl Member {
    const fn new() -> Self {
        Self {
            in_guest: AtomicBool::new(false),
            departures: AtomicU64::new(0),
            vmsa: [const { AtomicU64::new(0) }; 4],
            guest_nmi: AtomicBool::new(false),
            wake: AtomicU32::new(0),
        }
    }
    pub(crate) fn enter_guest(&self) {
        self.in_guest.store(true, SeqCst);
    }
    pub(crate) fn leave_guest(&self) {
        self.departures.fetch_add(1, SeqCst);
        self.in_guest.store(false, SeqCst);
    }
    pub(crate) fn vmsa(&self, vmpl: Vmpl) -> Option<u64> {
        match self.vmsa[vmpl.index()].load(SeqCst) {
            0 => None,
            address => Some(address),
        }
    }
    pub(crate) fn set_vmsa(&self, vmpl: Vmpl, address: Option<u64>) {
        self.vmsa[vmpl.index()].store(address.unwrap_or(0), SeqCst);
    }
    /// Takes away the VMSA at `address`, unless another one has come in its place.
    pub(crate) fn give_up_vmsa(&self, vmpl: Vmpl, address: u64) {
        // A failure means that the other one is there: it stays.
        self.vmsa[vmpl.index()].compare_exchange(address, 0, SeqCst, SeqCst).ok();
    }
    /// The guest's NMI, if one is pending; it is taken.
    pub(crate) fn take_guest_nmi(&self) -> bool {
        self.guest_nmi.swap(false, SeqCst)
    }
    pub(crate) fn send_guest_nmi(&self) {
        self.guest_nmi.store(true, SeqCst);
    }
}

/// The guest's processor with this APIC id, if it is there.
pub(crate) fn member(apic_id: u64) -> Option<(usize, &'static Member)> {
    let id = usize::try_from(apic_id).ok()?;
    guests().find(|(guest, _)| *guest == id)
}

/// The guest's processors: APIC id and public side.
///
/// QEMU's first processor runs no guest when there is another one: a race in TCG on the first
/// processor's flags would destroy it (docs/decisions/0001-cpu-0-runs-no-guest.md).
pub(crate) fn guests() -> impl Iterator<Item = (usize, &'static Member)> {
    MEMBERS.iter().enumerate().take(processors()).skip(boot_processor())
}

/// The guest's first processor.
pub(crate) fn boot_processor() -> usize {
    usize::from(processors() > 1)
}

/// Number of QEMU's processors.
pub(crate) fn processors() -> usize {
    PROCESSORS.load(SeqCst)
}

/// Says how many there are; once, at start.
pub(crate) fn set_processors(count: usize) {
    PROCESSORS.store(count, SeqCst);
}

/// The local APIC of the processor that executes this.
const LOCAL_APIC: u64 = 0xfee0_0000;
const APIC_ICR_LOW: u64 = LOCAL_APIC + 0x300;
const APIC_ICR_HIGH: u64 = LOCAL_APIC + 0x310;
const ICR_NMI: u32 = 0x4400;
/// Ticks after which an NMI is sent again: TCG changes its pending-interrupt word without a lock
/// when it leaves a guest, and an NMI that arrives at that moment can be lost.
const KICK_AGAIN_TICKS: u64 = 20_000_000;
/// Ticks after which a processor that doesn't leave the guest is a defect.
const GIVE_UP_TICKS: u64 = 60_000_000_000;

/// Sends a processor an NMI. The guest may be between its own two ICR writes on this processor:
/// the upper half is put back.
pub(crate) fn kick(processor: usize) {
    let destination = u32::try_from(processor).unwrap_or(0) << 24;
    let saved: u32 = physical::read(APIC_ICR_HIGH);
    physical::write(APIC_ICR_HIGH, destination);
    physical::write(APIC_ICR_LOW, ICR_NMI);
    physical::write(APIC_ICR_HIGH, saved);
    KICKS.fetch_add(1, SeqCst);
}

/// Returns when every other processor has been outside the guest at least once since the call.
pub(crate) fn stop_others(me: usize) {
    for (other, _) in guests() {
        if other != me {
            stop(other);
        }
    }
}

/// Returns when this processor has been outside the guest at least once since the call.
pub(crate) fn stop(other: usize) {
    let member = &MEMBERS[other];
    let departures = member.departures.load(SeqCst);
    let still_there =
        || member.in_guest.load(SeqCst) && member.departures.load(SeqCst) == departures;
    if !still_there() {
        return;
    }
    STOPS.fetch_add(1, SeqCst);
    let begin = ticks();
    kick(other);
    let mut last_kick = begin;
    while still_there() {
        spin_loop();
        let now = ticks();
        if now.wrapping_sub(last_kick) > KICK_AGAIN_TICKS {
            kick(other);
            last_kick = now;
        }
        if now.wrapping_sub(begin) > GIVE_UP_TICKS {
            fatal!("processor {other} doesn't leave the guest although it got an NMI");
        }
    }
    STOP_TICKS.fetch_add(ticks().wrapping_sub(begin), SeqCst);
}
