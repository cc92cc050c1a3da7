// SPDX-License-Identifier: MIT OR Apache-2.0
//! Codes the machine ends QEMU with. QEMU's own exit status is `code * 2 + 1`, so that 0 is left
//! for a guest that powered off through ACPI, and 1 for QEMU's own failures.

/// The machine has a defect of its own (status 3).
pub const MACHINE_DEFECT: u32 = 1;
/// The machine can't start: memory size, IGVM file, options (status 5).
pub const CANNOT_START: u32 = 2;
/// The guest broke a rule of the architecture; `machine-violation:` names it (status 11).
pub const VIOLATION: u32 = 5;
/// The guest asked for its own termination; the line before names reason set and code (status 13).
pub const GUEST_TERMINATED: u32 = 6;
/// The guest used something this machine doesn't implement (status 15).
pub const NOT_IMPLEMENTED: u32 = 7;
/// What conformance payloads write to the debug-exit port when every check passed (status 33).
pub const PAYLOAD_PASSED: u32 = 0x10;
/// What conformance payloads write when a check failed (status 35).
pub const PAYLOAD_FAILED: u32 = 0x11;

/// QEMU's exit status for a code.
#[must_use]
pub const fn qemu_status(code: u32) -> u32 {
    code << 1 | 1
}
