// SPDX-License-Identifier: MIT OR Apache-2.0
//! Power, hierarchies, capabilities, the clock, and the rest (Part 3, 9 to 11, 21, 24 to 26, 29,
//! 30).

use tpm::structure::command_code::CommandCode;

use super::world::{Effect, HIERARCHIES};
use super::{ENDORSEMENT, Generator, LOCKOUT, OWNER, PLATFORM, template};
use crate::octets::Octets;
use crate::step::{Action, Command, Handle};

/// Variable properties that do not depend on how much room a TPM has.
const PROPERTIES: [u32; 9] = [0x200, 0x201, 0x202, 0x205, 0x208, 0x20e, 0x20f, 0x210, 0x211];
const TYPES: [u16; 3] = [0, 1, 2];

impl Generator<'_> {
    pub(super) fn about_administration(&mut self) {
        let command = match self.choices.below(34) {
            0..=5 => self.get_capability(),
            6 => {
                let size = *self.choices.one_of(&[0, 16, 64, 0xffff]);
                Command::new(CommandCode::GET_RANDOM).octets(Octets::new().u16(size))
            }
            7 => {
                let size = *self.choices.one_of(&[0, 16, 128, 129]);
                let octets = Octets::new().sized(&vec![1; size]);
                Command::new(CommandCode::STIR_RANDOM).octets(octets)
            }
            8 => {
                let is_full = *self.choices.one_of(&[0, 1, 2]);
                Command::new(CommandCode::SELF_TEST).octets(Octets::new().u8(is_full))
            }
            9 => Command::new(CommandCode::GET_TEST_RESULT),
            10 => self.test_parameters(),
            11 => Command::new(CommandCode::READ_CLOCK),
            12 => {
                let by = *self.choices.one_of(&[OWNER, PLATFORM]);
                let rate = *self.choices.one_of(&[0, 1, 3, 4, 0xfd, 0xfc]);
                let octets = Octets::new().u8(rate);
                Command::new(CommandCode::CLOCK_RATE_ADJUST).handle(by).octets(octets)
            }
            13..=15 => return self.change_hierarchy_auth(),
            16 => self.set_primary_policy(),
            17 | 18 => self.hierarchy_control(),
            19 => {
                let by = *self.choices.one_of(&[LOCKOUT, PLATFORM]);
                let disable = *self.choices.one_of(&[0, 0, 1, 2]);
                let octets = Octets::new().u8(disable);
                Command::new(CommandCode::CLEAR_CONTROL).handle(by).octets(octets)
            }
            20 => {
                let by = *self.choices.one_of(&[LOCKOUT, PLATFORM]);
                let command = Command::new(CommandCode::CLEAR).handle(by);
                self.plan_authorised(command, Effect::Cleared);
                return;
            }
            21 | 22 => Command::new(CommandCode::DICTIONARY_ATTACK_LOCK_RESET).handle(LOCKOUT),
            23 => {
                let tries = *self.choices.one_of(&[0, 1, 5, 32]);
                let octets = Octets::new().u32(tries).u32(1_000_000).u32(1_000_000);
                let code = CommandCode::DICTIONARY_ATTACK_PARAMETERS;
                Command::new(code).handle(LOCKOUT).octets(octets)
            }
            24 => self.set_audit(),
            25 => {
                let code =
                    *self.choices.one_of(&[CommandCode::CHANGE_EPS, CommandCode::CHANGE_PPS]);
                if !self.choices.once_in(6) {
                    return;
                }
                Command::new(code).handle(PLATFORM)
            }
            26 => {
                let command = Command::new(CommandCode::PP_COMMANDS).handle(PLATFORM);
                command.octets(Octets::new().u32(0).u32(0))
            }
            27 => self.incremental_self_test(),
            28 => return self.pcr_allocate(),
            29 => Command::new(CommandCode::STARTUP).octets(Octets::new().u16(0)),
            _ if self.choices.once_in(2) => return self.power(),
            _ => self.get_capability(),
        };
        self.plan_authorised(command, Effect::None);
    }

    fn get_capability(&mut self) -> Command {
        let (capability, property, count) = match self.choices.below(10) {
            0 => (1, 0x8000_0000, 20),
            1 => (1, 0x8100_0000, 20),
            2 => (1, 0x0100_0000, 20),
            3 => (1, *self.choices.one_of(&[0x0200_0000, 0x0300_0000, 0]), 64),
            4 => (1, *self.choices.one_of(&[0x0500_0000, 0x8200_0000, 0x0100_0002]), 1),
            5 => (7, *self.choices.one_of(&[0, 3, 12, 19, 20, 21, 50]), 1),
            6 => (5, 0, 1),
            7 => (*self.choices.one_of(&[10, 0x100, 3, 4]), 0, 1),
            _ => (6, *self.choices.one_of(&PROPERTIES), 1),
        };
        let octets = Octets::new().u32(capability).u32(property).u32(count);
        Command::new(CommandCode::GET_CAPABILITY).octets(octets)
    }

    fn test_parameters(&mut self) -> Command {
        let words: &[u16] = match self.choices.below(8) {
            0 => &[1, 0x10, 0x10, 2048, 0, 0],
            1 => &[1, 6, 128, 0x43, 0x10, 2048, 0, 0],
            2 => &[0x23, 0x10, 0x18, 0x0b, 3, 0x10],
            3 => &[0x23, 6, 128, 0x43, 0x10, 3, 0x10],
            4 => &[8, 5, 0x0b],
            5 => &[0x25, 6, 100, 0x43],
            6 => &[1, 0x10, 0x18, 0x0b, 2048, 0, 0],
            _ => &[0x0b, 0],
        };
        Command::new(CommandCode::TEST_PARMS).octets(Octets::new().words(words))
    }

    fn change_hierarchy_auth(&mut self) {
        let place = self.choices.below(HIERARCHIES.len());
        let auth = self.some_auth();
        let auth = if self.choices.once_in(12) { vec![9; 65] } else { auth };
        let command = Command::new(CommandCode::HIERARCHY_CHANGE_AUTH)
            .handle(Handle::Fixed(HIERARCHIES[place]))
            .octets(Octets::new().sized(&auth));
        self.plan_authorised(command, Effect::HierarchyAuth(place, auth));
    }

    fn set_primary_policy(&mut self) -> Command {
        let of = *self.choices.one_of(&[OWNER, ENDORSEMENT, PLATFORM, LOCKOUT]);
        let policy = template::policy(&mut self.choices);
        let hash = *self.choices.one_of(&[0x0b, 0x0b, 0x10, 0x04]);
        let octets = Octets::new().sized(&policy.digest()).u16(hash);
        Command::new(CommandCode::SET_PRIMARY_POLICY).handle(of).octets(octets)
    }

    fn hierarchy_control(&mut self) -> Command {
        let by = *self.choices.one_of(&[OWNER, ENDORSEMENT, PLATFORM, PLATFORM]);
        let what = *self.choices.one_of(&[
            0x4000_0001_u32,
            0x4000_000b,
            0x4000_000d,
            0x4000_0007,
            0x4000_000a,
        ]);
        let state = *self.choices.one_of(&[1, 1, 1, 0, 2]);
        let octets = Octets::new().u32(what).u8(state);
        Command::new(CommandCode::HIERARCHY_CONTROL).handle(by).octets(octets)
    }

    fn set_audit(&mut self) -> Command {
        let by = *self.choices.one_of(&[OWNER, PLATFORM]);
        let hash = *self.choices.one_of(&[0x10, 0x10, 0x0c, 0x04, 0xff]);
        let list = |choices: &mut crate::choices::Choices<'_>| {
            let count = choices.below(3);
            let octets = Octets::new().u32(u32::try_from(count).unwrap_or_default());
            (0..count)
                .fold(octets, |octets, _| octets.u32(*choices.one_of(&[0x17e, 0x17b, 0x140, 0])))
        };
        let (set, clear) = (list(&mut self.choices), list(&mut self.choices));
        let octets = Octets::new().u16(hash).bytes(&set.0).bytes(&clear.0);
        Command::new(CommandCode::SET_COMMAND_CODE_AUDIT_STATUS).handle(by).octets(octets)
    }

    fn incremental_self_test(&mut self) -> Command {
        let hash = *self.choices.one_of(&[0x0b, 0x04, 0xff]);
        let octets = Octets::new().u32(1).u16(hash);
        Command::new(CommandCode::INCREMENTAL_SELF_TEST).octets(octets)
    }

    /// Another allocation, and the loss of power that brings it into force: libtpms forgets it with
    /// TPM2_Clear.
    fn pcr_allocate(&mut self) {
        let hash = *self.choices.one_of(&[0x04, 0x0b, 0x0d]);
        let map = *self.choices.one_of(&[[0xff; 3], [0; 3], [0xff, 0, 0]]);
        let octets = Octets::new().u32(1).u16(hash).u8(3).bytes(&map);
        let command = Command::new(CommandCode::PCR_ALLOCATE).handle(PLATFORM).octets(octets);
        self.plan_authorised(command, Effect::None);
        for kind in [1, 0] {
            // The state cannot be saved now.
            let command = Command::new(CommandCode::SHUTDOWN).octets(Octets::new().u16(kind));
            self.plan(command, Effect::None);
        }
        self.plan_action(Action::PowerCycle, Effect::PowerLost);
        self.start(0);
    }

    /// A shutdown, a loss of power, and a start that fits it, mostly.
    fn power(&mut self) {
        let kind = *self.choices.one_of(&TYPES);
        if kind < 2 || self.choices.once_in(4) {
            let command = Command::new(CommandCode::SHUTDOWN).octets(Octets::new().u16(kind));
            self.plan(command, Effect::None);
        }
        self.plan_action(Action::PowerCycle, Effect::PowerLost);
        // libtpms forgets with a start that is refused that the power was lost.
        let start = if self.choices.once_in(6) { *self.choices.one_of(&TYPES) } else { kind };
        if start != 0 && kind < 2 {
            let command = Command::new(CommandCode::STARTUP).octets(Octets::new().u16(start));
            self.plan(command, Effect::None);
        }
        // Fails if it was started already.
        self.start(0);
    }

    pub(super) fn start(&mut self, kind: u16) {
        let command = Command::new(CommandCode::STARTUP).octets(Octets::new().u16(kind));
        self.plan(command, Effect::StartedClear);
    }
}
