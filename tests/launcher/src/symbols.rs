// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SVSM's symbols as text, with which the emulator names the place of a violation: lines of a
//! hexadecimal address, a space and a name, sorted by address.

use crate::failure::{Context, Result};
use object::{Object, ObjectSymbol, SymbolKind};
use std::fmt::Write;
use std::path::Path;

/// The symbols of an ELF file.
pub(crate) fn of_file(elf: &Path) -> Result<String> {
    let doing = || format!("read the symbols of {}", elf.display());
    let bytes = std::fs::read(elf).context(doing)?;
    of_elf(&bytes).context(doing)
}

fn of_elf(bytes: &[u8]) -> object::Result<String> {
    let file = object::File::parse(bytes)?;
    let mut symbols: Vec<(u64, String)> = file
        .symbols()
        // Assembly labels have no type; the linker's and sections' marks are of no use to a reader.
        .filter(|symbol| {
            matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Label | SymbolKind::Unknown)
        })
        .filter(|symbol| symbol.is_definition() || symbol.kind() == SymbolKind::Label)
        .filter_map(|symbol| Some((symbol.address(), symbol.name().ok()?.to_owned())))
        .filter(|(address, name)| *address != 0 && !name.is_empty())
        .map(|(address, name)| (address, readable(&name)))
        .collect();
    symbols.sort();
    symbols.dedup();
    let mut text = String::new();
    for (address, name) in symbols {
        // Writing to a string can't fail.
        writeln!(text, "{address:x} {name}").ok();
    }
    Ok(text)
}

/// A Rust path without the hash, and without spaces, which end a name.
fn readable(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name)).replace(' ', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_elf_file_is_an_error() {
        assert!(of_elf(b"not an ELF file").is_err());
    }

    #[test]
    fn this_program_has_sorted_readable_symbols() {
        let program = std::env::current_exe().expect("the test's own program");
        let text = of_file(&program).expect("symbols");
        let lines: Vec<(u64, &str)> = text
            .lines()
            .map(|line| {
                let (address, name) = line.split_once(' ').expect("address and name");
                (u64::from_str_radix(address, 16).expect("hexadecimal"), name)
            })
            .collect();
        assert!(lines.is_sorted());
        assert!(lines.iter().any(|(_, name)| name.contains("launcher::symbols::of_elf")));
        assert!(lines.iter().all(|(_, name)| !name.contains(' ')));
    }
}
