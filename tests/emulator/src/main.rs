// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bare-metal program: entry points, and what the precompiled core library expects of its
//! environment. Everything else is in the library.
#![no_std]
#![no_main]

use core::arch::global_asm;
use core::panic::PanicInfo;

use emulator::start::{self, Image};

global_asm!(include_str!("assembly/boot.S"), options(att_syntax));
global_asm!(include_str!("assembly/trampoline.S"), options(att_syntax));
global_asm!(include_str!("assembly/memory.S"), options(att_syntax));

unsafe extern "C" {
    static image_start: u8;
    static image_end: u8;
    static trampoline_start: u8;
    static trampoline_end: u8;
}

/// Called by boot.S on QEMU's first processor.
#[unsafe(no_mangle)]
extern "C" fn machine_main(start_info: u64) -> ! {
    let image = Image {
        start: (&raw const image_start).addr() as u64,
        end: (&raw const image_end).addr() as u64,
        trampoline: (&raw const trampoline_start).addr() as u64
            ..(&raw const trampoline_end).addr() as u64,
    };
    // SAFETY: boot.S has mapped 4 GiB one to one, and the linker script puts everything the program
    // owns between the two symbols.
    unsafe { start::boot_processor(&image, start_info) }
}

/// Called by trampoline.S on the others.
#[unsafe(no_mangle)]
extern "C" fn machine_application_processor(id: usize) -> ! {
    start::application_processor(id)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    emulator::fatal::defect(format_args!("{info}"))
}

/// Named by the precompiled core library; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Named by the precompiled core library; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    emulator::fatal::defect(format_args!("unwinding"))
}
