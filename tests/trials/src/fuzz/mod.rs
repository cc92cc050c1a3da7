// SPDX-License-Identifier: MIT OR Apache-2.0
//! Harnesses for a fuzzer: its octets decide, and what is always true is checked. A panic is a
//! finding. Each takes any octets at all.

pub mod digest;
mod structures;
mod watch;

pub use structures::structures;

use tpm::platform::RecordKind;
use tpm::state::Mode;

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

/// A TPM that starts with records that were changed, or goes on from a volatile state that was
/// (inputs that begin with an octet of their own). It says so, or works.
///
/// # Panics
/// On a finding.
pub fn saved_state(octets: &[u8]) {
    match octets.split_first() {
        Some((&VOLATILE, rest)) => volatile_state(rest),
        _ => records(octets),
    }
}

fn records(octets: &[u8]) {
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

fn volatile_state(octets: &[u8]) {
    let mut choices = Choices::from_octets(octets);
    let (records, mut volatile) = running_state();
    for _ in 0..4 {
        if choices.is_exhausted() {
            break;
        }
        change_octets(&mut volatile, &mut choices);
    }
    let mut machine = Machine::with_records(records);
    let outcome = machine.restore_volatile(&volatile);
    let is_failed = matches!(machine.state().mode, Mode::Failure(_));
    assert_eq!(outcome.is_err(), is_failed, "{outcome:?}");
    machine.execute(0, &STARTUP_CLEAR);
    // What uses each of the things that were there.
    for (code, body) in [(0x173, KEY), (0x162, KEY), (0x162, SEQUENCE), (0x162, SESSION)] {
        machine.execute(0, &frame(code, &body.to_be_bytes()));
    }
    machine.execute(0, &frame(0x17e, &Octets::new().u32(1).u16(0x0b).u8(3).bytes(&[255; 3]).0));
    let completed = Octets::new().sized(b"end").u32(OWNER);
    machine.execute(0, &authorised(0x13e, &[SEQUENCE], completed));
    machine.execute(0, &SHUTDOWN_STATE);
    machine.power_cycle();
    machine.execute(0, &STARTUP_STATE);
}

/// Records and volatile state of a TPM at work: a key, a sequence and a session are loaded.
fn running_state() -> (Records, Vec<u8>) {
    static RUNNING: std::sync::OnceLock<(Records, Vec<u8>)> = std::sync::OnceLock::new();
    let make = || {
        let mut machine = Machine::with_records(saved_records());
        machine.execute(0, &STARTUP_CLEAR);
        let mut done = |command: &[u8]| {
            let response = machine.execute(0, command);
            assert_eq!(response[6..10], [0; 4], "{command:02x?}");
        };
        done(&authorised(0x131, &[OWNER], creation()));
        done(&frame(0x186, &Octets::new().sized(&[]).u16(0x0b).0));
        done(&authorised(0x15c, &[SEQUENCE], Octets::new().sized(b"begin")));
        let session = Octets::new().u32(NULL).u32(NULL).sized(&[5; 16]).sized(&[]).u8(0);
        done(&frame(0x176, &session.u16(0x10).u16(0x0b).0));
        let volatile = machine.volatile_state();
        (machine.records().clone(), volatile)
    };
    RUNNING.get_or_init(make).clone()
}

/// The parameters of TPM2_CreatePrimary for a storage key.
fn creation() -> Octets {
    let public = [0x23, 0x0b, 3, 0x0072, 0, 6, 128, 0x43, 0x10, 3, 0x10, 0, 0];
    let public = Octets::new().words(&public).0;
    let sensitive = Octets::new().sized(&[]).sized(&[]).0;
    Octets::new().sized(&sensitive).sized(&public).sized(&[]).u32(0)
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
        done(0x131, &[OWNER], creation());
        let evicted = Octets::new().u32(OBJECT);
        done(0x120, &[OWNER, 0x8000_0000], evicted);
        machine.execute(0, &SHUTDOWN_STATE);
        machine.records().clone()
    };
    RECORDS.get_or_init(make).clone()
}

/// The first octet of inputs that change a volatile state.
const VOLATILE: u8 = 0xff;

const OWNER: u32 = 0x4000_0001;
const NULL: u32 = 0x4000_0007;
const SESSION: u32 = 0x0200_0000;
const KEY: u32 = 0x8000_0000;
const SEQUENCE: u32 = 0x8000_0001;
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
        _ => set_octet(record, 4096, choices),
    }
}

fn change_octets(octets: &mut Vec<u8>, choices: &mut Choices<'_>) {
    match choices.below(8) {
        0 => octets.truncate(choices.below(octets.len())),
        1 => octets.extend(choices.octets(4)),
        _ => set_octet(octets, 1 << 16, choices),
    }
}

/// Sets one of the first `limit` octets.
fn set_octet(octets: &mut [u8], limit: u64, choices: &mut Choices<'_>) {
    let place = usize::try_from(choices.word() % limit).unwrap_or_default();
    let octet = choices.octet();
    let length = octets.len();
    if let Some(place) = octets.get_mut(place % length.max(1)) {
        *place = octet;
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
    fn a_volatile_state_that_nobody_changed_goes_on() {
        let (records, volatile) = running_state();
        let mut machine = Machine::with_records(records.clone());
        assert_eq!(machine.restore_volatile(&volatile), Ok(()));
        assert_eq!(machine.state().transients.handles().count(), 2);
        saved_state(&[VOLATILE]);
        let mut machine = Machine::with_records(records);
        assert!(machine.restore_volatile(&volatile[1..]).is_err());
    }

    #[test]
    fn the_saved_records_have_something_of_each_kind() {
        let records = saved_records();
        for kind in RecordKind::ALL {
            assert!(records.keys().any(|name| name.kind == kind), "{kind:?}");
        }
    }
}
