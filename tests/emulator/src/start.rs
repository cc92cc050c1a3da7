// SPDX-License-Identifier: MIT OR Apache-2.0
//! From QEMU's PVH entry to the guest's first instruction.
//!
//! PVH start info: Xen, `include/public/arch-x86/hvm/start_info.h`. QEMU's `-initrd` file arrives
//! as the one module, at the top of RAM.

use core::hint::spin_loop;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use snp_abi::Vmpl;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::launch::{self, MemoryPiece, PieceKind};
use crate::layout::{
    LARGEST_MEMORY, MAX_PROCESSORS, PAGE, REACHABLE_END, SMALLEST_MEMORY, TRAMPOLINE,
};
use crate::options::{self, Options};
use crate::processor::{self, read_msr, ticks, write_msr};
use crate::vcpu::Vcpu;
use crate::world::{self, MEMBERS};
use crate::{counters, exceptions, fatal, fw_cfg, ghcb, physical, pool, refuse, say};

/// Where the program lies.
#[derive(Clone, Debug)]
pub struct Image {
    /// First byte.
    pub start: u64,
    /// Behind the last byte.
    pub end: u64,
    /// The code that the other processors start with; position-independent.
    pub trampoline: Range<u64>,
}

#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    modules: u32,
    module_list: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct Module {
    address: u64,
    size: u64,
    command_line: u64,
    reserved: u64,
}

#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct MapEntry {
    address: u64,
    size: u64,
    kind: u32,
    reserved: u32,
}

const START_MAGIC: u32 = 0x336e_c578;
const MAP_KIND_RAM: u32 = 1;
/// Most entries of QEMU's memory map that are looked at.
const MAX_MAP_ENTRIES: usize = 64;

/// The other processors that have arrived.
static ARRIVED: AtomicUsize = AtomicUsize::new(0);
/// Guest memory is ready: the guest's processors may run.
static READY: AtomicBool = AtomicBool::new(false);

/// Starts the machine on QEMU's first processor.
///
/// # Safety
/// Called once, by the entry code: 4 GiB are mapped one to one, and `image` covers all that the
/// program owns.
pub unsafe fn boot_processor(image: &Image, start_info: u64) -> ! {
    let started_at = ticks();
    // SAFETY: the caller's promise.
    unsafe { physical::own_image(image.start, image.end) };
    pool::open(image.end);
    exceptions::install();
    counters::started(started_at);
    let info: StartInfo = physical::read(start_info);
    if info.magic != START_MAGIC || info.version == 0 {
        refuse!("not started by a PVH loader with a memory map (QEMU's -kernel)");
    }
    let options = read_options(info.command_line);
    options::set_trace(options.trace);
    counters::enable(options.counters);
    ghcb::throttle(options.throttle);
    ghcb::set_without_certificates(options.without_certificates);
    ghcb::set_bare_disk(options.bare_disk);
    check_processor();

    let mut map = [MapEntry { address: 0, size: 0, kind: 0, reserved: 0 }; MAX_MAP_ENTRIES];
    let map = read_map(&info, &mut map);
    let top = top_of_memory(map);
    let processors = count_processors(&options);
    world::set_processors(processors);
    let file = igvm_module(&info);
    say!(
        "{} MiB, {processors} processors, IGVM file of {} bytes at {:#x}, RSDP {:#x}",
        top >> 20,
        file.end - file.start,
        file.start,
        info.rsdp,
    );
    start_application_processors(&image.trampoline, processors);

    launch::launch(top, map.iter().map(piece), file);
    READY.store(true, SeqCst);
    if world::boot_processor() != 0 {
        say!("processor 0 rests");
        // Interrupts stay off, and nobody sends it an NMI.
        processor::rest();
    }
    run_guest(0)
}

/// Every other processor, with its APIC id.
pub fn application_processor(id: usize) -> ! {
    exceptions::install();
    ARRIVED.fetch_add(1, SeqCst);
    while !READY.load(SeqCst) {
        spin_loop();
    }
    run_guest(id)
}

fn run_guest(id: usize) -> ! {
    enable_svm();
    Vcpu::new(id).run()
}

/// SVM on, and GIF off for good: the machine itself takes no interrupts.
fn enable_svm() {
    const EFER: u32 = 0xc000_0080;
    const EFER_SVME: u64 = 1 << 12;
    const VM_HSAVE_PA: u32 = 0xc001_0117;
    let host_save_area = pool::pages(1);
    // SAFETY: SVM changes nothing for the machine's code; the save area is a page of this
    // processor.
    unsafe {
        write_msr(EFER, read_msr(EFER) | EFER_SVME);
        write_msr(VM_HSAVE_PA, host_save_area);
        core::arch::asm!("clgi", options(nomem, nostack));
    }
}

/// Nested paging and SVM, as `-cpu EPYC,+svm,+npt` has them.
fn check_processor() {
    const SVM_LEAF: u32 = 0x8000_000a;
    let svm = processor::cpuid(0x8000_0001, 0)[2] >> 2 & 1 != 0;
    let nested_paging = processor::cpuid(SVM_LEAF, 0)[3] & 1 != 0;
    if !svm || !nested_paging {
        refuse!("the processor lacks SVM with nested paging; use -cpu EPYC,+svm,+npt");
    }
}

fn read_options(command_line: u64) -> Options {
    let mut bytes = [0; options::MAX_LENGTH];
    let mut length = 0;
    if command_line != 0 {
        for (byte, address) in bytes.iter_mut().zip(command_line..) {
            *byte = physical::read(address);
            if *byte == 0 {
                break;
            }
            length += 1;
        }
    }
    let Ok(line) = core::str::from_utf8(&bytes[..length]) else {
        refuse!("the command line isn't UTF-8");
    };
    match Options::parse(line) {
        Ok(options) => options,
        Err(options::Unknown(word)) => refuse!("unknown option {word:?} in -append"),
    }
}

fn read_map<'a>(info: &StartInfo, map: &'a mut [MapEntry; MAX_MAP_ENTRIES]) -> &'a [MapEntry] {
    let count = usize::try_from(info.memory_map_entries).unwrap_or(usize::MAX);
    if count == 0 || count > MAX_MAP_ENTRIES {
        refuse!("a memory map of {count} entries");
    }
    for (index, entry) in map.iter_mut().enumerate().take(count) {
        *entry = physical::read(info.memory_map + (index * size_of::<MapEntry>()) as u64);
    }
    &map[..count]
}

/// The end of RAM: the last RAM entry below 4 GiB, and the firmware's tables right behind it.
fn top_of_memory(map: &[MapEntry]) -> u64 {
    let end = |entry: &MapEntry| entry.address.saturating_add(entry.size);
    let ram = map.iter().filter(|entry| entry.kind == MAP_KIND_RAM);
    if ram.clone().any(|entry| end(entry) > REACHABLE_END) {
        refuse!("RAM above 4 GiB; use -m 512 to -m 2048");
    }
    let last = ram.map(end).max().unwrap_or(0);
    let tables = map.iter().find(|entry| entry.kind != MAP_KIND_RAM && entry.address == last);
    let top = tables.map_or(last, end);
    if !(SMALLEST_MEMORY..=LARGEST_MEMORY).contains(&top) {
        refuse!("{} MiB of RAM; use -m 512 to -m 2048", top >> 20);
    }
    top
}

fn piece(entry: &MapEntry) -> MemoryPiece {
    let kind = if entry.kind == MAP_KIND_RAM { PieceKind::Ram } else { PieceKind::Firmware };
    MemoryPiece { start: entry.address, end: entry.address.saturating_add(entry.size), kind }
}

fn count_processors(options: &Options) -> usize {
    let present = usize::from(fw_cfg::processors());
    if present == 0 || present > MAX_PROCESSORS {
        refuse!("-smp {present}; at most {MAX_PROCESSORS}, of which the first runs no guest");
    }
    match options.guests {
        Some(guests) if guests >= 1 => present.min(guests + usize::from(present > 1)),
        Some(_) => refuse!("guests=0"),
        None => present,
    }
}

fn igvm_module(info: &StartInfo) -> Range<u64> {
    if info.modules != 1 {
        refuse!("{} modules; start with -initrd FILE.igvm", info.modules);
    }
    let module: Module = physical::read(info.module_list);
    let end = module.address.saturating_add(module.size);
    if module.size == 0 || end > REACHABLE_END {
        refuse!("an IGVM file at {:#x} of {} bytes", module.address, module.size);
    }
    module.address..end
}

/// INIT and STARTUP to all other processors. AMD 24593, 16.5.
fn start_application_processors(trampoline: &Range<u64>, processors: usize) {
    const SPURIOUS_VECTOR: u64 = 0xfee0_00f0;
    const INTERRUPT_COMMAND: u64 = 0xfee0_0300;
    const INTERRUPT_DESTINATION: u64 = 0xfee0_0310;
    const INIT: u32 = 0x4500;
    const STARTUP: u32 = 0x4600;
    const APIC_ON: u32 = 0x1ff;
    const APIC_OFF: u32 = 0xff;
    const WAIT_TICKS: u64 = 20_000_000_000;
    if processors == 1 {
        return;
    }
    let code: [u8; 512] = trampoline_code(trampoline);
    physical::write_bytes(TRAMPOLINE, &code);
    physical::write(SPURIOUS_VECTOR, APIC_ON);
    let page = u32::try_from(TRAMPOLINE / PAGE).unwrap_or(0);
    for id in 1..processors {
        let destination = u32::try_from(id).unwrap_or(0) << 24;
        for command in [INIT, STARTUP | page] {
            physical::write(INTERRUPT_DESTINATION, destination);
            physical::write(INTERRUPT_COMMAND, command);
            let begin = ticks();
            while ticks().wrapping_sub(begin) < 20_000_000 {
                spin_loop();
            }
        }
    }
    let begin = ticks();
    while ARRIVED.load(SeqCst) + 1 < processors {
        spin_loop();
        if ticks().wrapping_sub(begin) > WAIT_TICKS {
            fatal!("only {} of {processors} processors started", ARRIVED.load(SeqCst) + 1);
        }
    }
    physical::write(SPURIOUS_VECTOR, APIC_OFF);
}

/// The trampoline, copied out of the image.
fn trampoline_code(range: &Range<u64>) -> [u8; 512] {
    let mut code = [0; 512];
    let length = crate::bits::index(range.end - range.start).min(code.len());
    let source = core::ptr::with_exposed_provenance::<u8>(crate::bits::index(range.start));
    // SAFETY: the range is the trampoline's code in the image, which is constant and mapped.
    let source = unsafe { core::slice::from_raw_parts(source, length) };
    code[..length].copy_from_slice(source);
    code
}

/// Points the boot processor's VMPL0 at its launch VMSA.
pub(crate) fn set_launch_vmsa(vmsa: u64) {
    MEMBERS[world::boot_processor()].set_vmsa(Vmpl::Vmpl0, Some(vmsa));
}
