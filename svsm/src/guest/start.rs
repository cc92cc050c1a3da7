// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a running kernel to a running guest: its memory, the payload, the vCPUs.

use super::background::{self, ServiceVcpu};
use super::kernel_machine::World;
use super::memory_map::GuestMemoryMap;
use super::vcpu_list::VcpuList;
use super::{engine, firmware, payload, run_loop};
use crate::boot::{self, launch};
use crate::cpu::per_cpu::{self, PerCpu};
use crate::cpu::registers::read_tsc;
use crate::device::fw_cfg::FwCfg;
use crate::device::fw_cfg_dma::DmaTransfer;
use crate::device::interval_timer;
use crate::memory::validated::ValidatedPages;
use crate::memory::{PAGE_BYTES, PAGE_SIZE, kernel_space};
use crate::payload::GuestEntry;
use crate::platform::clock::Clock;
use crate::protocol::Services;
use crate::snp::page_state::{self, GrantCount};
use crate::snp::termination::Reason;
use crate::snp::{msr_protocol, vmsa};
use core::convert::Infallible;
use snp_abi::Vmpl;
use snp_abi::config::{LaunchConfig, LaunchFlags};
use snp_abi::ghcb::ApRequest;
use snp_abi::vmsa::{LongModeEntry, Segment, SevFeatures, Vmsa};
use spin::{Mutex, Once};

/// PC RAM that firmware shadows: Linux scans it although the host's map does not call it RAM.
const LEGACY: [(u64, u64); 2] = [(0x8_0000, 0xa_0000), (0xc_0000, 0x10_0000)];

static WORLD: Once<World> = Once::new();
static SERVICES: Services = Services::new();
static CLOCK: Once<Clock> = Once::new();

/// Starts the guest and serves it.
///
/// # Errors
/// Why there is no guest.
pub fn start(launch: launch::Inputs) -> Result<Infallible, Reason> {
    let config = launch::config().ok_or(Reason::Internal)?;
    let clock = CLOCK.call_once(|| Clock::new(boot::start_tsc(), interval_timer::measure_tsc_hz()));
    crate::info!("clock: {} Hz{}", clock.hz(), if clock.is_measured() { "" } else { " (guessed)" });
    let world = world(config, &launch)?;
    grant(world, clock)?;
    firmware::open(launch.secrets())?;
    if config.flags.contains(LaunchFlags::VERBOSE) {
        firmware::log_report();
    }
    let (mut engine, stock) = engine::create(world, config)?;
    let entry = payload::load(world, config, launch, engine.as_mut(), clock)?;
    SERVICES.attach_vtpm(engine).map_err(|_| Reason::Internal)?;
    SERVICES.attach_firmware(firmware::port()).map_err(|_| Reason::Internal)?;
    *world.files.lock() = None;
    let own_apic_id = per_cpu::current().apic_id;
    let guest_vmsa = make_guest_vmsa(config.guest_vmpl, world.sev_features, &entry)?;
    SERVICES
        .add_own_vcpu(own_apic_id, guest_vmsa, entry.calling_area)
        .map_err(|_| Reason::Internal)?;
    SERVICES
        .set_guest_boot(crate::protocol::core::GuestBoot {
            apic_id: own_apic_id,
            secrets_page: entry.secrets_page,
        })
        .map_err(|_| Reason::Internal)?;
    let ghcb = &per_cpu::current().ghcb;
    ghcb.create_vcpu(
        ApRequest::CreateOnInit,
        config.guest_vmpl,
        own_apic_id,
        guest_vmsa,
        world.sev_features,
    )
    .map_err(|error| failed("guest vCPU", &error))?;
    if let Some(stock) = stock {
        background::begin(stock, clock);
    }
    start_other_cpus(world)?;
    report_memory();
    crate::info!(
        "guest starts at VMPL{}, {} ms after the SVSM's first instruction",
        config.guest_vmpl as u8,
        clock.milliseconds(read_tsc()),
    );
    run_loop::run(world, &SERVICES)
}

/// Memory in use: the region less what is free.
fn report_memory() {
    let heap = boot::heap_usage();
    crate::info!(
        "memory: {} KiB of the region free; heap {} of {} KiB used (peak {})",
        kernel_space::free_frames() * PAGE_BYTES / 1024,
        heap.used / 1024,
        heap.total / 1024,
        heap.peak / 1024,
    );
}

/// Checks what the host says about memory and vCPUs.
fn world(config: &LaunchConfig, launch: &launch::Inputs) -> Result<&'static World, Reason> {
    let region_end = config.region_base + config.region_size;
    let map = GuestMemoryMap::parse(launch.memory_map(), config.region_base, region_end).map_err(
        |error| {
            crate::error!("memory map: {error:?}");
            Reason::MemoryMap
        },
    )?;
    let boot_apic_id = per_cpu::current().apic_id;
    let mut vcpus =
        VcpuList::new(launch.madt(), launch.vcpu_count(), boot_apic_id).map_err(|error| {
            crate::error!("vCPUs: {error:?}");
            Reason::MemoryMap
        })?;
    let wants_service = config.flags.contains(LaunchFlags::SERVICE_VCPU);
    let service_vcpu = if wants_service { vcpus.take_last() } else { None };
    let validated = ValidatedPages::up_to(map.ram_end().max(LEGACY[1].1));
    let files = match DmaTransfer::new().map(FwCfg::new) {
        Ok(Ok(device)) => Some(device),
        Ok(Err(error)) => {
            crate::warning!("fw_cfg: {error:?}");
            None
        }
        Err(error) => return Err(failed("shared pages", &error)),
    };
    Ok(WORLD.call_once(|| World {
        map,
        validated: validated.unwrap_or_default(),
        vcpus,
        service_vcpu,
        sev_features: msr_protocol::sev_status() >> 2,
        guest_vmpl: config.guest_vmpl as u8,
        files: Mutex::new(files),
    }))
}

/// Gives the guest its memory.
fn grant(world: &World, clock: &Clock) -> Result<(), Reason> {
    let start = read_tsc();
    let mut total = GrantCount::default();
    let mut bytes = 0;
    for (from, to) in world.map.ram() {
        kernel_space::map_guest(from, to).map_err(|error| failed("guest window", &error))?;
        let count = page_state::grant(from, to, world.guest_vmpl)
            .map_err(|error| failed("granting memory", &error))?;
        world.validated.set(from, (to - from) / PAGE_SIZE, true);
        total.small += count.small;
        total.large += count.large;
        total.mismatches += count.mismatches;
        bytes += to - from;
    }
    grant_legacy(world);
    crate::info!(
        "guest memory: {} MiB granted in {} us: {} small, {} large, {} large in small steps",
        bytes >> 20,
        clock.microseconds(read_tsc() - start),
        total.small,
        total.large,
        total.mismatches,
    );
    Ok(())
}

/// The shadow RAM below 1 MiB, as far as it is there: a host without it loses nothing.
fn grant_legacy(world: &World) {
    for (from, to) in LEGACY {
        for page in (from..to).step_by(PAGE_BYTES) {
            let end = page + PAGE_SIZE;
            if world.map.is_ram(page, PAGE_SIZE) || kernel_space::map_guest(page, end).is_err() {
                continue;
            }
            if let Err(error) = page_state::grant(page, end, world.guest_vmpl) {
                crate::debug!("legacy RAM {page:#x}: {error:?}");
                break;
            }
        }
    }
}

/// The VMSA of the guest's boot vCPU.
fn make_guest_vmsa(vmpl: Vmpl, sev_features: u64, entry: &GuestEntry) -> Result<u64, Reason> {
    let mut content = Vmsa::long_mode(&LongModeEntry {
        vmpl,
        sev_features: SevFeatures::from_bits_retain(sev_features),
        code_selector: entry.code_selector,
        data_selector: entry.data_selector,
        gdt: (entry.gdt_base, entry.gdt_limit),
        cr3: entry.cr3,
        rip: entry.rip,
        rsp: entry.rsp,
    });
    content.rsi = entry.rsi;
    vmsa::create(&content).map_err(|error| failed("guest VMSA", &error))
}

/// Starts the SVSM on the other CPUs; each enters the run loop, and the hypervisor holds it there
/// until the guest has made a vCPU of its own for it; the service vCPU works on keys instead.
fn start_other_cpus(world: &World) -> Result<(), Reason> {
    let others = world.vcpus.ids().iter().chain(&world.service_vcpu);
    for (index, apic_id) in others.enumerate().skip(1) {
        let cpu = PerCpu::create(index, *apic_id).map_err(|error| failed("CPU memory", &error))?;
        let stack = PerCpu::allocate_kernel_stack().map_err(|error| failed("stack", &error))?;
        page_state::share_ghcb(&cpu.ghcb).map_err(|error| failed("GHCB", &error))?;
        per_cpu::current().ghcb.deselect();
        let mut content = Vmsa::long_mode(&LongModeEntry {
            vmpl: Vmpl::Vmpl0,
            sev_features: SevFeatures::from_bits_retain(world.sev_features),
            code_selector: 0,
            data_selector: 0,
            gdt: (0, 0),
            cr3: kernel_space::cr3().map_err(|error| failed("CR3", &error))?,
            rip: boot::other_cpu_entry(),
            // As after a call: the ABI wants RSP + 8 to be a multiple of 16 at a function's start.
            rsp: stack - 8,
        });
        content.fs = Segment::default();
        content.gs = Segment::default();
        content.cr4 |= boot::PROTECTION;
        cpu.set_initial_state(&mut content);
        let vmsa = vmsa::create(&content).map_err(|error| failed("VMSA", &error))?;
        per_cpu::current()
            .ghcb
            .create_vcpu(ApRequest::Create, Vmpl::Vmpl0, *apic_id, vmsa, world.sev_features)
            .map_err(|error| failed("starting a CPU", &error))?;
        if world.service_vcpu == Some(*apic_id) {
            background::set_service(ServiceVcpu {
                apic_id: *apic_id,
                vmsa,
                sev_features: world.sev_features,
            });
        }
        crate::info!("cpu {index}: APIC id {apic_id} started");
    }
    Ok(())
}

/// Milliseconds since the SVSM started.
pub(super) fn uptime_ms() -> u64 {
    CLOCK.get().map_or(0, |clock| clock.milliseconds(read_tsc()))
}

/// What a CPU does once it is up.
pub fn run_other_cpu() -> Result<Infallible, Reason> {
    let world = WORLD.get().ok_or(Reason::Internal)?;
    if world.service_vcpu == Some(per_cpu::current().apic_id) {
        background::serve();
    }
    run_loop::run(world, &SERVICES)
}

fn failed(what: &str, error: &dyn core::fmt::Debug) -> Reason {
    crate::error!("{what}: {error:?}");
    Reason::GuestLaunch
}
