// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's firmware configuration device, byte by byte through its ports: the machine reads the
//! number of processors, and symbols when it stops. The guest has the device otherwise.

use snp_abi::fw_cfg::{ITEM_FILE_DIRECTORY, NAME_SIZE, PORT_DATA, PORT_SELECTOR};

use crate::processor::{Width, port_in, port_out};

const KEY_PROCESSORS: u16 = 0x05;
/// Most files looked at.
const MAX_FILES: u32 = 256;

fn select(key: u16) {
    port_out(PORT_SELECTOR, Width::Word, u32::from(key));
}

/// The next byte of what is selected.
#[expect(clippy::cast_possible_truncation, reason = "a byte was read")]
pub(crate) fn next_byte() -> u8 {
    port_in(PORT_DATA, Width::Byte) as u8
}

fn next_bytes<const N: usize>() -> [u8; N] {
    core::array::from_fn(|_| next_byte())
}

/// Number of processors QEMU was started with.
pub(crate) fn processors() -> u16 {
    select(KEY_PROCESSORS);
    u16::from_le_bytes(next_bytes())
}

/// Selects a file; its size in bytes.
pub(crate) fn select_file(wanted: &[u8]) -> Option<u32> {
    select(ITEM_FILE_DIRECTORY);
    let count = u32::from_be_bytes(next_bytes());
    for _ in 0..count.min(MAX_FILES) {
        let size = u32::from_be_bytes(next_bytes());
        let key = u16::from_be_bytes(next_bytes());
        let _reserved: [u8; 2] = next_bytes();
        let name: [u8; NAME_SIZE] = next_bytes();
        if name.split(|&byte| byte == 0).next() == Some(wanted) {
            select(key);
            return Some(size);
        }
    }
    None
}
