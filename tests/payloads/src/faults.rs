// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exceptions that a case expects: accesses with a way out.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use snp_abi::config::{CPUID_OFFSET, REGION_BASE};
use snp_abi::cpuid::CpuidPage;
use snp_abi::ghcb::exit;

use crate::instructions::low_32;
use crate::{memory, outcome};

unsafe extern "C" {
    static fault_stubs: u8;
    fn probe_read(address: u64) -> u64;
    fn probe_read_fault();
    fn probe_write(address: u64, value: u64) -> u64;
    fn probe_write_fault();
    fn probe_instruction(code: u64) -> u64;
    fn probe_instruction_fault();
}

const VC: u64 = 29;
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

/// What the stubs have saved, and what the processor has pushed.
#[repr(C)]
#[derive(Debug)]
struct Frame {
    r11_to_r8: [u64; 4],
    rdi: u64,
    rsi: u64,
    rdx: u64,
    rcx: u64,
    rax: u64,
    rbx: u64,
    vector: u64,
    error_code: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// Called by the stubs.
#[unsafe(no_mangle)]
extern "C" fn payload_fault(frame: &mut Frame) {
    let cr2: u64;
    // SAFETY: reading CR2 has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) cr2, options(nomem, nostack)) }
    let way_out = WAY_OUT.swap(0, SeqCst);
    if way_out == 0 {
        if (frame.vector, frame.error_code) == (VC, exit::CPUID) {
            return answer_cpuid(frame);
        }
        outcome::fail(format_args!("exception, cr2 {cr2:#x}: {frame:x?}"));
    }
    VECTOR.store(frame.vector, SeqCst);
    ERROR_CODE.store(frame.error_code, SeqCst);
    CR2.store(cr2, SeqCst);
    frame.rip = way_out;
}

/// CPUID from the CPUID page: the cipher of the guest messages asks for processor features.
fn answer_cpuid(frame: &mut Frame) {
    const CPUID_SIZE: u64 = 2;
    let page: CpuidPage = memory::read_private(REGION_BASE + CPUID_OFFSET);
    let function = page.find(low_32(frame.rax), low_32(frame.rcx));
    let function = function.copied().unwrap_or_default();
    frame.rax = u64::from(function.eax);
    frame.rbx = u64::from(function.ebx);
    frame.rcx = u64::from(function.ecx);
    frame.rdx = u64::from(function.edx);
    frame.rip += CPUID_SIZE;
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
    // SAFETY: cases write to their own pages only; an exception leads to the function's own way
    // out.
    catch(probe_write_fault, || unsafe { probe_write(address, value) })
}

/// Executes code that ends with RET, with RAX, RCX and RDX zero, or says which exception it raised.
pub(crate) fn try_execute(code: &[u8]) -> Result<(), Fault> {
    let address = code.as_ptr().addr() as u64;
    // SAFETY: the cases' code is one instruction and RET; it changes no register that it must keep,
    // and an exception leads to the function's own way out.
    catch(probe_instruction_fault, || unsafe { probe_instruction(address) })
}
