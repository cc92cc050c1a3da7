// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the tests build their files from.

use igvmbuilder::build::Input;
use snp_abi::config::{Console, LaunchFlags};

const ENTRY: u64 = 0x401_0000;

/// An ELF64 executable with one segment: `code`, then zeros up to three pages.
pub(crate) fn elf(code: &[u8]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [ENTRY, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    file.extend([1, 0, 0, 0, 7, 0, 0, 0]);
    for word in [120, ENTRY, ENTRY, code.len() as u64, 0x3000, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(code);
    file
}

/// A good input.
pub(crate) fn input() -> Input {
    Input {
        image: elf(b"\xf4\xeb\xfd"),
        kernel: Some(b"kernel".to_vec()),
        initrd: None,
        cmdline: Some(b"console=ttyS0".to_vec()),
        arguments: "case=1".into(),
        policy: 0x3_0000,
        console: Console::Debug(0xe9),
        flags: LaunchFlags::empty(),
        state_owner: None,
    }
}
