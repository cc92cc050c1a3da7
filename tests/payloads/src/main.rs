// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bare-metal payload: runs the case that the launch configuration names.
#![no_std]
#![no_main]

use core::arch::global_asm;
use core::panic::PanicInfo;

global_asm!(include_str!("assembly/boot.S"), options(att_syntax));
global_asm!(include_str!("../../emulator/src/assembly/memory.S"), options(att_syntax));

unsafe extern "C" {
    static payload_pml4: u8;
    static payload_gdt: u8;
    fn payload_entry();
}

/// Called by boot.S at VMPL0 of the boot processor.
#[unsafe(no_mangle)]
extern "C" fn payload_main() -> ! {
    let image = payloads::Image {
        page_tables: (&raw const payload_pml4).addr() as u64,
        gdt: (&raw const payload_gdt).addr() as u64,
        entry: (payload_entry as unsafe extern "C" fn() as *const ()).addr() as u64,
    };
    payloads::run(&image)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    payloads::outcome::fail(format_args!("{info}"))
}

/// Named by the precompiled core library; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Named by the precompiled core library; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    payloads::outcome::fail(format_args!("unwinding"))
}
