// SPDX-License-Identifier: MIT OR Apache-2.0
//! PCRs (Part 3, 22).

use tpm::structure::command_code::CommandCode;

use super::world::Effect;
use super::{Generator, PLATFORM};
use crate::octets::Octets;
use crate::step::{Command, Handle};

const PCRS: [u32; 9] = [0, 7, 10, 16, 17, 20, 21, 22, 23];
const DIGEST_SIZES: [(u16, usize); 4] = [(0x04, 20), (0x0b, 32), (0x0c, 48), (0x0d, 64)];

impl Generator<'_> {
    /// TPML_PCR_SELECTION.
    pub(super) fn pcr_selection(&mut self) -> Vec<u8> {
        let count = *self.choices.one_of(&[1, 1, 1, 2, 0]);
        let mut octets = Octets::new().u32(count);
        for _ in 0..count {
            let hash = *self.choices.one_of(&[0x0b, 0x0b, 0x04, 0x0c, 0xff]);
            let size = *self.choices.one_of(&[3, 3, 3, 3, 3, 3, 1, 4, 0]);
            let map = vec![1 << self.choices.below(8); size];
            octets = octets.u16(hash).u8(u8::try_from(size).unwrap_or_default()).bytes(&map);
        }
        octets.0
    }

    fn some_pcr(&mut self) -> Handle {
        let pcr = *self.choices.one_of(&PCRS);
        Handle::Fixed(if self.choices.once_in(16) { 24 } else { pcr })
    }

    pub(super) fn about_pcrs(&mut self) {
        let choice = self.choices.below(12);
        // Which PCRs have values and policies is every platform's own business: these don't.
        let pcr = if choice < 10 { self.some_pcr() } else { Handle::Fixed(16) };
        let command = match choice {
            0..=3 => self.pcr_extend(pcr),
            4 => {
                let size = *self.choices.one_of(&[0, 9, 1024, 1025]);
                let octets = Octets::new().sized(&vec![0x2f; size]);
                Command::new(CommandCode::PCR_EVENT).handle(pcr).octets(octets)
            }
            5..=7 => {
                let selection = self.pcr_selection();
                Command::new(CommandCode::PCR_READ).octets(Octets::new().bytes(&selection))
            }
            8 | 9 => Command::new(CommandCode::PCR_RESET).handle(pcr),
            10 => {
                let auth = self.some_auth();
                let command = Command::new(CommandCode::PCR_SET_AUTH_VALUE).handle(pcr);
                command.octets(Octets::new().sized(&auth))
            }
            _ => {
                let Handle::Fixed(pcr) = pcr else { return };
                let octets = Octets::new().sized(&[0; 32]).u16(0x0b).u32(pcr);
                Command::new(CommandCode::PCR_SET_AUTH_POLICY).handle(PLATFORM).octets(octets)
            }
        };
        let command = self.at_some_locality(command);
        self.plan_authorised(command, Effect::None);
    }

    pub(super) fn at_some_locality(&mut self, mut command: Command) -> Command {
        if self.choices.once_in(3) {
            command.locality = *self.choices.one_of(&[1, 2, 3, 4]);
        }
        command
    }

    fn pcr_extend(&mut self, pcr: Handle) -> Command {
        let count = *self.choices.one_of(&[1, 1, 2, 4, 0]);
        let mut octets = Octets::new().u32(u32::try_from(count).unwrap_or_default());
        for (hash, size) in DIGEST_SIZES.iter().take(count) {
            octets = octets.u16(*hash).bytes(&vec![self.choices.octet(); *size]);
        }
        Command::new(CommandCode::PCR_EXTEND).handle(pcr).octets(octets)
    }
}
