// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SVSM's log: levelled lines to the console, kept in a bounded ring too.
//!
//! A line is formatted into a fixed buffer (no allocation: the log works in every state) and cut at
//! its end. Secrets are never logged.

mod ring;

pub use ring::Ring;

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU8, Ordering};
use spin::Mutex;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// The machine, or a request, cannot go on.
    Error,
    /// Someone broke a rule, and we went on.
    Warning,
    /// What a reader of the console wants to see once per boot.
    Information,
    /// Everything else.
    Debug,
}

/// Bytes in the ring.
pub const RING_SIZE: usize = 16 * 1024;
/// Bytes in a line, prefix and newline included; longer ones are cut.
pub const LINE_SIZE_MAX: usize = 240;
const PREFIX: &str = "svsm: ";
/// Tries to get the lock before the line goes out without it: another CPU, or the interrupted code
/// of this one, holds it and may never come back.
const LOCK_TRIES_MAX: u32 = 1 << 20;

/// Where lines go beside the ring.
pub type Sink = fn(&[u8]);

struct Output {
    ring: Ring<RING_SIZE>,
    sink: Option<Sink>,
}

static OUTPUT: Mutex<Output> = Mutex::new(Output { ring: Ring::new(), sink: None });
/// Lines above this level stay in the ring.
static CONSOLE_LEVEL: AtomicU8 = AtomicU8::new(Level::Information as u8);

/// Sends lines to `sink` from now on, beginning with those in the ring.
pub fn set_sink(sink: Sink) {
    let mut output = OUTPUT.lock();
    output.sink = Some(sink);
    output.ring.for_each_chunk(LINE_SIZE_MAX, sink);
}

/// Lines up to this level go to the console.
pub fn set_console_level(level: Level) {
    CONSOLE_LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Writes one line.
pub fn write(level: Level, arguments: fmt::Arguments<'_>) {
    let mut line = Line { bytes: [0; LINE_SIZE_MAX], length: 0 };
    // A line that is too long is cut: that is all that can go wrong.
    let cut = line.write_str(PREFIX).and_then(|()| line.write_fmt(arguments)).is_err();
    let bytes = line.finish(cut);
    for _ in 0..LOCK_TRIES_MAX {
        if let Some(mut output) = OUTPUT.try_lock() {
            output.ring.push(bytes);
            if let Some(sink) = output.sink.filter(|_| level as u8 <= console_level()) {
                sink(bytes);
            }
            return;
        }
        core::hint::spin_loop();
    }
}

fn console_level() -> u8 {
    CONSOLE_LEVEL.load(Ordering::Relaxed)
}

struct Line {
    bytes: [u8; LINE_SIZE_MAX],
    length: usize,
}

impl Line {
    fn finish(&mut self, cut: bool) -> &[u8] {
        let end: &[u8] = if cut { b"...\n" } else { b"\n" };
        let start = self.length.min(LINE_SIZE_MAX - end.len());
        let stop = start + end.len();
        if let Some(room) = self.bytes.get_mut(start..stop) {
            room.copy_from_slice(end);
        }
        self.bytes.get(..stop).unwrap_or(&[])
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let room = self.bytes.get_mut(self.length).ok_or(fmt::Error)?;
            // One line is one line, whatever a host's string contains.
            *room = if (0x20..0x7f).contains(&byte) { byte } else { b'?' };
            self.length += 1;
        }
        Ok(())
    }
}

/// Logs an error.
#[macro_export]
macro_rules! error {
    ($($argument:tt)*) => {
        $crate::log::write($crate::log::Level::Error, format_args!($($argument)*))
    };
}
/// Logs a warning.
#[macro_export]
macro_rules! warning {
    ($($argument:tt)*) => {
        $crate::log::write($crate::log::Level::Warning, format_args!($($argument)*))
    };
}
/// Logs what a reader wants to see once per boot.
#[macro_export]
macro_rules! info {
    ($($argument:tt)*) => {
        $crate::log::write($crate::log::Level::Information, format_args!($($argument)*))
    };
}
/// Logs what only a developer wants to see.
#[macro_export]
macro_rules! debug {
    ($($argument:tt)*) => {
        $crate::log::write($crate::log::Level::Debug, format_args!($($argument)*))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Vec<u8> {
        let mut line = Line { bytes: [0; LINE_SIZE_MAX], length: 0 };
        let cut = line.write_str(text).is_err();
        line.finish(cut).to_vec()
    }

    #[test]
    fn long_lines_are_cut_and_say_so() {
        let long = line(&"x".repeat(1000));
        assert_eq!(long.len(), LINE_SIZE_MAX);
        assert!(long.ends_with(b"x...\n"));
    }

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(line("a\nb\x1b[2J\u{e9}"), b"a?b?[2J??\n");
    }
}
