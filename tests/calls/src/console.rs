// SPDX-License-Identifier: MIT OR Apache-2.0
//! A GHCB page of the guest's own, to write to the debug console (AMD 56421, 2.6 and 4.1.2).

use crate::guest;
use crate::run::Call;
use snp_abi::ghcb::{Field, GhcbPage, PortAccess, PortSize, USAGE_STANDARD, exit};
use snp_abi::svsm::{core_call, protocol};

/// QEMU's debug console.
const CONSOLE_PORT: u16 = 0xe9;
/// Page state change to shared, in the MSR protocol's request.
const TO_SHARED: u64 = 2 << 52;
const PAGE_STATE_REQUEST: u64 = 0x014;
const REGISTER_REQUEST: u64 = 0x012;
const REGISTER_RESPONSE: u64 = 0x013;

/// The last character of a line. The power can go in the middle of a number, and what is left of
/// that is a number too.
pub const LINE_END: u8 = b'.';

/// The number in the last of these lines that is whole.
pub fn last_number(lines: &[impl AsRef<str>]) -> Option<u64> {
    lines.iter().rev().find_map(|line| {
        let line = line.as_ref().strip_suffix(char::from(LINE_END))?;
        line.rsplit(' ').next()?.parse().ok()
    })
}

/// The page, shared and registered.
pub struct Console {
    page: u64,
}

impl Console {
    /// Takes the page at `page`, the first of 2 MiB that nobody else uses; `list` is a page for the
    /// call that gives it up, `area` the calling area. `None` if hypervisor or SVSM won't have it.
    pub fn open(page: u64, list: u64, area: u64) -> Option<Self> {
        // One entry, 4 KiB, to be retracted.
        guest::write(list, 1u64.to_le_bytes());
        guest::write(list + 8, page.to_le_bytes());
        let rax = u64::from(protocol::CORE) << 32 | u64::from(core_call::PVALIDATE);
        let outcome = guest::call(area, &Call { rax, rcx: list, rdx: 0, r8: 0 })?;
        if outcome.rax != 0 || guest::exchange(TO_SHARED | page | PAGE_STATE_REQUEST) >> 32 != 0 {
            return None;
        }
        guest::share_large_page(page);
        if guest::exchange(page | REGISTER_REQUEST) != page | REGISTER_RESPONSE {
            return None;
        }
        Some(Self { page })
    }

    /// Writes a line: text, a space, the number, [`LINE_END`].
    pub fn line(&self, text: &str, number: u64) {
        text.bytes().for_each(|byte| self.byte(byte));
        self.byte(b' ');
        let mut divisor = 10_000_000_000_000_000_000;
        while divisor > 0 {
            let digit = number / divisor % 10;
            if number >= divisor || divisor == 1 {
                self.byte(b'0' + (digit as u8));
            }
            divisor /= 10;
        }
        self.byte(LINE_END);
        self.byte(b'\n');
    }

    fn byte(&self, byte: u8) {
        let access = PortAccess {
            port: CONSOLE_PORT,
            size: PortSize::Byte,
            input: false,
            string: false,
            repeat: false,
        };
        let bitmap = core::mem::offset_of!(GhcbPage, valid_bitmap) as u64;
        let mut valid = [0u8; 16];
        let fields = [
            (Field::ExitCode, exit::IOIO),
            (Field::ExitInfo1, access.encode()),
            (Field::ExitInfo2, 0),
            (Field::Rax, byte.into()),
        ];
        for (field, value) in fields {
            guest::write(self.page + field.offset() as u64, value.to_le_bytes());
            let (place, bit) = field.valid_bit();
            if let Some(byte) = valid.get_mut(place - core::mem::offset_of!(GhcbPage, valid_bitmap))
            {
                *byte |= bit;
            }
        }
        guest::write(self.page + bitmap, valid);
        let last = u64::from(USAGE_STANDARD) << 32 | 2 << 16;
        guest::write(self.page + 0xff8, last.to_le_bytes());
        guest::exchange(self.page);
    }
}

#[cfg(test)]
mod tests {
    use super::last_number;

    #[test]
    fn a_line_that_was_cut_does_not_count() {
        assert_eq!(last_number(&["writer: found 140", "writer: found"]), None);
        let lines = ["writer: acknowledged 139.", "writer: acknowledged 140.", "acknowledged 1"];
        assert_eq!(last_number(&lines), Some(140));
        assert_eq!(last_number(&[""; 0]), None);
    }
}
