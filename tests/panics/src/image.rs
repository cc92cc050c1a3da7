// SPDX-License-Identifier: MIT OR Apache-2.0
//! The places in a linked image's source at which it can panic.
//!
//! Whatever panics says where: the compiler passes a `core::panic::Location` to every panicking
//! function, a constant of four words (address and length of the file's name, line, column). The
//! linker drops the constants that nothing refers to. So the `Location`s in an image are the places
//! of the source at which code that was not optimised away can panic: all of them, and the few at
//! which a caller's place is only passed on.

use std::collections::BTreeSet;

use object::{Object, ObjectSection, SectionKind};

/// Octets of a `Location`, and what it is aligned to.
const LOCATION_SIZE: usize = 24;
const ALIGNMENT: usize = 8;
/// No path, line or column is larger; what is, is no `Location`.
const PATH_SIZE_MAX: u64 = 400;
const LINE_MAX: u32 = 100_000;
const COLUMN_MAX: u32 = 1_000;

/// A place in the source, by crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// `crate/src/file.rs`, without the version of a crate from outside.
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Octets that are in memory when the image runs.
struct Section<'a> {
    address: u64,
    bytes: &'a [u8],
}

impl Section<'_> {
    fn at(&self, address: u64, size: u64) -> Option<&[u8]> {
        let start = usize::try_from(address.checked_sub(self.address)?).ok()?;
        self.bytes.get(start..start.checked_add(usize::try_from(size).ok()?)?)
    }
}

/// All places in an ELF image that is linked to fixed addresses.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn places(elf: &[u8]) -> Result<BTreeSet<Place>, String> {
    let image = object::File::parse(elf).map_err(|problem| problem.to_string())?;
    if image.kind() != object::ObjectKind::Executable {
        return Err("the image is not linked to fixed addresses".into());
    }
    let mut sections = Vec::new();
    for section in image.sections() {
        let holds_constants = matches!(
            section.kind(),
            SectionKind::Data | SectionKind::ReadOnlyData | SectionKind::ReadOnlyString
        );
        if holds_constants {
            let bytes = section.data().map_err(|problem| problem.to_string())?;
            sections.push(Section { address: section.address(), bytes });
        }
    }
    Ok(places_in(&sections))
}

fn places_in(sections: &[Section<'_>]) -> BTreeSet<Place> {
    let mut places = BTreeSet::new();
    for section in sections {
        let misaligned = usize::try_from(section.address % 8).unwrap_or(0);
        let start = ALIGNMENT.wrapping_sub(misaligned) % ALIGNMENT;
        let aligned = section.bytes.get(start..).unwrap_or_default();
        places.extend(aligned.windows(LOCATION_SIZE).step_by(ALIGNMENT).filter_map(|words| {
            let (path, line, column) = location(words, sections)?;
            Some(Place { file: of_crate(path), line, column })
        }));
    }
    places
}

/// The `Location` that these octets are, if they can be one.
fn location<'a>(words: &[u8], sections: &'a [Section<'_>]) -> Option<(&'a str, u32, u32)> {
    let (address, rest) = words.split_first_chunk()?;
    let (size, rest) = rest.split_first_chunk()?;
    let (line, rest) = rest.split_first_chunk()?;
    let (column, _) = rest.split_first_chunk()?;
    let (address, size) = (u64::from_le_bytes(*address), u64::from_le_bytes(*size));
    let (line, column) = (u32::from_le_bytes(*line), u32::from_le_bytes(*column));
    let is_possible =
        size <= PATH_SIZE_MAX && (1..LINE_MAX).contains(&line) && (1..COLUMN_MAX).contains(&column);
    if !is_possible {
        return None;
    }
    let path = sections.iter().find_map(|section| section.at(address, size))?;
    let path = std::str::from_utf8(path).ok()?;
    path.ends_with(".rs").then_some((path, line, column))
}

/// `crate/src/file.rs` of the path that the compiler was given: the standard library's, one in a
/// registry's folder `name-version`, or one of the workspace.
fn of_crate(path: &str) -> String {
    if let Some((_, library)) = path.split_once("/library/") {
        return library.to_owned();
    }
    let Some((_, registry)) = path.split_once("/registry/src/") else {
        return path.to_owned();
    };
    let inside = registry.split_once('/').map_or(registry, |(_, inside)| inside);
    let (folder, file) = inside.split_once('/').unwrap_or((inside, ""));
    let name = folder.rsplit_once('-').map_or(folder, |(name, _)| name);
    format!("{name}/{file}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(address: u64, size: u64, line: u32, column: u32) -> Vec<u8> {
        let numbers = [address.to_le_bytes(), size.to_le_bytes()].concat();
        [numbers, line.to_le_bytes().to_vec(), column.to_le_bytes().to_vec()].concat()
    }

    #[test]
    fn other_constants_are_no_places() {
        let names = b"tpm/src/lib.rs and more";
        for constant in [
            words(0x1000, 13, 7, 3),   // "….r"
            words(0x1000, 14, 0, 3),   // no line
            words(0x1000, 14, 7, 0),   // no column
            words(0x1001, 4000, 7, 3), // beyond the names
            words(0x0fff, 14, 7, 3),   // before them
        ] {
            let sections = [
                Section { address: 0x1000, bytes: names },
                Section { address: 0x2000, bytes: &constant },
            ];
            assert_eq!(places_in(&sections), BTreeSet::new());
        }
    }

    #[test]
    fn a_location_is_found_where_it_can_stand() {
        let names = b"tpm/src/lib.rs and more";
        for padding in 0..8 {
            let constant = [vec![0xff; padding], words(0x1000, 14, 7, 3)].concat();
            let address = 0x2000 - u64::try_from(padding).unwrap();
            let sections =
                [Section { address: 0x1000, bytes: names }, Section { address, bytes: &constant }];
            let expected = Place { file: "tpm/src/lib.rs".into(), line: 7, column: 3 };
            assert_eq!(places_in(&sections), [expected].into());
        }
    }

    #[test]
    fn files_are_named_by_crate() {
        let registry = "/somewhere/registry/src/index-1234/crypto-bigint-0.7.10/src/uint/div.rs";
        assert_eq!(of_crate(registry), "crypto-bigint/src/uint/div.rs");
        let core = "/rustc/0123abcd/library/core/src/slice/index.rs";
        assert_eq!(of_crate(core), "core/src/slice/index.rs");
        assert_eq!(of_crate("tpm/src/lib.rs"), "tpm/src/lib.rs");
    }
}
