// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's own interrupt table: NMIs are other processors' kicks, everything else is a
//! defect.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::fatal;

unsafe extern "C" {
    static exception_stubs: u8;
    fn nmi_entry();
}

const VECTORS: usize = 32;
const TABLE_LIMIT: u16 = 32 * 16 - 1;
const STUB_SIZE: u64 = 16;
const CODE_SELECTOR: u64 = 8;
const INTERRUPT_GATE: u64 = 0x8e00;
const NMI: usize = 2;

/// The table: two quadwords a gate. Atomic, since every processor writes the same into it.
static TABLE: [[AtomicU64; 2]; VECTORS] = [const { [const { AtomicU64::new(0) }; 2] }; VECTORS];

#[repr(C, packed)]
struct TableRegister {
    limit: u16,
    base: u64,
}

/// Installs the table on this processor.
pub(crate) fn install() {
    let stubs = (&raw const exception_stubs).addr() as u64;
    for (vector, gate) in TABLE.iter().enumerate() {
        let handler = if vector == NMI {
            (nmi_entry as unsafe extern "C" fn() as *const ()).addr() as u64
        } else {
            stubs + vector as u64 * STUB_SIZE
        };
        let low = handler & 0xffff
            | CODE_SELECTOR << 16
            | INTERRUPT_GATE << 32
            | (handler >> 16 & 0xffff) << 48;
        gate[0].store(low, Relaxed);
        gate[1].store(handler >> 32, Relaxed);
    }
    let register = TableRegister { limit: TABLE_LIMIT, base: TABLE.as_ptr().addr() as u64 };
    // SAFETY: the table is static, and each gate names a handler in assembly/world_switch.S.
    unsafe { asm!("lidt [{}]", in(reg) &raw const register, options(readonly, nostack)) }
}

/// Called by the stubs with a frame: vector, error code, RIP, CS, RFLAGS, RSP, SS.
#[unsafe(no_mangle)]
extern "C" fn machine_exception(frame: &[u64; 7]) -> ! {
    let cr2: u64;
    // SAFETY: reading CR2 has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) cr2, options(nomem, nostack)) }
    let [vector, error, rip, _, rflags, rsp, _] = frame;
    fatal!(
        "exception {vector} in the machine: error {error:#x} rip {rip:#x} rsp {rsp:#x} \
         rflags {rflags:#x} cr2 {cr2:#x}"
    )
}
