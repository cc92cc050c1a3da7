// SPDX-License-Identifier: MIT OR Apache-2.0
//! The debug console: bytes written to a port that the launch configuration names. One exit a line.

use crate::cpu::per_cpu;
use core::sync::atomic::{AtomicU16, Ordering};
use snp_abi::config::Console;

static PORT: AtomicU16 = AtomicU16::new(0);

/// Starts sending the log there. The running CPU's GHCB works.
pub fn initialise(console: Console) {
    match console {
        Console::None => {}
        Console::Debug(port) => {
            PORT.store(port, Ordering::Relaxed);
            crate::log::set_sink(write);
        }
    }
}

fn write(bytes: &[u8]) {
    // A console that does not work must not stop the machine; the ring has the line.
    let port = PORT.load(Ordering::Relaxed);
    let _sent_or_not = per_cpu::current().ghcb.port_write_bytes(port, bytes);
}
