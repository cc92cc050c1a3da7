// SPDX-License-Identifier: MIT OR Apache-2.0
//! Watches a machine from command to command: a failed command changes only what it may, and PCRs
//! are what a model of them says.

use std::collections::BTreeMap;

use tpm::crypto::hash::HashAlgorithm;
use tpm::state::Mode;
use tpm::structure::command_code::CommandCode;

use super::digest;
use crate::machine::Machine;
use crate::octets::Fields;
use crate::transport::Transport;

const HEADER_SIZE: usize = 10;
const TAG_SESSIONS: u16 = 0x8002;
const BANK: HashAlgorithm = HashAlgorithm::Sha256;
/// PCRs that any locality can extend, that nothing resets but a start, and that no event sequence
/// of the generator goes to.
const MODELLED: std::ops::Range<u32> = 0..8;

/// A machine under watch.
pub(super) struct Watched {
    machine: Machine,
    /// The SHA-256 values of some PCRs; empty when it is not known whether they exist.
    pcrs: BTreeMap<u32, Vec<u8>>,
}

impl Watched {
    pub(super) const fn new(machine: Machine) -> Self {
        Self { machine, pcrs: BTreeMap::new() }
    }

    /// The model follows a successful command.
    fn follow(&mut self, code: CommandCode, command: &[u8]) {
        match code {
            CommandCode::STARTUP => self.learn(),
            CommandCode::PCR_EXTEND => {
                let extended = extension(command);
                if let Some((pcr, digest)) = extended
                    && let Some(value) = self.pcrs.get_mut(&pcr)
                {
                    *value = BANK.digest(&[value, &digest]).as_bytes().to_vec();
                }
            }
            // These go to PCRs with digests that are computed here; the model doesn't.
            CommandCode::PCR_EVENT | CommandCode::EVENT_SEQUENCE_COMPLETE => self.learn(),
            _ => {}
        }
    }

    fn learn(&mut self) {
        let values = &self.machine.state().pcrs.values;
        let value = |pcr: u32| values.get(BANK, usize::try_from(pcr).ok()?);
        self.pcrs = MODELLED
            .filter_map(|pcr| Some((pcr, value(pcr)?.as_bytes().to_vec())))
            .filter(|(_, value)| !value.is_empty())
            .collect();
    }

    fn compare(&self, code: CommandCode) {
        let values = &self.machine.state().pcrs.values;
        for (pcr, model) in &self.pcrs {
            let index = usize::try_from(*pcr).expect("a PCR's number");
            let value = values.get(BANK, index).map(|value| value.as_bytes());
            assert_eq!(value, Some(&model[..]), "PCR {pcr} after {}", code.name());
        }
    }
}

/// The PCR and the SHA-256 digest of a TPM2_PCR_Extend, whatever its sessions are.
fn extension(command: &[u8]) -> Option<(u32, Vec<u8>)> {
    let mut fields = Fields(command);
    let tag = fields.u16()?;
    fields.take(HEADER_SIZE - 2)?;
    let pcr = fields.u32()?;
    if tag == TAG_SESSIONS {
        let size = usize::try_from(fields.u32()?).ok()?;
        fields.take(size)?;
    }
    let mut found = None;
    for _ in 0..fields.u32()? {
        let bank = HashAlgorithm::from_id(fields.u16()?)?;
        let digest = fields.take(bank.digest_size())?;
        if bank == BANK {
            found = Some((pcr, digest.to_vec()));
        }
    }
    found
}

impl Transport for Watched {
    fn execute(&mut self, locality: u8, command: &[u8]) -> Vec<u8> {
        let before = digest::of(self.machine.state());
        let response = self.machine.execute(locality, command);
        let result = response.get(6..HEADER_SIZE).unwrap_or_default();
        let code = command.get(6..HEADER_SIZE).and_then(|octets| octets.first_chunk());
        let code = CommandCode(code.copied().map_or(0, u32::from_be_bytes));
        assert!(
            !matches!(self.machine.state().mode, Mode::Failure(_)),
            "failure mode: {command:02x?}"
        );
        if result == [0; 4] {
            self.follow(code, command);
            self.compare(code);
        } else {
            let after = digest::of(self.machine.state());
            for ((name, before), (_, after)) in before.iter().zip(&after) {
                assert_eq!(before, after, "{name}, changed by a failed {}", code.name());
            }
        }
        response
    }

    fn power_cycle(&mut self) {
        self.machine.power_cycle();
        self.pcrs.clear();
    }
}
