// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exceptions that a case expects: accesses with a way out.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::outcome;

unsafe extern "C" {
    static fault_stubs: u8;
    fn probe_read(address: u64) -> u64;
    fn probe_read_fault();
    fn probe_write(address: u64, value: u64) -> u64;
    fn probe_write_fault();
    fn probe_instruction(code: u64) -> u64;
    fn probe_instruction_fault();
}

const VECTORS: usize = 32;
const TABLE_LIMIT: u16 = 32 * 16 - 1;
const CODE_SELECTOR: u64 = 8;
const INTERRUPT_GATE: u64 = 0x8e00;

static TABLE: [[AtomicU64; 2]; VECTORS] = [const { [const { AtomicU64::new(0) }; 2] }; VECTORS];
/// Where to go on after the expected exception; 0: none is expected.
static WAY_OUT: AtomicU64 = AtomicU64::new(0);
static VECTOR: AtomicU64 = AtomicU64::new(0);
static ERROR_CODE: AtomicU64 = AtomicU64::new(0);
static CR2: AtomicU64 = AtomicU64::new(0);

/// An exception that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) vector: u64,
    pub(crate) error_code: u64,
    pub(crate) cr2: u64,
}

#[repr(C, packed)]
struct TableRegister {
    limit: u16,
    base: u64,
}

/// Installs the interrupt table on this processor and VMPL.
pub(crate) fn install() {
    let stubs = (&raw const fault_stubs).addr() as u64;
    for (vector, gate) in (0u64..).zip(&TABLE) {
        let handler = stubs + vector * 16;
        let low = handler & 0xffff
            | CODE_SELECTOR << 16
            | INTERRUPT_GATE << 32
            | (handler >> 16 & 0xffff) << 48;
        gate[0].store(low, SeqCst);
        gate[1].store(handler >> 32, SeqCst);
    }
    let register = TableRegister { limit: TABLE_LIMIT, base: TABLE.as_ptr().addr() as u64 };
    // SAFETY: the table is static and each gate names a stub in assembly/faults.S.
    unsafe { asm!("lidt [{}]", in(reg) &raw const register, options(readonly, nostack)) }
}

/// Called by the stubs with the frame: vector, error code, RIP, CS, RFLAGS, RSP, SS.
#[unsafe(no_mangle)]
extern "C" fn payload_fault(frame: &mut [u64; 7]) {
    let cr2: u64;
    // SAFETY: reading CR2 has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) cr2, options(nomem, nostack)) }
    let way_out = WAY_OUT.swap(0, SeqCst);
    if way_out == 0 {
        let [vector, error, rip, ..] = frame;
        outcome::fail(format_args!(
            "exception {vector}, error code {error:#x}, at {rip:#x}, cr2 {cr2:#x}"
        ));
    }
    VECTOR.store(frame[0], SeqCst);
    ERROR_CODE.store(frame[1], SeqCst);
    CR2.store(cr2, SeqCst);
    frame[2] = way_out;
}

fn catch(way_out: unsafe extern "C" fn(), access: impl FnOnce() -> u64) -> Result<(), Fault> {
    WAY_OUT.store((way_out as *const ()).addr() as u64, SeqCst);
    let faulted = access() != 0;
    WAY_OUT.store(0, SeqCst);
    if faulted {
        Err(Fault {
            vector: VECTOR.load(SeqCst),
            error_code: ERROR_CODE.load(SeqCst),
            cr2: CR2.load(SeqCst),
        })
    } else {
        Ok(())
    }
}

/// Reads a byte, or says which exception that raised.
pub(crate) fn try_read(address: u64) -> Result<(), Fault> {
    // SAFETY: reads one byte; an exception leads to the function's own way out.
    catch(probe_read_fault, || unsafe { probe_read(address) })
}

/// Writes a byte, or says which exception that raised.
pub(crate) fn try_write(address: u64, value: u64) -> Result<(), Fault> {
    // SAFETY: cases write to their own pages only; an exception leads to the function's own way out.
    catch(probe_write_fault, || unsafe { probe_write(address, value) })
}

/// Executes code that ends with RET, with RAX, RCX and RDX zero, or says which exception it raised.
pub(crate) fn try_execute(code: &[u8]) -> Result<(), Fault> {
    let address = code.as_ptr().addr() as u64;
    // SAFETY: the cases' code is one instruction and RET; it changes no register that it must keep, and
    // an exception leads to the function's own way out.
    catch(probe_instruction_fault, || unsafe { probe_instruction(address) })
}
