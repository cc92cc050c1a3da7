// SPDX-License-Identifier: MIT OR Apache-2.0
//! GDT, TSS and IDT (APM volume 2, sections 4.7, 12.2.5 and 4.7.5).
//!
//! Every gate uses an IST stack: precompiled code has a red zone that an exception must not hit
//! (docs/decisions). A handler whose stack is entered a second time is fatal (`exception.rs`).

use core::arch::asm;

/// Code segment selector.
pub(crate) const CODE_SELECTOR: u16 = 0x08;
/// Data segment selector.
pub(crate) const DATA_SELECTOR: u16 = 0x10;
/// TSS selector.
pub(crate) const TSS_SELECTOR: u16 = 0x18;

/// Which IST stack an exception runs on. Numbers as in a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExceptionStack {
    /// Everything that is fatal anyway.
    Fault = 1,
    DoubleFault = 2,
    /// Dropped without touching a register.
    Interrupt = 3,
    VmmCommunication = 4,
    PageFault = 5,
}

impl ExceptionStack {
    pub(crate) const ALL: [Self; 5] =
        [Self::Fault, Self::DoubleFault, Self::Interrupt, Self::VmmCommunication, Self::PageFault];

    const fn of_vector(vector: usize) -> Self {
        match vector {
            2 => Self::Interrupt,
            8 => Self::DoubleFault,
            14 => Self::PageFault,
            29 => Self::VmmCommunication,
            _ => Self::Fault,
        }
    }
}

/// The 64-bit task state segment.
#[repr(C, packed)]
pub(crate) struct TaskState {
    reserved_00: u32,
    rsp: [u64; 3],
    reserved_1c: u64,
    /// IST1 to IST7.
    interrupt_stacks: [u64; 7],
    reserved_5c: u64,
    reserved_64: u16,
    /// Beyond the limit: there is no I/O bitmap, ring 3 has no ports.
    io_map_base: u16,
}

const _: () = assert!(size_of::<TaskState>() == TaskState::SIZE as usize);

impl TaskState {
    pub(crate) const SIZE: u16 = 104;

    pub(crate) const fn new() -> Self {
        Self {
            reserved_00: 0,
            rsp: [0; 3],
            reserved_1c: 0,
            interrupt_stacks: [0; 7],
            reserved_5c: 0,
            reserved_64: 0,
            io_map_base: Self::SIZE,
        }
    }

    pub(crate) fn set_stack(&mut self, stack: ExceptionStack, top: u64) {
        let mut stacks = self.interrupt_stacks;
        if let Some(place) = stacks.get_mut(stack as usize - 1) {
            *place = top;
        }
        self.interrupt_stacks = stacks;
    }
}

/// Null, code, data, TSS (two entries).
#[repr(C, align(16))]
pub(crate) struct GlobalDescriptors([u64; 5]);

impl GlobalDescriptors {
    /// Its size in bytes less one.
    pub(crate) const LIMIT: u16 = 5 * 8 - 1;

    pub(crate) fn new(task_state: *const TaskState) -> Self {
        let base = task_state.addr() as u64;
        let limit = u64::from(TaskState::SIZE) - 1;
        let low = limit
            | (base & 0xff_ffff) << 16
            | 0x89 << 40 // present, available 64-bit TSS
            | (base >> 24 & 0xff) << 56;
        Self([0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, low, base >> 32])
    }
}

const VECTORS: usize = 32;

#[repr(C, align(16))]
pub(crate) struct InterruptDescriptors([[u64; 2]; VECTORS]);

impl InterruptDescriptors {
    /// Its size in bytes less one.
    pub(crate) const LIMIT: u16 = 32 * 16 - 1;

    pub(crate) const fn empty() -> Self {
        Self([[0; 2]; VECTORS])
    }

    /// Gates for all exceptions. There are none above 31: an interrupt there is a #GP, which is
    /// fatal, because nobody has a reason to send one.
    pub(crate) fn new(handlers: &[u64; VECTORS]) -> Self {
        let mut gates = Self::empty();
        for (vector, (gate, handler)) in gates.0.iter_mut().zip(handlers).enumerate() {
            let stack = ExceptionStack::of_vector(vector) as u64;
            *gate = [
                handler & 0xffff
                    | u64::from(CODE_SELECTOR) << 16
                    | stack << 32
                    | 0x8e << 40 // present, ring 0, 64-bit interrupt gate
                    | (handler >> 16 & 0xffff) << 48,
                handler >> 32,
            ];
        }
        gates
    }
}

#[repr(C, packed)]
struct TablePointer {
    limit: u16,
    base: u64,
}

/// Loads the tables of this CPU.
///
/// # Safety
/// All three stay where they are and valid for good; `gdt` describes `TSS_SELECTOR`.
pub(crate) unsafe fn load(gdt: *const GlobalDescriptors, idt: *const InterruptDescriptors) {
    let gdt =
        TablePointer { limit: GlobalDescriptors::LIMIT, base: gdt.expose_provenance() as u64 };
    let idt =
        TablePointer { limit: InterruptDescriptors::LIMIT, base: idt.expose_provenance() as u64 };
    // SAFETY: the caller's promise; the new GDT has the same code and data descriptors as the one
    // in use, so the segments that are loaded stay right.
    unsafe {
        asm!("lgdt [{}]", in(reg) &raw const gdt, options(readonly, nostack, preserves_flags));
        asm!("lidt [{}]", in(reg) &raw const idt, options(readonly, nostack, preserves_flags));
        asm!("ltr {0:x}", in(reg) TSS_SELECTOR, options(nostack, preserves_flags));
    }
}
