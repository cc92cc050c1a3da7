// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the machine ends when the fault isn't the guest's: one line, and QEMU exits.

use core::fmt::Arguments;

use crate::{console, exit_code, processor};

/// Reports a defect of the machine itself.
pub fn defect(reason: Arguments<'_>) -> ! {
    console::write_line("machine-fatal: ", reason);
    processor::exit_qemu(exit_code::MACHINE_DEFECT)
}

/// Reports that what the machine was started with can't be used.
pub fn cannot_start(reason: Arguments<'_>) -> ! {
    console::write_line("machine-cannot-start: ", reason);
    processor::exit_qemu(exit_code::CANNOT_START)
}

/// Ends the machine because of its own defect.
#[macro_export]
macro_rules! fatal {
    ($($argument:tt)*) => { $crate::fatal::defect(format_args!($($argument)*)) };
}

/// Ends the machine because it was started wrongly.
#[macro_export]
macro_rules! refuse {
    ($($argument:tt)*) => { $crate::fatal::cannot_start(format_args!($($argument)*)) };
}
