// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a payload ends, and what it says meanwhile.

use core::fmt::{self, Arguments, Write};

use crate::ghcb;

const DEBUG_CONSOLE_PORT: u16 = 0xe9;
const DEBUG_EXIT_PORT: u16 = 0xf4;
/// Every check held: QEMU's exit status is twice this and one more.
pub const PASSED: u32 = 0x10;
/// A check didn't hold.
pub const FAILED: u32 = 0x11;

struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            ghcb::port_out(DEBUG_CONSOLE_PORT, 1, u32::from(byte));
        }
        Ok(())
    }
}

/// Says something on the debug console.
pub fn say(text: Arguments<'_>) {
    // Nothing could be done about a value whose own formatting fails.
    writeln!(Console, "payload: {text}").ok();
}

/// Ends the case well.
pub fn pass() -> ! {
    end(PASSED)
}

/// Ends the case because a check didn't hold.
pub fn fail(text: Arguments<'_>) -> ! {
    say(text);
    end(FAILED)
}

fn end(code: u32) -> ! {
    ghcb::port_out(DEBUG_EXIT_PORT, 4, code);
    ghcb::terminate(0, 0)
}

/// Ends the case unless two values are equal.
#[macro_export]
macro_rules! check_eq {
    ($left:expr, $right:expr $(,)?) => {{
        let (left, right) = (&$left, &$right);
        if *left != *right {
            $crate::outcome::fail(format_args!(
                "{}:{}: {} is {left:x?}, expected {right:x?}",
                file!(),
                line!(),
                stringify!($left),
            ));
        }
    }};
}

/// Ends the case unless a condition holds.
#[macro_export]
macro_rules! check {
    ($condition:expr $(,)?) => {{
        if !$condition {
            $crate::outcome::fail(format_args!(
                "{}:{}: {} doesn't hold",
                file!(),
                line!(),
                stringify!($condition),
            ));
        }
    }};
}
