// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's means: its memory, the GHCB MSR protocol (AMD 56421, 2.3.1), the SVSM call (AMD
//! 58019).
//!
//! Everything is identity mapped and private, and nothing else runs.

use crate::run::{Call, Outcome};

/// MSRs.
const GHCB: u32 = 0xc001_0130;
const SEV_STATUS: u32 = 0xc001_0131;
/// Requests of the MSR protocol in bits 11:0.
const CPUID_REQUEST: u64 = 0x004;
const CPUID_RESPONSE: u64 = 0x005;
const PAGE_STATE_REQUEST: u64 = 0x014;
const PAGE_STATE_RESPONSE: u64 = 0x015;
const RUN_VMPL_REQUEST: u64 = 0x016;
const RUN_VMPL_RESPONSE: u64 = 0x017;
const TERMINATE_REQUEST: u64 = 0x100;
const SEV_INFORMATION_REQUEST: u64 = 0x002;
/// The address in a page table entry, the C-bit included.
const TABLE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Reads `N` bytes.
pub fn read<const N: usize>(address: u64) -> [u8; N] {
    let source = core::ptr::with_exposed_provenance::<[u8; N]>(as_pointer(address));
    // SAFETY: all memory below 4 GiB is identity mapped; what is read is plain bytes, and bytes
    // need no alignment. Volatile, since the SVSM writes behind the compiler's back.
    unsafe { source.read_volatile() }
}

/// Writes `N` bytes.
pub fn write<const N: usize>(address: u64, bytes: [u8; N]) {
    let target = core::ptr::with_exposed_provenance_mut::<[u8; N]>(as_pointer(address));
    // SAFETY: callers write to the arena, the calling area and the page tables only: memory that no
    // Rust object occupies. Bytes need no alignment.
    unsafe { target.write_volatile(bytes) }
}

fn as_pointer(address: u64) -> usize {
    usize::try_from(address).unwrap_or(usize::MAX)
}

/// Bits 63:2 of SEV_STATUS: what the VMSA calls `sev_features`.
pub fn sev_features() -> u64 {
    read_msr(SEV_STATUS) >> 2
}

/// This processor's APIC id, from CPUID Fn0000_0001 EBX; `None` if the hypervisor doesn't answer.
pub fn apic_id() -> Option<u32> {
    let answer = exchange(1 << 32 | 1 << 30 | CPUID_REQUEST);
    let ebx = u32::try_from(answer >> 32).ok()?;
    (answer & 0xfff == CPUID_RESPONSE).then_some(ebx >> 24)
}

/// Ends the machine.
pub fn terminate(set: u64, code: u64) -> ! {
    loop {
        exchange(code << 16 | set << 12 | TERMINATE_REQUEST);
    }
}

/// Makes a call through the calling area at `area`; `None` if it wasn't served.
pub fn call(area: u64, call: &Call) -> Option<Outcome> {
    write(area, [1]);
    write_msr(GHCB, RUN_VMPL_REQUEST);
    let (rax, rcx, r8);
    // SAFETY: VMGEXIT (rep vmmcall) hands over to the SVSM, which may change the registers that are
    // outputs here and memory that this program names in its calls: the default is that all memory
    // is clobbered. The stack isn't used.
    unsafe {
        core::arch::asm!(
            "rep vmmcall",
            inout("rax") call.rax => rax,
            inout("rcx") call.rcx => rcx,
            inout("rdx") call.rdx => _,
            inout("r8") call.r8 => r8,
            inout("r9") 0u64 => _,
        );
    }
    let served = read_msr(GHCB) & 0xfff == RUN_VMPL_RESPONSE && read::<1>(area) == [0];
    served.then_some(Outcome { rax, rcx, r8 })
}

/// Makes a request of the MSR protocol, or the one in the GHCB page whose address it is; what the
/// MSR holds afterwards.
pub fn exchange(request: u64) -> u64 {
    write_msr(GHCB, request);
    // SAFETY: as in `call`; neither kind of request made here changes a register.
    unsafe { core::arch::asm!("rep vmmcall") }
    read_msr(GHCB)
}

/// Has the hypervisor make the page at `address` shared and private again, which takes its
/// validation away without the SVSM; whether it did.
pub fn exchange_page(address: u64) -> bool {
    const PRIVATE: u64 = 1 << 52;
    const SHARED: u64 = 2 << 52;
    [SHARED, PRIVATE].map(|state| exchange(state | address | PAGE_STATE_REQUEST))
        == [PAGE_STATE_RESPONSE; 2]
}

/// Maps the 2 MiB around `address` without the C-bit.
pub fn share_large_page(address: u64) {
    let c_bit = 1u64 << (exchange(SEV_INFORMATION_REQUEST) >> 24 & 0x3f);
    let mut table: u64;
    // SAFETY: reading CR3 has no effect.
    unsafe { core::arch::asm!("mov {}, cr3", out(reg) table) }
    for shift in [39, 30] {
        table = table & TABLE_ADDRESS & !c_bit;
        table = u64::from_le_bytes(read(table + (address >> shift & 0x1ff) * 8));
    }
    let slot = (table & TABLE_ADDRESS & !c_bit) + (address >> 21 & 0x1ff) * 8;
    write(slot, (u64::from_le_bytes(read(slot)) & !c_bit).to_le_bytes());
    // SAFETY: the same tables again, only to forget the old translation; the caller's page is the
    // only thing that anyone uses in those 2 MiB.
    unsafe { core::arch::asm!("mov {0}, cr3", "mov cr3, {0}", out(reg) _) }
}

fn read_msr(number: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: both MSRs used are the guest's to read and have no effect on memory.
    unsafe {
        core::arch::asm!("rdmsr", in("ecx") number, out("eax") low, out("edx") high);
    }
    u64::from(high) << 32 | u64::from(low)
}

fn write_msr(number: u32, value: u64) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    let (low, high) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    // SAFETY: only the GHCB MSR is written: a mailbox to the hypervisor.
    unsafe {
        core::arch::asm!("wrmsr", in("ecx") number, in("eax") low, in("edx") high);
    }
}
