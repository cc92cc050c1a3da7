// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares the places at which an image can panic with the list of those that were looked at.
//!
//! ```text
//! panics IMAGE LIST
//! ```
//!
//! The list has a line for each file, `crate/src/file.rs: why it cannot happen`. A file that isn't
//! in it is a failure. `docs/panic-freedom.md` tells what this proves.
#![forbid(unsafe_code)]

mod image;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use image::Place;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [image, list] = &arguments[..] else {
        eprintln!("usage: panics IMAGE LIST");
        return ExitCode::from(2);
    };
    match run(image, list) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("panics: {problem}");
            ExitCode::from(2)
        }
    }
}

/// Whether every file that can panic is in the list.
fn run(image: &str, list: &str) -> Result<bool, String> {
    let elf = std::fs::read(image).map_err(|problem| format!("{image}: {problem}"))?;
    let places = image::places(&elf)?;
    let text = std::fs::read_to_string(list).map_err(|problem| format!("{list}: {problem}"))?;
    let reasons = parse(&text)?;
    if places.is_empty() {
        return Err("no place at all was found: the image isn't as this program expects it".into());
    }
    let unknown: Vec<&Place> =
        places.iter().filter(|place| !reasons.contains_key(place.file.as_str())).collect();
    let files: BTreeSet<&str> = places.iter().map(|place| place.file.as_str()).collect();
    println!("{image} can panic at {} places in {} files", places.len(), files.len());
    for place in &unknown {
        println!("not looked at: {}:{}:{}", place.file, place.line, place.column);
    }
    for file in reasons.keys().filter(|file| !files.contains(*file)) {
        println!("no longer in the image, to be taken from the list: {file}");
    }
    Ok(unknown.is_empty())
}

/// The files of the list with their reasons.
fn parse(list: &str) -> Result<BTreeMap<&str, &str>, String> {
    let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| match line.split_once(": ") {
            Some((file, reason)) if !reason.trim().is_empty() => Ok((file, reason)),
            _ => Err(format!("a line without a reason: {line}")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_reason() {
        assert!(parse("a/src/lib.rs").is_err());
        assert!(parse("a/src/lib.rs: ").is_err());
        let list = parse("# comment\n\na/src/lib.rs: because\n").unwrap();
        assert_eq!(list, [("a/src/lib.rs", "because")].into());
    }
}
