// SPDX-License-Identifier: MIT OR Apache-2.0
//! Background work on keys (docs/key-pool.md): some before the guest starts, then by the service
//! vCPU, or without one in short slices at the end of calls, for as long as there is any.

#![forbid(unsafe_code)]

use crate::cpu::per_cpu;
use crate::cpu::registers::{halt, read_tsc, wait};
use crate::platform::clock::Clock;
use crate::vtpm::KeyStock;
use crate::work::pace::Pace;
use crate::work::residency::{Kind, RESIDENCY};
use core::sync::atomic::{AtomicBool, Ordering};
use snp_abi::Vmpl;
use snp_abi::ghcb::ApRequest;
use spin::Once;

/// Multiplications before the guest starts: about one key of 2048 bits, 25 ms on a machine with
/// MULX and ADX. Counted, not timed: an emulated machine is a hundred times slower.
const FILL_MULTIPLICATIONS: u32 = 100_000;
/// Of these in one go.
const FILL_STEP: u32 = 2_000;
/// Slices at the end of calls last this long at most.
const SLICES_PER_SECOND: u64 = 2_000;

/// Multiplications of the service vCPU between two chances for a command to come in.
const SERVICE_STEP: u32 = 500;

struct Background {
    stock: &'static KeyStock,
    pace: Pace,
    /// As measured before the guest starts, for whoever reads the report.
    ticks_per_multiplication: u64,
}

static BACKGROUND: Once<Background> = Once::new();

/// Makes the first keys, and has the others made at the end of calls.
pub(super) fn begin(stock: &'static KeyStock, clock: &Clock) {
    let start = read_tsc();
    let steps = FILL_MULTIPLICATIONS / FILL_STEP;
    let done = (0..steps).take_while(|_| stock.work(FILL_STEP)).map(|_| u64::from(FILL_STEP)).sum();
    let ticks = read_tsc().wrapping_sub(start);
    crate::info!(
        "keys: {done} multiplications before the guest in {} us",
        clock.microseconds(ticks),
    );
    let pace = Pace::new(clock.hz() / SLICES_PER_SECOND);
    let ticks_per_multiplication = ticks.checked_div(done).unwrap_or(0);
    BACKGROUND.call_once(|| Background { stock, pace, ticks_per_multiplication });
}

/// The vCPU that only works on keys, as the hypervisor knows it.
pub(super) struct ServiceVcpu {
    pub(super) apic_id: u32,
    pub(super) vmsa: u64,
    pub(super) sev_features: u64,
}

static SERVICE: Once<ServiceVcpu> = Once::new();
/// The service vCPU has nothing to do and waits.
static IS_IDLE: AtomicBool = AtomicBool::new(false);

/// From now on there is a service vCPU.
pub(super) fn set_service(vcpu: ServiceVcpu) {
    SERVICE.call_once(|| vcpu);
}

/// What the service vCPU does: works while there is work, and waits otherwise.
pub(super) fn serve() -> ! {
    let Some(background) = BACKGROUND.get() else { halt() };
    loop {
        if background.stock.work(SERVICE_STEP) {
            continue;
        }
        if background.stock.has_work() {
            // A command is in the workshop.
            core::hint::spin_loop();
            continue;
        }
        IS_IDLE.store(true, Ordering::Release);
        // Work that came since is found at the end of the next call.
        wait();
        IS_IDLE.store(false, Ordering::Release);
    }
}

/// At the end of a call: has the work done that there is, by the service vCPU if there is one.
pub(super) fn end_of_call() {
    let Some(background) = BACKGROUND.get() else { return };
    match SERVICE.get() {
        None => slice(background),
        Some(service) => {
            if background.stock.has_work() && IS_IDLE.swap(false, Ordering::AcqRel) {
                wake(service);
                // Should the hypervisor not let it run, the keys are made all the same.
                slice(background);
            }
        }
    }
}

/// Lets the service vCPU run again: it is created once more from the VMSA that it waits in, since
/// VMPL0 has no other way to interrupt another vCPU (docs/decisions/0040-service-vcpu.md).
fn wake(service: &ServiceVcpu) {
    let ServiceVcpu { apic_id, vmsa, sev_features } = *service;
    let ghcb = &per_cpu::current().ghcb;
    if let Err(error) =
        ghcb.create_vcpu(ApRequest::Create, Vmpl::Vmpl0, apic_id, vmsa, sev_features)
    {
        crate::debug!("service vCPU: {error:?}");
    }
}

/// One slice of work on this CPU.
fn slice(background: &Background) {
    let start = read_tsc();
    if background.stock.work(background.pace.budget()) {
        let ticks = read_tsc().wrapping_sub(start);
        background.pace.note(ticks);
        RESIDENCY.record(Kind::Background, ticks);
    }
}

/// How the stock is, and what it took, for the log.
pub(super) fn report() {
    let Some(background) = BACKGROUND.get() else { return };
    for (kind, counters) in background.stock.shelves() {
        crate::info!("keys bits={} {counters:?}", kind.bits);
    }
    let Some(tally) = background.stock.work_done() else { return };
    crate::info!(
        "keys attempts={:?} sizes={:?} longest-attempt={} longest-background={}",
        tally.attempts,
        tally.attempt_sizes,
        tally.longest_attempt,
        tally.longest_background,
    );
    crate::info!(
        "keys multiplications={} rejected={} ticks-per-multiplication={} slice-limit={} slice={}",
        tally.multiplications,
        tally.rejected,
        background.ticks_per_multiplication,
        background.pace.limit_ticks(),
        background.pace.budget(),
    );
}
