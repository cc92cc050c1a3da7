// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fewer steps that still show a divergence.

use crate::differential::{Divergence, Pair};
use crate::step::Step;
use crate::transport::Transport;

/// Leaves out what isn't needed for a divergence like this one: halves, quarters, …, single steps,
/// until nothing more can go. `pair` makes two new TPMs.
pub fn minimise<A: Transport, B: Transport>(
    steps: &[Step],
    divergence: &Divergence,
    mut pair: impl FnMut() -> Pair<A, B>,
) -> Vec<Step> {
    let mut shows = |steps: &[Step]| {
        let mut pair = pair();
        steps.iter().any(|step| {
            let (_, found) = pair.perform(step);
            found.is_some_and(|found| found.is_like(divergence))
        })
    };
    let end = steps.iter().position(|step| step.id == divergence.step).map_or(0, |at| at + 1);
    let mut kept = steps[..end].to_vec();
    if !shows(&kept) {
        return kept;
    }
    let mut part = kept.len().div_ceil(2);
    while part > 0 {
        let mut start = 0;
        while start < kept.len() {
            let mut fewer = kept.clone();
            fewer.drain(start..(start + part).min(kept.len()));
            if shows(&fewer) {
                kept = fewer;
            } else {
                start += part;
            }
        }
        part = if part == 1 { 0 } else { part.div_ceil(2) };
    }
    kept
}

#[cfg(test)]
mod tests {
    use tpm::structure::command_code::CommandCode;

    use super::*;
    use crate::machine::Machine;
    use crate::octets::Octets;
    use crate::step::{Action, Command, StepId};

    /// A TPM that has no random numbers any more once somebody has stirred them.
    struct Stirred {
        machine: Machine,
        is_stirred: bool,
    }

    impl Transport for Stirred {
        fn execute(&mut self, locality: u8, command: &[u8]) -> Vec<u8> {
            let mut response = self.machine.execute(locality, command);
            let code = CommandCode(u32::from_be_bytes(*command[6..].first_chunk().unwrap()));
            if code == CommandCode::GET_RANDOM && self.is_stirred {
                response = Octets::new().u16(0x8001).u32(10).u32(0x101).0;
            }
            // Before TPM2_Startup there is nothing to stir.
            self.is_stirred |= code == CommandCode::STIR_RANDOM && response[6..10] == [0; 4];
            response
        }

        fn power_cycle(&mut self) {
            self.machine.power_cycle();
        }
    }

    fn pair() -> Pair<Machine, Stirred> {
        Pair::new(Machine::new(), Stirred { machine: Machine::new(), is_stirred: false })
    }

    fn step(id: StepId, code: CommandCode, octets: Octets) -> Step {
        Step { id, action: Action::Command(Command::new(code).octets(octets)) }
    }

    #[test]
    fn what_is_left_are_the_steps_that_it_takes() {
        let get = |id| step(id, CommandCode::GET_RANDOM, Octets::new().u16(8));
        let steps: Vec<_> = (0..30)
            .map(|id| match id {
                3 => step(id, CommandCode::STARTUP, Octets::new().u16(0)),
                5 | 21 | 25 => get(id),
                12 => step(id, CommandCode::STIR_RANDOM, Octets::new().sized(&[1])),
                _ => step(id, CommandCode::READ_CLOCK, Octets::new()),
            })
            .collect();
        let mut both = pair();
        let found = steps.iter().find_map(|step| both.perform(step).1).expect("they differ");
        assert_eq!((found.step, &*found.theirs), (21, "0x101"));
        let ids: Vec<_> = minimise(&steps, &found, pair).iter().map(|step| step.id).collect();
        assert_eq!(ids, [3, 12, 21]);
        // What does not show again is left as it was, up to where it showed first.
        let other = Divergence { theirs: "0x102".to_owned(), ..found };
        assert_eq!(minimise(&steps, &other, pair), steps[..22]);
    }
}
