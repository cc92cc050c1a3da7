// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the precompiled core library wants from a runtime, and the panic handler.

use crate::snp::termination::{Reason, terminate};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

/// Ends the guest for a fault of ours.
#[panic_handler]
fn panic(information: &PanicInfo<'_>) -> ! {
    static PANICKING: AtomicBool = AtomicBool::new(false);
    if !PANICKING.swap(true, Ordering::Relaxed) {
        crate::error!("fatal: {information}");
    }
    terminate(Reason::Internal)
}

/// Logs why, and ends the guest.
pub fn fatal(reason: Reason, what: core::fmt::Arguments<'_>) -> ! {
    crate::error!("fatal: {what} ({reason:?})");
    terminate(reason)
}

// The precompiled core refers to these; panics abort, so nothing calls them.
// SAFETY: the names are unique in this program.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    terminate(Reason::Internal)
}
