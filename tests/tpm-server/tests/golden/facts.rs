// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a TPM said, to be compared with what it says later: lines of a name, a colon and octets in
//! hexadecimal.

use std::collections::BTreeMap;
use std::fmt::Write;

#[derive(Default)]
pub(crate) struct Facts(BTreeMap<String, Vec<u8>>);

impl Facts {
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(lines.map(|line| line.split_once(": ").expect("a fact")).map(fact).collect())
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::from("# SPDX-License-Identifier: MIT OR Apache-2.0\n");
        for (name, octets) in &self.0 {
            write!(text, "{name}: ").expect("a string takes it");
            for octet in octets {
                write!(text, "{octet:02x}").expect("a string takes it");
            }
            text.push('\n');
        }
        text
    }

    pub(crate) fn note(&mut self, name: &str, octets: Vec<u8>) {
        assert_eq!(self.0.insert(name.to_owned(), octets), None, "{name}");
    }

    pub(crate) fn get(&self, name: &str) -> &[u8] {
        self.0.get(name).unwrap_or_else(|| panic!("nothing known of {name}"))
    }
}

fn fact((name, digits): (&str, &str)) -> (String, Vec<u8>) {
    let octet = |place: usize| u8::from_str_radix(&digits[place..place + 2], 16).expect("an octet");
    (name.to_owned(), (0..digits.len()).step_by(2).map(octet).collect())
}
