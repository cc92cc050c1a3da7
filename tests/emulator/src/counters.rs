// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was counted: exits by kind, and ticks of the time stamp counter spent in each VMPL and in
//! the machine itself, for each processor. Printed when the machine ends, one JSON object a line.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use snp_abi::Vmpl;

use crate::layout::MAX_PROCESSORS;
use crate::{pool, say_json, world};

/// What is counted for each processor and VMPL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Event {
    Entry,
    NestedFault,
    Fill,
    VmmCommunication,
    MsrProtocol,
    GhcbCall,
    PortIo,
    Msr,
    Mmio,
    Cpuid,
    PageStateChange,
    PageStatePages,
    Pvalidate,
    PvalidatePages,
    Rmpadjust,
    Rmpquery,
    RunVmpl,
    GuestRequest,
    Nmi,
    NmiInjected,
    Redelivered,
    Cr0Write,
    Cr3WithoutCBit,
}

/// Names in the output, in the order of [`Event`].
const NAMES: [&str; 23] = [
    "entries",
    "nested_faults",
    "fills",
    "vc",
    "msr_protocol",
    "ghcb_calls",
    "port_io",
    "msr",
    "mmio",
    "cpuid",
    "page_state_changes",
    "page_state_pages",
    "pvalidate",
    "pvalidate_pages",
    "rmpadjust",
    "rmpquery",
    "run_vmpl",
    "guest_requests",
    "nmi",
    "nmi_injected",
    "redelivered",
    "cr0_writes",
    "cr3_without_c_bit",
];

struct Cell {
    events: [AtomicU64; NAMES.len()],
    ticks: AtomicU64,
}

impl Cell {
    const fn new() -> Self {
        Self { events: [const { AtomicU64::new(0) }; NAMES.len()], ticks: AtomicU64::new(0) }
    }
}

static CELLS: [[Cell; 4]; MAX_PROCESSORS] = [const { [const { Cell::new() }; 4] }; MAX_PROCESSORS];
/// Ticks spent in the machine itself, by processor.
static MACHINE_TICKS: [AtomicU64; MAX_PROCESSORS] = [const { AtomicU64::new(0) }; MAX_PROCESSORS];
/// Time stamps: the machine's start, the first entry of VMPL0, the first entry of VMPL2.
static START_TICKS: AtomicU64 = AtomicU64::new(0);
static FIRST_ENTRY_TICKS: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
static ENABLED: AtomicBool = AtomicBool::new(false);

/// Whether counters are printed at the end.
pub(crate) fn enable(on: bool) {
    ENABLED.store(on, Relaxed);
}

/// Marks the machine's start.
pub(crate) fn started(ticks: u64) {
    START_TICKS.store(ticks, Relaxed);
}

/// Counts one event.
pub(crate) fn count(processor: usize, vmpl: Vmpl, event: Event) {
    count_many(processor, vmpl, event, 1);
}

/// Counts several.
pub(crate) fn count_many(processor: usize, vmpl: Vmpl, event: Event, times: u64) {
    CELLS[processor][vmpl.index()].events[event as usize].fetch_add(times, Relaxed);
}

/// Accounts for one stay in the guest, and for the machine's own work before it.
pub(crate) fn stayed(processor: usize, vmpl: Vmpl, guest_ticks: u64, machine_ticks: u64) {
    CELLS[processor][vmpl.index()].ticks.fetch_add(guest_ticks, Relaxed);
    MACHINE_TICKS[processor].fetch_add(machine_ticks, Relaxed);
}

/// Marks the first entry of a VMPL. True for the first.
pub(crate) fn entered(vmpl: Vmpl, ticks: u64) -> bool {
    FIRST_ENTRY_TICKS[vmpl.index()].compare_exchange(0, ticks, Relaxed, Relaxed).is_ok()
}

/// Prints everything, if it was asked for.
pub(crate) fn print_all() {
    if !ENABLED.load(Relaxed) {
        return;
    }
    say_json!(
        "{{\"kind\":\"times\",\"start\":{},\"vmpl0_entry\":{},\"vmpl2_entry\":{},\"now\":{}}}",
        START_TICKS.load(Relaxed),
        FIRST_ENTRY_TICKS[0].load(Relaxed),
        FIRST_ENTRY_TICKS[2].load(Relaxed),
        crate::processor::ticks(),
    );
    for (processor, cells) in CELLS.iter().enumerate().take(world::processors()) {
        say_json!(
            "{{\"kind\":\"machine\",\"cpu\":{processor},\"ticks\":{}}}",
            MACHINE_TICKS[processor].load(Relaxed),
        );
        for (vmpl, cell) in cells.iter().enumerate() {
            if cell.events[Event::Entry as usize].load(Relaxed) != 0 {
                say_json!(
                    "{{\"kind\":\"exits\",\"cpu\":{processor},\"vmpl\":{vmpl},\"ticks\":{}{}}}",
                    cell.ticks.load(Relaxed),
                    Events(cell),
                );
            }
        }
    }
    say_json!(
        "{{\"kind\":\"world\",\"stops\":{},\"kicks\":{},\"stop_ticks\":{},\"pool_pages_left\":{}}}",
        world::STOPS.load(Relaxed),
        world::KICKS.load(Relaxed),
        world::STOP_TICKS.load(Relaxed),
        pool::left(),
    );
}

/// `,"name":count` for each event that happened.
struct Events<'a>(&'a Cell);

impl core::fmt::Display for Events<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (name, count) in NAMES.iter().zip(&self.0.events) {
            let count = count.load(Relaxed);
            if count != 0 {
                write!(formatter, ",\"{name}\":{count}")?;
            }
        }
        Ok(())
    }
}

const _: () = assert!(Event::Cr3WithoutCBit as usize + 1 == NAMES.len());
