// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of accepted divergences, `accepted.txt`: each line has the command (or `*`), what this
//! engine answers, what libtpms answers, and the reason. An answer is a response code, `error`
//! for any, `ok`, or for successes that differ what differs and `field`.

use crate::differential::Divergence;

/// The list.
#[derive(Clone, Debug)]
pub struct Accepted {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    command: String,
    ours: String,
    theirs: String,
    line: usize,
}

impl Accepted {
    /// Reads the list.
    ///
    /// # Errors
    /// A line that has fewer than a command, two answers and a reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut entries = Vec::new();
        for (place, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            let mut word = || words.next().map(str::to_string);
            let (Some(command), Some(ours), Some(theirs), Some(_reason)) =
                (word(), word(), word(), word())
            else {
                return Err(format!("line {}: COMMAND OURS THEIRS REASON", place + 1));
            };
            entries.push(Entry { command, ours, theirs, line: place + 1 });
        }
        Ok(Self { entries })
    }

    /// The line that accepts a divergence.
    pub fn line_for(&self, divergence: &Divergence) -> Option<usize> {
        let matches = |pattern: &str, value: &str| match pattern {
            "*" => true,
            "error" => value.starts_with("0x"),
            _ => pattern == value,
        };
        let entry = self.entries.iter().find(|entry| {
            matches(&entry.command, &divergence.command)
                && matches(&entry.ours, &divergence.ours)
                && matches(&entry.theirs, &divergence.theirs)
        });
        entry.map(|entry| entry.line)
    }

    /// The lines with entries.
    pub fn lines(&self) -> impl Iterator<Item = usize> {
        self.entries.iter().map(|entry| entry.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_needs_a_reason_and_matches_what_it_says() {
        assert!(Accepted::parse("Create 0x1d5 ok").is_err());
        let list = Accepted::parse("# why\nCreate 0x1d5 * because\n").unwrap();
        let divergence = |command: &str, ours: &str| Divergence {
            step: 0,
            command: command.to_string(),
            ours: ours.to_string(),
            theirs: "ok".to_string(),
            detail: String::new(),
        };
        assert_eq!(list.line_for(&divergence("Create", "0x1d5")), Some(2));
        assert_eq!(list.line_for(&divergence("Create", "0x1d4")), None);
        assert_eq!(list.line_for(&divergence("Load", "0x1d5")), None);
    }
}
