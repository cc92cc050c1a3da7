// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's own output: QEMU's debug console, one byte a write and no polling. The guest's
//! serial ports are the guest's.
//!
//! Lines for people begin with `machine: `, lines for programs with `machine-json: `.

use core::fmt::{Arguments, Write};

use spin::Mutex;

use crate::processor::{Width, port_out};

const DEBUG_CONSOLE_PORT: u16 = 0xe9;

/// Serialises whole lines of several processors.
static LINE: Mutex<Port> = Mutex::new(Port);

struct Port;

impl Write for Port {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            port_out(DEBUG_CONSOLE_PORT, Width::Byte, u32::from(byte));
        }
        Ok(())
    }
}

/// Writes one line.
pub fn write_line(prefix: &str, line: Arguments<'_>) {
    let mut port = LINE.lock();
    // The port can't fail; a value's own `Display` could, and then the line is shorter.
    if writeln!(port, "{prefix}{line}").is_err() {
        writeln!(port, " (formatting failed)").ok();
    }
}

/// A line for people.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::console::write_line("machine: ", format_args!($($argument)*))
    };
}

/// A line for programs: one JSON object.
#[macro_export]
macro_rules! say_json {
    ($($argument:tt)*) => {
        $crate::console::write_line("machine-json: ", format_args!($($argument)*))
    };
}
