// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arguments as they were given: options with values, switches and files, not understood yet.

use std::path::PathBuf;

use super::OptionsError;

/// What a command knows.
pub(super) struct Known {
    /// Options that are followed by a value.
    pub(super) values: &'static [&'static str],
    /// Options that are not.
    pub(super) switches: &'static [&'static str],
    /// How many files may be named.
    pub(super) files: usize,
}

/// The arguments of one command. Each option is there at most once.
#[derive(Default)]
pub(super) struct Given {
    values: Vec<(String, String)>,
    switches: Vec<String>,
    files: Vec<PathBuf>,
}

impl Given {
    pub(super) fn read(arguments: Vec<String>, known: &Known) -> Result<Self, OptionsError> {
        let mut given = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            if given.has(&argument) || given.values.iter().any(|(name, _)| *name == argument) {
                return Err(OptionsError::Twice(argument));
            }
            if known.switches.contains(&argument.as_str()) {
                given.switches.push(argument);
            } else if known.values.contains(&argument.as_str()) {
                let value =
                    arguments.next().ok_or_else(|| OptionsError::NoValue(argument.clone()))?;
                given.values.push((argument, value));
            } else if argument.starts_with('-') || given.files.len() == known.files {
                return Err(OptionsError::Unknown(argument));
            } else {
                given.files.push(argument.into());
            }
        }
        Ok(given)
    }

    /// An option's value.
    pub(super) fn take(&mut self, option: &str) -> Option<String> {
        let index = self.values.iter().position(|(name, _)| name == option)?;
        Some(self.values.swap_remove(index).1)
    }

    /// The value of an option that must be there.
    pub(super) fn need(&mut self, option: &'static str) -> Result<String, OptionsError> {
        self.take(option).ok_or(OptionsError::Missing(option))
    }

    pub(super) fn has(&self, switch: &str) -> bool {
        self.switches.iter().any(|name| name == switch)
    }

    /// The first option of these that is there.
    pub(super) fn any_of(&self, options: &[&'static str]) -> Option<&'static str> {
        options.iter().find(|option| self.values.iter().any(|(name, _)| name == *option)).copied()
    }

    /// All the files that the command knows.
    pub(super) fn files<const COUNT: usize>(self) -> Result<[PathBuf; COUNT], OptionsError> {
        const { assert!(COUNT == 1 || COUNT == 2) };
        let missing = if COUNT == 1 { "the file" } else { "one of the two files" };
        self.files.try_into().map_err(|_| OptionsError::Missing(missing))
    }
}
