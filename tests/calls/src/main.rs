// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bare-metal program.
#![no_std]
#![no_main]

use calls::{guest, run, verdict};
use core::arch::global_asm;
use core::panic::PanicInfo;

global_asm!(include_str!("boot.s"), options(att_syntax));
global_asm!(include_str!("../../emulator/src/assembly/memory.S"), options(att_syntax));

unsafe extern "C" {
    static arena_start: u8;
}

/// Called by boot.s with the address of boot_params.
#[unsafe(no_mangle)]
extern "C" fn calls_main(boot_params: u64) -> ! {
    let arena = (&raw const arena_start).expose_provenance() as u64;
    guest::terminate(verdict::REASON_SET, run::run(boot_params, arena))
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    guest::terminate(verdict::REASON_SET, verdict::NO_START)
}

/// Named by the precompiled core library; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Named by the precompiled core library; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    guest::terminate(verdict::REASON_SET, verdict::NO_START)
}
