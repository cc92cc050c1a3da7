// SPDX-License-Identifier: MIT OR Apache-2.0
//! The disk that belongs to the SVSM. Only VMPL0 reaches its PCI function: for all others the slot
//! is empty, and its registers' memory is nobody's.
//!
//! So that the check and the access can't be torn apart by another processor, the machine keeps the
//! configuration address itself and writes it to the chipset together with each access. What the
//! guest's other devices may do to this one by DMA isn't checked.

use snp_abi::Vmpl;
use snp_abi::disk::{DISK_FILE, DISK_FILE_BYTES_MAX, DiskPlace};
use spin::Mutex;

use crate::processor::{Width, port_in, port_out};
use crate::{fw_cfg, say};

/// PCI configuration mechanism 1.
const CONFIG_ADDRESS: u16 = 0xcf8;
const CONFIG_DATA: u16 = 0xcfc;
const CONFIG_DATA_END: u16 = 0xcff;
const CONFIG_ENABLE: u32 = 1 << 31;
/// Offsets in the configuration space.
const COMMAND: u32 = 0x04;
const FIRST_BAR: u32 = 0x10;
const BARS: u32 = 6;
/// The chipset's window to all configuration spaces: PCIEXBAR of 00:00.0.
const WINDOW_BAR: u32 = 0x60;
const WINDOW_BYTES: u64 = 256 << 20;

static STATE: Mutex<State> = Mutex::new(State {
    address: 0,
    function: None,
    memory: [(0, 0); 6],
    window: None,
    is_bare: false,
});

struct State {
    /// What was last written to the configuration address.
    address: u32,
    /// Bus, device and function of the disk, as in the configuration address without its offset.
    function: Option<u32>,
    /// Start and end of its BARs; empty ones are unused.
    memory: [(u64, u64); BARS as usize],
    /// Start of the configuration window.
    window: Option<u64>,
    /// Whether it is to be given to the SVSM without addresses.
    is_bare: bool,
}

/// The disk loses the addresses that QEMU's firmware gave it.
pub(crate) fn set_bare(is_bare: bool) {
    STATE.lock().is_bare = is_bare;
}

/// Finds out which disk it is, once, before the SVSM starts.
pub(crate) fn install() {
    let Some(size) = fw_cfg::select_file(DISK_FILE.as_bytes()) else { return };
    let mut text = [0; DISK_FILE_BYTES_MAX];
    let length = text.len().min(usize::try_from(size).unwrap_or(0));
    text[..length].fill_with(fw_cfg::next_byte);
    match DiskPlace::parse(&text[..length]) {
        Some(DiskPlace::Pci { device, function }) => {
            let function = u32::from(device) << 11 | u32::from(function) << 8;
            let mut state = STATE.lock();
            state.function = Some(function);
            if state.is_bare {
                strip(function);
            }
            state.find_memory();
            let window = read_config(0, WINDOW_BAR);
            state.window = (window & 1 != 0).then_some(u64::from(window & 0xf000_0000));
        }
        // q35 has no such devices; the machine would have to tell the guest's from the SVSM's.
        Some(DiskPlace::Mmio { address }) => say!("the disk at {address:#x} isn't hidden"),
        None => say!("{DISK_FILE} is no place of a disk"),
    }
}

/// Reads a port for this VMPL.
pub(super) fn read_port(vmpl: Vmpl, port: u16, width: Width) -> u32 {
    match port {
        CONFIG_ADDRESS if width == Width::Double => STATE.lock().address,
        CONFIG_DATA..=CONFIG_DATA_END => {
            let state = STATE.lock();
            if state.hides(vmpl, state.address) {
                return u32::MAX;
            }
            port_out(CONFIG_ADDRESS, Width::Double, state.address);
            port_in(port, width)
        }
        _ => port_in(port, width),
    }
}

/// Writes a port for this VMPL.
pub(super) fn write_port(vmpl: Vmpl, port: u16, width: Width, value: u32) {
    match port {
        CONFIG_ADDRESS if width == Width::Double => STATE.lock().address = value,
        CONFIG_DATA..=CONFIG_DATA_END => {
            let mut state = STATE.lock();
            if state.hides(vmpl, state.address) || state.moves_window(vmpl, state.address) {
                return;
            }
            port_out(CONFIG_ADDRESS, Width::Double, state.address);
            port_out(port, width, value);
            // The SVSM may just have given its disk addresses, and switched it on.
            if state.function == Some(state.address & 0x00ff_ff00)
                && state.address & 0xfc == COMMAND
            {
                state.find_memory();
            }
        }
        _ => port_out(port, width, value),
    }
}

/// Whether device memory isn't there for this VMPL.
pub(super) fn hides_memory(vmpl: Vmpl, gpa: u64, bytes: u64) -> bool {
    let state = STATE.lock();
    let end = gpa.saturating_add(bytes);
    if vmpl == Vmpl::Vmpl0 {
        return false;
    }
    let registers = state.memory.iter().any(|&(start, last)| gpa < last && end > start);
    registers || state.is_in_window(gpa) || state.is_in_window(end - 1)
}

impl State {
    /// Finds out where the disk's registers are.
    fn find_memory(&mut self) {
        if let Some(function) = self.function {
            self.memory = core::array::from_fn(|bar| memory_of(function, bar));
        }
    }

    fn hides(&self, vmpl: Vmpl, address: u32) -> bool {
        vmpl != Vmpl::Vmpl0 && self.function == Some(address & 0x00ff_ff00)
    }

    /// A window elsewhere would show what is hidden in this one.
    fn moves_window(&self, vmpl: Vmpl, address: u32) -> bool {
        self.function.is_some()
            && vmpl != Vmpl::Vmpl0
            && matches!(address & 0x00ff_fffc, WINDOW_BAR | 0x64)
    }

    /// Whether the configuration window shows the disk's function, or the chipset's own, at `gpa`.
    fn is_in_window(&self, gpa: u64) -> bool {
        let (Some(function), Some(window)) = (self.function, self.window) else { return false };
        let Some(offset) = gpa.checked_sub(window).filter(|offset| *offset < WINDOW_BYTES) else {
            return false;
        };
        let is_chipset_bar = matches!(offset & !3, 0x60 | 0x64);
        offset >> 12 == u64::from(function >> 8) || is_chipset_bar
    }
}

/// Takes all addresses away, and switches the function off.
fn strip(function: u32) {
    write_config(function, COMMAND, 0);
    for bar in 0..BARS {
        write_config(function, FIRST_BAR + 4 * bar, 0);
    }
}

/// Start and end of the memory of a BAR; an empty range for anything else.
fn memory_of(function: u32, bar: usize) -> (u64, u64) {
    const IS_IO: u32 = 1;
    let offset = FIRST_BAR + 4 * u32::try_from(bar).unwrap_or(0);
    let command = read_config(function, COMMAND);
    // No decoding while the size is asked for.
    write_config(function, COMMAND, command & 0xfffc);
    let address = read_config(function, offset);
    write_config(function, offset, u32::MAX);
    let mask = read_config(function, offset);
    write_config(function, offset, address);
    write_config(function, COMMAND, command & 0xffff);
    let start = u64::from(address & !0xf);
    if address & IS_IO != 0 || start == 0 || mask == 0 {
        return (0, 0);
    }
    (start, start + u64::from(!(mask & !0xf)) + 1)
}

fn read_config(function: u32, offset: u32) -> u32 {
    port_out(CONFIG_ADDRESS, Width::Double, CONFIG_ENABLE | function | offset);
    port_in(CONFIG_DATA, Width::Double)
}

fn write_config(function: u32, offset: u32, value: u32) {
    port_out(CONFIG_ADDRESS, Width::Double, CONFIG_ENABLE | function | offset);
    port_out(CONFIG_DATA, Width::Double, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: State = State {
        address: 0,
        function: Some(0x1e << 11),
        memory: [(0, 0); 6],
        window: Some(0xb000_0000),
        is_bare: false,
    };

    #[test]
    fn only_the_disks_function_is_hidden_and_only_from_the_guest() {
        let disk = CONFIG_ENABLE | 0x1e << 11;
        assert!(STATE.hides(Vmpl::Vmpl2, disk));
        assert!(STATE.hides(Vmpl::Vmpl2, disk | 0x3c));
        assert!(!STATE.hides(Vmpl::Vmpl0, disk));
        assert!(!STATE.hides(Vmpl::Vmpl2, CONFIG_ENABLE | 0x1f << 11));
        assert!(!STATE.hides(Vmpl::Vmpl2, disk | 1 << 16), "another bus");
    }

    #[test]
    fn the_window_hides_it_too_and_stays_where_it_is() {
        assert!(STATE.is_in_window(0xb000_0000 + (0x1e << 15)));
        assert!(STATE.is_in_window(0xb000_0000 + (0x1e << 15) + 0xfff));
        assert!(!STATE.is_in_window(0xb000_0000 + (0x1f << 15)));
        assert!(!STATE.is_in_window(0xa000_0000));
        assert!(STATE.is_in_window(0xb000_0060));
        assert!(STATE.moves_window(Vmpl::Vmpl2, CONFIG_ENABLE | WINDOW_BAR));
        assert!(!STATE.moves_window(Vmpl::Vmpl0, CONFIG_ENABLE | WINDOW_BAR));
        assert!(!STATE.moves_window(Vmpl::Vmpl2, CONFIG_ENABLE | 0x1e << 11 | WINDOW_BAR));
    }
}
