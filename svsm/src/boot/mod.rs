// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bring-up, in its order: entry.s, own address space, exceptions, GHCB, console, the rest of the
//! region, heap, a proper stack; then `guest` takes over.

mod heap;
pub mod launch;
mod runtime;

pub use heap::usage as heap_usage;
pub use runtime::fatal;

use crate::cpu::cpuid::CpuidTable;
use crate::cpu::per_cpu::{self, PerCpu};
use crate::cpu::registers::{CR4_SMAP, CR4_SMEP, read_tsc, set_cr4};
use crate::device::console;
use crate::guest;
use crate::log;
use crate::memory::{guest as guest_memory, kernel_space};
use crate::snp::msr_protocol;
use crate::snp::page_state;
use crate::snp::termination::{Reason, request, terminate};
use core::arch::global_asm;
use core::convert::Infallible;
use snp_abi::config::{CPUID_OFFSET, LaunchConfig, LaunchFlags, REGION_BASE, REGION_SIZE};
use snp_abi::ghcb::HypervisorFeatures;
use snp_abi::msr_protocol::{CpuidRegister, Request, decode_cpuid_answer};

global_asm!(
    include_str!("entry.s"),
    CPUID_PAGE = const REGION_BASE + CPUID_OFFSET,
    REGION_BASE = const REGION_BASE,
    REGION_SIZE = const REGION_SIZE,
    TERMINATE_NO_C_BIT = const request(Reason::NoCBit),
    options(att_syntax)
);
global_asm!(
    include_str!("memory_functions.s"),
    NOT_VALIDATED = const guest_memory::NOT_VALIDATED,
    options(att_syntax)
);

unsafe extern "C" {
    /// Leaves the current stack for good (entry.s).
    fn boot_continue(stack_top: u64, function: extern "C" fn() -> !) -> !;
}

/// CR4 bits that keep the SVSM from executing guest memory, or touching it by accident.
pub const PROTECTION: u64 = CR4_SMEP | CR4_SMAP;

/// Time stamp at the first line of Rust.
static START_TSC: spin::Once<u64> = spin::Once::new();

/// The time stamp at which the kernel started.
pub fn start_tsc() -> u64 {
    START_TSC.get().copied().unwrap_or(0)
}

/// entry.s comes here: long mode, the region mapped, a small stack, no exception handler.
// SAFETY: the name is unique in this program; only entry.s calls it, once.
#[unsafe(no_mangle)]
extern "C" fn svsm_start() -> ! {
    START_TSC.call_once(read_tsc);
    match bring_up() {
        // SAFETY: the stack is fresh, and `guest::main` never returns.
        Ok(stack_top) => unsafe { boot_continue(stack_top, guest_main) },
        Err(reason) => {
            crate::error!("fatal: bring-up failed: {reason:?}");
            terminate(reason)
        }
    }
}

/// Up to the heap. The top of the stack to go on with.
fn bring_up() -> Result<u64, Reason> {
    let (config, cpuid) = launch::read()?;
    protect(config, cpuid)?;
    talk(config, cpuid)?;
    own_region(config)?;
    PerCpu::allocate_kernel_stack().map_err(|_| Reason::OutOfMemory)
}

/// Page tables, supervisor protection, exceptions.
fn protect(config: &LaunchConfig, cpuid: &CpuidTable) -> Result<(), Reason> {
    kernel_space::initialise(config, cpuid.encryption_mask()).map_err(|_| Reason::LaunchConfig)?;
    let answer =
        msr_protocol::exchange(Request::Cpuid { leaf: 1, register: CpuidRegister::Ebx }.encode());
    let apic_id = decode_cpuid_answer(CpuidRegister::Ebx, answer)
        .map_err(|_| Reason::HypervisorAnswer)?
        >> 24;
    let cpu = PerCpu::create(0, apic_id).map_err(|_| Reason::OutOfMemory)?;
    // SAFETY: this is the first CPU, and the only call for its data.
    unsafe { cpu.enter() };
    if !cpuid.has_supervisor_protection() {
        return Err(Reason::Cpuid);
    }
    // SAFETY: the processor has both; user pages (guest memory) are neither executed nor touched
    // outside the copy routines.
    unsafe { set_cr4(PROTECTION) };
    Ok(())
}

/// The hypervisor: version, features, GHCB, console.
fn talk(config: &LaunchConfig, cpuid: &CpuidTable) -> Result<(), Reason> {
    msr_protocol::check_version(cpuid.encryption_mask()).map_err(|_| Reason::Hypervisor)?;
    let features = msr_protocol::features().map_err(|_| Reason::HypervisorAnswer)?;
    let needed =
        HypervisorFeatures::SNP | HypervisorFeatures::AP_CREATION | HypervisorFeatures::MULTI_VMPL;
    if !features.contains(needed) {
        return Err(Reason::Hypervisor);
    }
    let ghcb = &per_cpu::current().ghcb;
    page_state::share_ghcb(ghcb).map_err(|_| Reason::Validation)?;
    msr_protocol::register_ghcb(ghcb.address()).map_err(|_| Reason::Hypervisor)?;
    if config.flags.contains(LaunchFlags::VERBOSE) {
        log::set_console_level(log::Level::Debug);
    }
    console::initialise(config.console);
    crate::info!(
        "Macadamia-SVSM {} at VMPL0, C-bit {}, hypervisor features {:#x}",
        env!("CARGO_PKG_VERSION"),
        cpuid.encryption_mask().trailing_zeros(),
        features.bits(),
    );
    Ok(())
}

/// The rest of the region: validated, given to the frame allocator, a heap in it.
fn own_region(config: &LaunchConfig) -> Result<(), Reason> {
    let start = read_tsc();
    let end = config.region_base + config.region_size;
    page_state::accept_region(config.image_end, end).map_err(|error| {
        crate::error!("own region: {error:?}");
        Reason::Validation
    })?;
    kernel_space::release_range(config.image_end, end).map_err(|_| Reason::Internal)?;
    heap::initialise().map_err(|_| Reason::OutOfMemory)?;
    crate::info!(
        "region {:#x}+{:#x}: image {} KiB, validated in {} ticks",
        config.region_base,
        config.region_size,
        (config.image_end - config.image_start) / 1024,
        read_tsc() - start,
    );
    Ok(())
}

/// On the kernel stack, with a heap.
extern "C" fn guest_main() -> ! {
    let reason = match prepare() {
        Ok(never) => match never {},
        Err(reason) => reason,
    };
    crate::error!("fatal: {reason:?}");
    terminate(reason)
}

fn prepare() -> Result<Infallible, Reason> {
    guest::start(launch::Inputs::take()?)
}

/// Where a further CPU starts: with its own stack and data, in the final address space.
extern "C" fn other_cpu() -> ! {
    // The value says whose GHCB the hypervisor is to use for this vCPU.
    let registered = msr_protocol::register_ghcb(per_cpu::current().ghcb.address());
    let outcome = registered.map_err(|_| Reason::Hypervisor).and_then(|()| guest::run_other_cpu());
    let reason = match outcome {
        Ok(never) => match never {},
        Err(reason) => reason,
    };
    crate::error!("cpu {}: fatal: {reason:?}", per_cpu::current().index);
    terminate(reason)
}

/// Address of a further CPU's first instruction.
pub fn other_cpu_entry() -> u64 {
    (other_cpu as *const ()).expose_provenance() as u64
}
