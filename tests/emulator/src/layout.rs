// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the machine itself lives in memory, and what it accepts as RAM. See docs/design.md.

/// Bytes in a page.
pub(crate) const PAGE: u64 = 4096;
/// The machine's own memory: image, then page pool. The guest sees it as reserved.
pub(crate) const MACHINE_START: u64 = 0x0100_0000;
/// End of the machine's own memory.
pub(crate) const MACHINE_END: u64 = 0x0400_0000;
/// The smallest `-m` that is accepted, in bytes.
pub(crate) const SMALLEST_MEMORY: u64 = 512 << 20;
/// The largest `-m` that is accepted, in bytes: q35 keeps this much below the PCI window, so that
/// all RAM lies in one piece below 4 GiB.
pub(crate) const LARGEST_MEMORY: u64 = 2 << 30;
/// Most processors of QEMU's: one for the machine, four for the guest.
pub(crate) const MAX_PROCESSORS: usize = 5;
/// The identity map's end: nothing above is reachable for the machine.
pub(crate) const REACHABLE_END: u64 = 1 << 32;
/// The C-bit: QEMU's TCG has 40 physical address bits, and the highest is the one the nested
/// page tables can tell apart at their top level.
pub(crate) const C_BIT_POSITION: u32 = 39;
/// The C-bit as a mask.
pub(crate) const C_BIT: u64 = 1 << C_BIT_POSITION;
/// Where the other processors start; ordinary RAM afterwards.
pub(crate) const TRAMPOLINE: u64 = 0x8000;

/// Rounds down to a page.
pub(crate) const fn page_floor(address: u64) -> u64 {
    address & !(PAGE - 1)
}

/// Rounds up to a page.
pub(crate) const fn page_ceiling(address: u64) -> u64 {
    page_floor(address + PAGE - 1)
}
