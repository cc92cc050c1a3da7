// SPDX-License-Identifier: MIT OR Apache-2.0
//! Harnesses for a fuzzer: its octets decide, and what is always true is checked. A panic is a
//! finding. Each takes any octets at all.

pub mod digest;
mod structures;
mod watch;

pub use structures::structures;

use tpm::platform::RecordKind;

use crate::choices::Choices;
use crate::generator::Generator;
use crate::machine::{Machine, Records};
use crate::octets::{Fields, Octets};
use crate::side::Side;
use crate::transport::Transport;
use watch::Watched;

/// Commands that one input may have.
const COMMANDS_MAX: usize = 40;

/// A harness by its name.
pub type Harness = fn(&[u8]);

/// All harnesses; a target of the fuzzer has the name.
pub const HARNESSES: [(&str, Harness); 4] = [
    ("tpm_raw_commands", raw_commands),
    ("tpm_sequences", sequences),
    ("tpm_structures", structures),
    ("tpm_saved_state", saved_state),
];

const STARTUP_CLEAR: [u8; 12] = [0x80, 0x01, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0];
const STARTUP_STATE: [u8; 12] = [0x80, 0x01, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 1];
const SHUTDOWN_STATE: [u8; 12] = [0x80, 0x01, 0, 0, 0, 12, 0, 0, 1, 0x45, 0, 1];

/// Commands one after another: an octet for the locality (its highest bit: the header's size is
/// the fuzzer's business), the size, the command from its tag on.
///
/// # Panics
/// On a finding.
pub fn raw_commands(octets: &[u8]) {
    let mut machine = Watched::new(Machine::new());
    machine.execute(0, &STARTUP_CLEAR);
    let mut rest = Fields(octets);
    for _ in 0..COMMANDS_MAX {
        let (Some(flags), Some(size)) = (rest.u8(), rest.u16()) else { break };
        let size = usize::from(size % 4200).min(rest.0.len());
        let mut command = rest.take(size).unwrap_or_default().to_vec();
        if flags & 0x80 == 0 && command.len() >= 6 {
            let size = u32::try_from(command.len()).expect("a command is short");
            command[2..6].copy_from_slice(&size.to_be_bytes());
        }
        machine.execute(flags % 5, &command);
    }
}

/// Steps of a generator whose choices are the octets.
///
/// # Panics
/// On a finding.
pub fn sequences(octets: &[u8]) {
    let mut side = Side::new(Watched::new(Machine::new()));
    let mut generator = Generator::for_one(Choices::from_octets(octets));
    for _ in 0..COMMANDS_MAX {
        if generator.is_exhausted() {
            break;
        }
        let step = generator.next_step();
        let outcome = side.perform(&step);
        assert_ne!(outcome.code, u32::MAX, "a response that can be read: {step}");
        generator.observe(&step, &outcome);
    }
}

/// A TPM that starts with records that were changed. It says so, or works.
///
/// # Panics
/// On a finding.
pub fn saved_state(octets: &[u8]) {
    let mut choices = Choices::from_octets(octets);
    let mut records = saved_records();
    for _ in 0..4 {
        if choices.is_exhausted() {
            break;
        }
        change(&mut records, &mut choices);
    }
    let mut machine = Machine::with_records(records);
    machine.execute(0, &STARTUP_STATE);
    machine.execute(0, &STARTUP_CLEAR);
    // What reads everything, and what writes it again.
    for (capability, property) in [(1, 0x0100_0000), (1, 0x8100_0000), (5, 0), (6, 0x200)] {
        let body = Octets::new().u32(capability).u32(property).u32(100);
        machine.execute(0, &frame(0x17a, &body.0));
    }
    machine.execute(0, &frame(0x169, &INDEX.to_be_bytes()));
    machine.execute(0, &frame(0x173, &OBJECT.to_be_bytes()));
    machine.execute(0, &SHUTDOWN_STATE);
    machine.power_cycle();
    machine.execute(0, &STARTUP_STATE);
}

fn frame(code: u32, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(10 + body.len()).expect("a command is short");
    Octets::new().u16(0x8001).u32(size).u32(code).bytes(body).0
}

/// Records of a TPM that was used and shut down.
fn saved_records() -> Records {
    static RECORDS: std::sync::OnceLock<Records> = std::sync::OnceLock::new();
    let make = || {
        let mut machine = Machine::new();
        machine.execute(0, &STARTUP_CLEAR);
        let mut done = |code: u32, handles: &[u32], body: Octets| {
            let response = machine.execute(0, &authorised(code, handles, body));
            assert_eq!(response[6..10], [0; 4], "command {code:#x}");
        };
        let public = Octets::new().u32(INDEX).u16(0x0b).u32(0x0006_0006).sized(&[]).u16(8).0;
        done(0x12a, &[OWNER], Octets::new().sized(&[]).sized(&public));
        done(0x137, &[OWNER, INDEX], Octets::new().sized(&[7; 8]).u16(0));
        let public = [0x23, 0x0b, 3, 0x0072, 0, 6, 128, 0x43, 0x10, 3, 0x10, 0, 0];
        let public = Octets::new().words(&public).0;
        let sensitive = Octets::new().sized(&[]).sized(&[]).0;
        let creation = Octets::new().sized(&sensitive).sized(&public).sized(&[]).u32(0);
        done(0x131, &[OWNER], creation);
        let evicted = Octets::new().u32(OBJECT);
        done(0x120, &[OWNER, 0x8000_0000], evicted);
        machine.execute(0, &SHUTDOWN_STATE);
        machine.records().clone()
    };
    RECORDS.get_or_init(make).clone()
}

const OWNER: u32 = 0x4000_0001;
const INDEX: u32 = 0x0100_0001;
const OBJECT: u32 = 0x8100_0001;

/// A command whose first handle is authorised by an empty password.
fn authorised(code: u32, handles: &[u32], body: Octets) -> Vec<u8> {
    let octets = handles.iter().fold(Octets::new(), |octets, handle| octets.u32(*handle));
    let octets = octets.u32(9).u32(0x4000_0009).u16(0).u8(1).u16(0).bytes(&body.0);
    let size = u32::try_from(10 + octets.0.len()).expect("a command is short");
    Octets::new().u16(0x8002).u32(size).u32(code).bytes(&octets.0).0
}

fn change(records: &mut Records, choices: &mut Choices<'_>) {
    let names: Vec<_> = records.keys().copied().collect();
    let Some(name) = choices.any_of(&names).copied() else { return };
    let Some(record) = records.get_mut(&name) else { return };
    match choices.below(6) {
        0 => record.truncate(choices.below(record.len())),
        1 => record.extend(choices.octets(4)),
        2 => {
            let mut other = name;
            other.number ^= 1 << choices.below(32);
            let moved = record.clone();
            records.insert(other, moved);
        }
        3 if name.kind != RecordKind::Permanent => drop(records.remove(&name)),
        _ => {
            let place = usize::try_from(choices.word() % 4096).unwrap_or_default();
            let octet = choices.octet();
            let length = record.len();
            if let Some(place) = record.get_mut(place % length.max(1)) {
                *place = octet;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_harness_takes_any_octets() {
        for (name, harness) in HARNESSES {
            for seed in 0..12 {
                let mut choices = Choices::from_seed(seed);
                let size = choices.below(600);
                let octets = choices.octets(size);
                println!("{name}, seed {seed}");
                harness(&octets);
            }
        }
    }

    #[test]
    fn the_saved_records_have_something_of_each_kind() {
        let records = saved_records();
        for kind in RecordKind::ALL {
            assert!(records.keys().any(|name| name.kind == kind), "{kind:?}");
        }
    }
}
