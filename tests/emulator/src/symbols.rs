// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names for addresses in reports, from the fw_cfg file `opt/org.macadamia-svsm/symbols`: lines of
//! `hexadecimal-address name`, sorted by address. The file is read only when the machine stops.

use core::fmt;

use crate::fw_cfg;

const FILE: &[u8] = b"opt/org.macadamia-svsm/symbols";
/// Longest name that is shown.
pub(crate) const NAME_SIZE: usize = 160;
/// Most bytes read of the file.
const MAX_FILE_SIZE: u32 = 4 << 20;
/// An address farther behind a symbol than this doesn't belong to it.
const MAX_OFFSET: u64 = 0x10_0000;

/// A name and an offset, or nothing.
pub(crate) struct Symbol<'a>(Option<(&'a [u8], u64)>);

impl fmt::Display for Symbol<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => formatter.write_str("-"),
            Some((name, offset)) => match core::str::from_utf8(name) {
                Ok(name) => write!(formatter, "{name}+{offset:#x}"),
                Err(_) => formatter.write_str("-"),
            },
        }
    }
}

/// The symbol at or before an address.
pub(crate) fn find(address: u64, name: &mut [u8; NAME_SIZE]) -> Symbol<'_> {
    let Some(size) = fw_cfg::select_file(FILE) else { return Symbol(None) };
    let bytes = (0..size.min(MAX_FILE_SIZE)).map(|_| fw_cfg::next_byte());
    let (length, offset) = match find_in(bytes, address, name) {
        Some((length, start)) if address - start < MAX_OFFSET => (length, address - start),
        _ => return Symbol(None),
    };
    Symbol(Some((&name[..length], offset)))
}

/// Looks through the lines; leaves the best name in `name` and returns its length and address.
fn find_in(
    bytes: impl Iterator<Item = u8>,
    address: u64,
    name: &mut [u8; NAME_SIZE],
) -> Option<(usize, u64)> {
    let mut best = None;
    let mut line = Line::default();
    for byte in bytes.chain([b'\n']) {
        if byte != b'\n' {
            line.push(byte);
            continue;
        }
        if let Some(start) = line.address.filter(|_| line.length != 0) {
            if start > address {
                break;
            }
            name[..line.length].copy_from_slice(&line.name[..line.length]);
            best = Some((line.length, start));
        }
        line = Line::default();
    }
    best
}

/// A line while it is read.
struct Line {
    address: Option<u64>,
    in_name: bool,
    name: [u8; NAME_SIZE],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self { address: None, in_name: false, name: [0; NAME_SIZE], length: 0 }
    }
}

impl Line {
    fn push(&mut self, byte: u8) {
        if self.in_name {
            if let Some(slot) = self.name.get_mut(self.length) {
                *slot = byte;
                self.length += 1;
            }
        } else if byte == b' ' {
            self.in_name = true;
        } else {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                b'A'..=b'F' => byte - b'A' + 10,
                _ => return,
            };
            self.address = Some(self.address.unwrap_or(0) << 4 | u64::from(digit));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"4010000 start\n4010100 main\nbad\n\n4020000 end\n";

    fn lookup(address: u64) -> Option<(usize, u64)> {
        find_in(FILE.iter().copied(), address, &mut [0; NAME_SIZE])
    }

    #[test]
    fn an_address_before_the_first_symbol_has_none() {
        assert_eq!(lookup(0x400_ffff), None);
    }

    #[test]
    fn the_nearest_symbol_before_wins() {
        assert_eq!(lookup(0x401_0000), Some((5, 0x401_0000)));
        assert_eq!(lookup(0x401_1234), Some((4, 0x401_0100)));
        assert_eq!(lookup(u64::MAX), Some((3, 0x402_0000)));
    }

    #[test]
    fn long_names_are_cut() {
        let long = std::iter::repeat_n(b'x', 500);
        let file = b"1 ".iter().copied().chain(long);
        assert_eq!(find_in(file, 5, &mut [0; NAME_SIZE]), Some((NAME_SIZE, 1)));
    }
}
