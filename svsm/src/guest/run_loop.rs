// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loop that each CPU ends in: let the guest run, and when it comes back, see whether it
//! called.
//!
//! What is checked at each return: that the vCPU has a VMSA, that it left by VMGEXIT, and that its
//! calling area says that a call is pending. Everything else is a return without a call, which the
//! hypervisor can cause at any time, and costs nothing.

use super::background;
use super::kernel_machine::{KernelMachine, World};
use crate::boot;
use crate::cpu::per_cpu;
use crate::cpu::registers::{halt, read_tsc};
use crate::machine::{GuestFault, Machine};
use crate::protocol::vcpus::Vcpu;
use crate::protocol::{Caller, Registers, Services, dispatch};
use crate::snp::termination::{Reason, terminate};
use crate::snp::vmsa::VmsaRegisters;
use crate::vtpm;
use crate::work::residency::{Kind, RESIDENCY};
use snp_abi::Vmpl;

/// GUEST_EXIT_CODE of a vCPU that executed VMGEXIT (APM volume 2, appendix C).
const EXIT_VMGEXIT: u64 = 0x403;
/// Refusals of the hypervisor in a row before the CPU gives up.
const REFUSALS_MAX: u32 = 10_000;
/// Tries to look a vCPU up while another CPU works on the table.
const LOOKUPS_MAX: u32 = 1000;

/// Runs and serves the guest on this CPU.
pub(super) fn run(world: &World, services: &Services) -> ! {
    let cpu = per_cpu::current();
    let Some(vmpl) = Vmpl::from_number(world.guest_vmpl.into()) else {
        terminate(Reason::Internal)
    };
    let mut machine = KernelMachine::new(world);
    let caller = Caller { apic_id: cpu.apic_id };
    let mut refusals = 0;
    while refusals < REFUSALS_MAX {
        match cpu.ghcb.run_vmpl(vmpl) {
            Ok(()) => {
                refusals = 0;
                serve(services, &mut machine, caller);
            }
            Err(error) => {
                if refusals == 0 {
                    crate::debug!("cpu {}: running the guest: {error:?}", cpu.index);
                }
                refusals += 1;
                core::hint::spin_loop();
            }
        }
    }
    crate::error!("cpu {}: the hypervisor does not run the guest", cpu.index);
    if cpu.index == 0 {
        terminate(Reason::GuestLaunch);
    }
    halt()
}

/// One return of the guest's vCPU.
fn serve(services: &Services, machine: &mut KernelMachine<'_>, caller: Caller) {
    let start = read_tsc();
    let kind = match find(services, caller) {
        Some(vcpu) => {
            let served = serve_call(services, machine, caller, &vcpu);
            services.end_call(&vcpu);
            // A page that is not there: the guest has taken its own calling area away.
            served.unwrap_or(Kind::Spurious)
        }
        None => Kind::Spurious,
    };
    RESIDENCY.record(kind, read_tsc().wrapping_sub(start));
    report(kind);
    if kind != Kind::Spurious {
        background::end_of_call();
    }
}

fn find(services: &Services, caller: Caller) -> Option<Vcpu> {
    for _ in 0..LOOKUPS_MAX {
        if let Ok(found) = services.begin_call(caller.apic_id) {
            return found;
        }
    }
    None
}

fn serve_call(
    services: &Services,
    machine: &mut KernelMachine<'_>,
    caller: Caller,
    vcpu: &Vcpu,
) -> Result<Kind, GuestFault> {
    let vmsa = VmsaRegisters::at(vcpu.vmsa);
    vmsa.set_runnable(false)?;
    let outcome = answer(services, machine, caller, vcpu, &vmsa);
    vmsa.set_runnable(true)?;
    outcome
}

fn answer(
    services: &Services,
    machine: &mut KernelMachine<'_>,
    caller: Caller,
    vcpu: &Vcpu,
    vmsa: &VmsaRegisters,
) -> Result<Kind, GuestFault> {
    let Some(calling_area) = vcpu.calling_area else { return Ok(Kind::Spurious) };
    let mut pending = [0];
    machine.read_guest(calling_area, &mut pending)?;
    if vmsa.exit_code()? != EXIT_VMGEXIT || pending != [1] {
        return Ok(Kind::Spurious);
    }
    let before = Registers {
        rax: vmsa.rax()?,
        rcx: vmsa.rcx()?,
        rdx: vmsa.rdx()?,
        r8: vmsa.r8()?,
        r9: vmsa.r9()?,
    };
    let mut registers = before;
    dispatch(services, machine, caller, &mut registers);
    vmsa.set_rax(registers.rax)?;
    if registers.rcx != before.rcx {
        vmsa.set_rcx(registers.rcx)?;
    }
    if registers.rdx != before.rdx {
        vmsa.set_rdx(registers.rdx)?;
    }
    if registers.r8 != before.r8 {
        vmsa.set_r8(registers.r8)?;
    }
    if registers.r9 != before.r9 {
        vmsa.set_r9(registers.r9)?;
    }
    // The area that the call came through, even if the call has moved it.
    machine.write_guest(calling_area, &[0])?;
    crate::debug!(
        "call {:#x} rcx {:#x} rdx {:#x} r8 {:#x}: {:#x}",
        before.rax,
        before.rcx,
        before.rdx,
        before.r8,
        registers.rax,
    );
    Ok(Kind::of_call(before.rax))
}

/// The counters: all when the TPM was told that the power goes, and now and then, when a kind's
/// count reaches a power of two from 64 on, that kind's.
fn report(kind: Kind) {
    if kind == Kind::Vtpm && vtpm::take_shutdown() {
        for kind in Kind::ALL {
            crate::info!("{}", RESIDENCY.line(kind));
        }
        background::report();
    }
    let count = RESIDENCY.count(kind);
    if count >= 64 && count.is_power_of_two() {
        crate::debug!("{}", RESIDENCY.line(kind));
        let heap = boot::heap_usage();
        crate::debug!("heap used={} peak={} total={}", heap.used, heap.peak, heap.total);
    }
}
