// SPDX-License-Identifier: MIT OR Apache-2.0
//! Inputs for the harness of raw commands that get far: `raw_corpus FOLDER [COUNT [SEED]]` writes
//! what the generator's steps come to as octets. The machine is the same each time, so that
//! handles, nonces, tickets and HMACs in them are right when the harness replays them.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use tpm_trials::choices::Choices;
use tpm_trials::generator::Generator;
use tpm_trials::machine::Machine;
use tpm_trials::octets::Octets;
use tpm_trials::side::Side;
use tpm_trials::step::Action;
use tpm_trials::transport::Transport;

const COUNT: u64 = 50;
/// Octets of an input: the harness is quick with short ones.
const INPUT_SIZE_MAX: usize = 4000;

/// Keeps the commands as the harness reads them.
struct Recorder {
    machine: Machine,
    input: Vec<u8>,
}

impl Transport for Recorder {
    fn execute(&mut self, locality: u8, command: &[u8]) -> Vec<u8> {
        let size = u16::try_from(command.len()).unwrap_or_default();
        self.input.extend(Octets::new().u8(locality).u16(size).bytes(command).0);
        self.machine.execute(locality, command)
    }

    fn power_cycle(&mut self) {
        self.machine.power_cycle();
    }
}

/// The commands of an episode, up to a loss of power: the harness has none.
fn input(seed: u64) -> Vec<u8> {
    let mut side = Side::new(Recorder { machine: Machine::new(), input: Vec::new() });
    let mut generator = Generator::for_one(Choices::from_seed(seed));
    // The harness starts the TPM itself.
    let startup = generator.next_step();
    let outcome = side.perform(&startup);
    generator.observe(&startup, &outcome);
    side.transport.input.clear();
    loop {
        let step = generator.next_step();
        let before = side.transport.input.len();
        if step.action == Action::PowerCycle {
            return side.transport.input;
        }
        let outcome = side.perform(&step);
        if side.transport.input.len() > INPUT_SIZE_MAX {
            side.transport.input.truncate(before);
            return side.transport.input;
        }
        generator.observe(&step, &outcome);
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: raw_corpus FOLDER [COUNT [SEED]]");
        return ExitCode::from(2);
    };
    let mut number = |usual| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (count, seed) = (number(COUNT), number(0));
    for seed in seed..seed.saturating_add(count) {
        let path = folder.join(format!("generated_{seed}"));
        if let Err(problem) = std::fs::write(&path, input(seed)) {
            eprintln!("raw_corpus: {}: {problem}", path.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
