// SPDX-License-Identifier: MIT OR Apache-2.0
//! Other VMPLs and other processors: their VMSAs, stacks, and the way to and from them.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use snp_abi::Vmpl;
use snp_abi::config::{CONFIG_OFFSET, LaunchConfigPage, MADT_OFFSET, REGION_BASE};
use snp_abi::ghcb::{ApCreation, ApRequest, Field, exit};
use snp_abi::vmsa::{LongModeEntry, Segment, SevFeatures, Vmsa};

use crate::ghcb::{Answer, Call};
use crate::instructions::{ALL, low_32, read_msr, rmpadjust};
use crate::memory::{
    PAGE, STACK_AREA, VMSA_AREA, clear, make_private, read_private, write_private,
};
use crate::{Image, check_eq, faults, ghcb, outcome};

static PAGE_TABLES: AtomicU64 = AtomicU64::new(0);
static GDT: AtomicU64 = AtomicU64::new(0);
static ENTRY: AtomicU64 = AtomicU64::new(0);
static C_BIT: AtomicU64 = AtomicU64::new(0);

/// FS base isn't used otherwise: it says which processor and VMPL this is.
const MSR_FS_BASE: u32 = 0xc000_0100;
/// Where the APIC ids stand in the MADT: after its header and the entry's first three bytes.
const MADT_FIRST_APIC_ID: u64 = 44 + 3;
const MADT_ENTRY_SIZE: u64 = 8;
const STACK_SIZE: u64 = 0x4000;
/// The guest's level.
pub(crate) const VMPL2: u64 = 2;

/// Keeps what the entry code said, and marks this as VMPL0 of the boot processor.
pub(crate) fn remember(image: &Image) {
    PAGE_TABLES.store(image.page_tables, SeqCst);
    GDT.store(image.gdt, SeqCst);
    ENTRY.store(image.entry, SeqCst);
    let cr3: u64;
    // SAFETY: reading CR3 has no effect.
    unsafe { asm!("mov {}, cr3", out(reg) cr3, options(nomem, nostack)) }
    C_BIT.store(cr3 & !image.page_tables & !0xfff, SeqCst);
    let identity = low_32(apic_id(0) * 4);
    // SAFETY: nothing in the payload uses FS.
    unsafe { asm!("wrmsr", in("ecx") MSR_FS_BASE, in("eax") identity, in("edx") 0) }
}

/// The APIC id of the processor with this number, from the machine's list.
pub(crate) fn apic_id(processor: u64) -> u64 {
    let madt = REGION_BASE + MADT_OFFSET;
    u64::from(read_private::<u8>(madt + MADT_FIRST_APIC_ID + processor * MADT_ENTRY_SIZE))
}

/// APIC id and VMPL of whoever asks.
pub(crate) fn who_am_i() -> (u64, u64) {
    let identity = read_msr(MSR_FS_BASE);
    (identity / 4, identity % 4)
}

/// The VMSA page of a processor's VMPL.
pub(crate) fn vmsa_page(apic_id: u64, vmpl: u64) -> u64 {
    VMSA_AREA + (apic_id * 4 + vmpl) * PAGE
}

/// Gives VMPL2 everything that its code in this image needs.
pub(crate) fn grant_image() {
    let page: LaunchConfigPage = read_private(REGION_BASE + CONFIG_OFFSET);
    let Ok(config) = page.parse() else {
        outcome::fail(format_args!("the launch configuration isn't valid"))
    };
    let parameters = REGION_BASE..REGION_BASE + MADT_OFFSET + PAGE;
    let image = config.image_start..config.image_end;
    for gpa in parameters.step_by(4096).chain(image.step_by(4096)) {
        check_eq!(rmpadjust(gpa, false, VMPL2, ALL, false), 0);
    }
}

/// Prepares a VMSA and a stack; the VMSA page isn't marked as one yet.
pub(crate) fn prepare(apic_id: u64, vmpl: Vmpl, run: extern "C" fn() -> !) -> u64 {
    let number = apic_id * 4 + vmpl.index() as u64;
    let vmsa_gpa = vmsa_page(apic_id, vmpl.index() as u64);
    let stack = STACK_AREA + number * STACK_SIZE;
    for gpa in (stack..stack + STACK_SIZE).step_by(4096) {
        make_private(gpa);
        if vmpl != Vmpl::Vmpl0 {
            check_eq!(rmpadjust(gpa, false, vmpl.index() as u64, ALL, false), 0);
        }
    }
    make_private(vmsa_gpa);
    clear(vmsa_gpa);
    fill(vmsa_gpa, number, vmpl, run, stack + STACK_SIZE);
    vmsa_gpa
}

/// Writes a VMSA anew.
pub(crate) fn fill(
    vmsa_gpa: u64,
    number: u64,
    vmpl: Vmpl,
    run: extern "C" fn() -> !,
    stack_top: u64,
) {
    let mut vmsa = Vmsa::long_mode(&LongModeEntry {
        vmpl,
        sev_features: SevFeatures::SNP_ACTIVE,
        code_selector: 8,
        data_selector: 0x10,
        gdt: (GDT.load(SeqCst), 23),
        cr3: PAGE_TABLES.load(SeqCst) | C_BIT.load(SeqCst),
        rip: ENTRY.load(SeqCst),
        rsp: stack_top,
    });
    vmsa.rdi = (run as *const ()).addr() as u64;
    vmsa.fs = Segment { base: number, ..vmsa.fs };
    write_private(vmsa_gpa, vmsa);
}

/// Marks a page as a VMSA.
pub(crate) fn mark(vmsa_gpa: u64) {
    check_eq!(rmpadjust(vmsa_gpa, false, 1, 0, true), 0);
}

/// AP creation event.
pub(crate) fn ap_creation(request: ApRequest, apic_id: u64, vmpl: Vmpl, vmsa_gpa: u64) -> Answer {
    let apic_id = u32::try_from(apic_id).unwrap_or(u32::MAX);
    ghcb::call(Call {
        code: exit::AP_CREATION,
        info_1: ApCreation { request, vmpl, apic_id }.encode(),
        info_2: vmsa_gpa,
        fields: &[(Field::Rax, SevFeatures::SNP_ACTIVE.bits())],
    })
}

/// Runs another VMPL of this processor; returns when that runs this one.
pub(crate) fn run_vmpl(vmpl: u64) -> Answer {
    ghcb::call(Call { code: exit::RUN_VMPL, info_1: vmpl, info_2: 0, fields: &[] })
}

/// Starts VMPL2 of this processor with a function; returns when that runs VMPL0 again.
pub(crate) fn run_at_vmpl2(run: extern "C" fn() -> !) {
    grant_image();
    let (apic_id, _) = who_am_i();
    let vmsa_gpa = prepare(apic_id, Vmpl::Vmpl2, run);
    mark(vmsa_gpa);
    check_eq!(ap_creation(ApRequest::CreateOnInit, apic_id, Vmpl::Vmpl2, vmsa_gpa), Answer::DONE);
    check_eq!(run_vmpl(VMPL2), Answer::DONE);
}

/// What code at another VMPL or on another processor does first.
pub(crate) fn arrive() {
    faults::install();
    ghcb::setup();
}

/// Back to VMPL0, for ever.
pub(crate) fn return_to_vmpl0() -> ! {
    loop {
        run_vmpl(0);
    }
}
