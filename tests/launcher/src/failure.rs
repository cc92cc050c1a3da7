// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one error type: what was being done, what went wrong, and what to do about it.

use crate::log::Log;
use std::fmt;

/// How many of the log's last lines a failure shows.
const LINES_SHOWN: usize = 40;

/// What every fallible function here returns.
pub type Result<T> = std::result::Result<T, Failure>;

/// A failure, as text for a person.
pub struct Failure {
    message: String,
    log: Option<String>,
}

impl Failure {
    /// A failure that has nothing to do with a running machine.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), log: None }
    }

    /// A failure of a machine: the end of its log is shown with it.
    pub fn with_log(message: impl Into<String>, log: &Log) -> Self {
        let lines = log.lines().unwrap_or_default();
        let first = lines.len().saturating_sub(LINES_SHOWN);
        let mut text = format!("the end of {}:", log.path().display());
        for line in lines.iter().skip(first) {
            text.push_str("\n  | ");
            text.push_str(line);
        }
        Self { message: message.into(), log: Some(text) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        match &self.log {
            Some(log) => write!(formatter, "\n{log}"),
            None => Ok(()),
        }
    }
}

// Tests return or unwrap failures: they too should read as text.
impl fmt::Debug for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl std::error::Error for Failure {}

/// Adds what was being done to an error of the standard library.
pub(crate) trait Context<T> {
    fn context(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure::new(format!("{}: {error}", doing())))
    }
}
