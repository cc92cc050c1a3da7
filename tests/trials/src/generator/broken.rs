// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands that make no sense, and sensible ones that are broken.

use tpm::command::COMMANDS;
use tpm::structure::command_code::CommandCode;

use super::world::Effect;
use super::{Generator, with_passwords};
use crate::octets::Octets;
use crate::step::{Action, Command, Damage, Handle};

impl Generator<'_> {
    /// Any command with any handles and parameters of a few octets.
    pub(super) fn about_nonsense(&mut self) {
        const STRANGE: [u32; 10] = [
            0,
            0x0100_0009,
            0x02ff_ffff,
            0x0300_0005,
            0x4000_0007,
            0x4000_0009,
            0x4000_0010,
            0x8000_00ff,
            0x8101_0000,
            0xffff_ffff,
        ];
        let both: Vec<_> = COMMANDS.iter().filter(|row| is_shared(row.code)).collect();
        let row = *self.choices.one_of(&both);
        let mut command = Command::new(row.code);
        for _ in row.handles {
            let known = self.any_object().map(|object| object.handle);
            let strange = Handle::Fixed(*self.choices.one_of(&STRANGE));
            let usual = self.some_hierarchy();
            let known = known.unwrap_or(usual);
            command = command.handle(*self.choices.one_of(&[known, usual, strange]));
        }
        for _ in 0..row.authorisations() {
            command = with_passwords(command, &[b""]);
        }
        let mut octets = Octets::new();
        for _ in 0..self.choices.below(5) {
            octets = match self.choices.below(4) {
                0 => octets.u8(self.choices.octet()),
                1 => octets.u16(*self.choices.one_of(&[0, 1, 0x0b, 0x10, 0xff, 0xffff])),
                2 => octets.u32(*self.choices.one_of(&[0, 1, 0x4000_0007, u32::MAX])),
                _ => octets.sized(&[1; 16]),
            };
        }
        self.plan(command.octets(octets), Effect::None);
    }

    /// Breaks the command that was planned last.
    pub(super) fn break_the_last(&mut self) {
        let length = 10 + self.choices.below(120);
        let damage = match self.choices.below(8) {
            0..=2 => Damage::Change { at: length, pattern: 1 << self.choices.below(8) },
            3 => Damage::Set { at: length, octet: *self.choices.one_of(&[0, 0xff, 1]) },
            4 => Damage::Cut(1 + self.choices.below(8)),
            5 => Damage::Append(vec![0; 1 + self.choices.below(4)]),
            6 => Damage::Tag(*self.choices.one_of(&[0x8001, 0x8002, 0x00c1, 0])),
            _ => Damage::Code(*self.choices.one_of(&[0, 0x11e, 0x123, 0x200, 0x2000_0000])),
        };
        // With another count or property it would tell of what TPMs differ in.
        if let Some((step, effect)) = self.planned.back_mut()
            && let Action::Command(command) = &mut step.action
            && command.code != CommandCode::GET_CAPABILITY
        {
            command.damage = Some(damage);
            // What it does when it succeeds nevertheless is anybody's guess.
            if !matches!(effect, Effect::Loaded(_) | Effect::Started(_)) {
                *effect = Effect::None;
            }
        }
    }
}

/// Whether libtpms 0.9 has the command too, and it doesn't just tell what TPMs differ in.
fn is_shared(code: CommandCode) -> bool {
    code <= CommandCode::ENCRYPT_DECRYPT_2 && code != CommandCode::GET_CAPABILITY
}
