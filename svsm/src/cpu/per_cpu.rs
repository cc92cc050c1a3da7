// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each CPU has for itself, found through the GS base: stacks, tables, its GHCB.

use super::descriptor::{
    CODE_SELECTOR, DATA_SELECTOR, ExceptionStack, GlobalDescriptors, InterruptDescriptors,
    TSS_SELECTOR, TaskState, load,
};
use super::registers::{MSR_GS_BASE, write_msr};
use crate::memory::kernel_space::{self, SpaceError};
use crate::memory::pointer_sized;
use crate::snp::ghcb::Ghcb;
use core::arch::asm;
use core::sync::atomic::AtomicBool;
use snp_abi::vmsa::{CODE_64_ATTRIBUTES, Segment, TSS_ATTRIBUTES, Vmsa};
use spin::Once;

/// Frames of an exception stack. They print, so they need more than a page.
const EXCEPTION_STACK_FRAMES: usize = 2;
/// Frames of the stack on which calls are served: the TPM's structures live on it.
const KERNEL_STACK_FRAMES: usize = 64;

static INTERRUPTS: Once<InterruptDescriptors> = Once::new();

unsafe extern "C" {
    /// Handler addresses, one per vector (vectors.s).
    static exception_vectors: [u64; 32];
}

/// One CPU's own data. It never moves and is never freed.
#[repr(C)]
pub struct PerCpu {
    /// First, so that `gs:0` is a pointer to the whole.
    itself: *const Self,
    /// Number of the CPU, 0 for the one that booted.
    pub index: usize,
    /// Its APIC id.
    pub apic_id: u32,
    /// Its GHCB.
    pub ghcb: Ghcb,
    /// An exception handler runs, on a stack that must not be entered a second time.
    pub in_exception: AtomicBool,
    task_state: TaskState,
    descriptors: GlobalDescriptors,
}

impl PerCpu {
    /// Makes the data of one CPU: exception stacks, tables, and a page for its GHCB, which is not
    /// shared yet.
    ///
    /// # Errors
    /// The region is full.
    pub fn create(index: usize, apic_id: u32) -> Result<&'static Self, SpaceError> {
        let mut task_state = TaskState::new();
        for stack in ExceptionStack::ALL {
            task_state.set_stack(stack, kernel_space::allocate_stack(EXCEPTION_STACK_FRAMES)?);
        }
        let ghcb_address = kernel_space::allocate_frames(1)?;
        let place = kernel_space::allocate_frames(size_of::<Self>().div_ceil(4096))?;
        let place = core::ptr::with_exposed_provenance_mut::<Self>(pointer_sized(place));
        // SAFETY: fresh, mapped frames that nobody else has, page aligned and large enough. The
        // GHCB's promise is kept by `snp::page_state::share_ghcb` and `enter` before any use.
        unsafe {
            place.write(Self {
                itself: place,
                index,
                apic_id,
                ghcb: Ghcb::new(ghcb_address),
                in_exception: AtomicBool::new(false),
                task_state,
                descriptors: GlobalDescriptors::new(core::ptr::null()),
            });
            // The descriptor of the TSS needs its final address.
            (*place).descriptors = GlobalDescriptors::new(&raw const (*place).task_state);
            Ok(&*place)
        }
    }

    /// A stack for serving calls on this CPU: the address behind its last byte.
    ///
    /// # Errors
    /// The region is full.
    pub fn allocate_kernel_stack() -> Result<u64, SpaceError> {
        kernel_space::allocate_stack(KERNEL_STACK_FRAMES)
    }

    /// Makes this the running CPU's data.
    ///
    /// # Safety
    /// Called once for each value, on the CPU it was made for.
    pub unsafe fn enter(&'static self) {
        let interrupts = INTERRUPTS.call_once(|| {
            // SAFETY: a constant table of vectors.s.
            InterruptDescriptors::new(unsafe { &exception_vectors })
        });
        // SAFETY: all three are 'static and the descriptors name this TSS.
        unsafe {
            load(&raw const self.descriptors, interrupts);
            write_msr(MSR_GS_BASE, self.itself.expose_provenance() as u64);
        }
    }

    /// Sets the registers with which a CPU starts in `vmsa` as `enter` does for the first CPU.
    pub fn set_initial_state(&self, vmsa: &mut Vmsa) {
        let interrupts = INTERRUPTS.get().map_or(0, |table| (&raw const *table).addr());
        vmsa.cs = Segment::flat(CODE_SELECTOR, CODE_64_ATTRIBUTES);
        for segment in [&mut vmsa.ds, &mut vmsa.es, &mut vmsa.ss] {
            segment.selector = DATA_SELECTOR;
        }
        vmsa.gdtr = Segment::table(
            (&raw const self.descriptors).expose_provenance() as u64,
            u32::from(GlobalDescriptors::LIMIT),
        );
        vmsa.idtr = Segment::table(interrupts as u64, u32::from(InterruptDescriptors::LIMIT));
        vmsa.tr = Segment {
            selector: TSS_SELECTOR,
            attributes: TSS_ATTRIBUTES,
            limit: u32::from(TaskState::SIZE) - 1,
            base: (&raw const self.task_state).expose_provenance() as u64,
        };
        vmsa.gs.base = self.itself.expose_provenance() as u64;
    }
}

/// The running CPU's data. Only after [`PerCpu::enter`] on this CPU.
pub fn current() -> &'static PerCpu {
    let pointer: *const PerCpu;
    // SAFETY: `enter`, or the VMSA of an AP, has set GS to a `PerCpu` that lives for ever.
    unsafe {
        asm!("mov {}, gs:0", out(reg) pointer, options(nostack, readonly, preserves_flags));
        &*pointer
    }
}
