// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyPCR (Part 3, 23.7): PCRs have certain values now, and don't change until the use.

use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::session::SessionKind;
use crate::structure::command_code::CommandCode;
use crate::structure::pcr_selection::PcrSelectionList;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Octets of the longest marshalled selection.
const SELECTION_SIZE_MAX: usize = 64;

/// Handles: policySession. Parameters: pcrDigest, pcrs.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (expected, selection): (Digest, PcrSelectionList) = parameters.read()?;
    let selection = context.state.pcrs.existing(selection);
    let counter = context.state.reset.pcr_counter;
    let handle = context.handle(1);
    let hash = context.state.sessions.policy_mut(handle)?.hash;
    let current = context.state.pcrs.selected_digest(hash, &selection);
    let session = context.state.sessions.policy_mut(handle)?;
    let mut digest = current;
    if session.kind == SessionKind::Trial {
        // A trial is told what the PCRs will be.
        if !expected.is_empty() {
            digest = expected;
        }
    } else {
        if session.policy.pcr_counter.is_some_and(|before| before != counter) {
            return Err(ResponseCode::PCR_CHANGED);
        }
        if !expected.is_empty() && expected != current {
            return Err(ResponseCode::VALUE.in_parameter(1));
        }
    }
    let mut buffer = [0; SELECTION_SIZE_MAX];
    let mut writer = Writer::new(&mut buffer);
    writer.value(&selection)?;
    session.policy.extend(hash, CommandCode::POLICY_PCR, &[writer.written(), &digest]);
    if session.kind != SessionKind::Trial {
        session.policy.pcr_counter = Some(counter);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::policy::test_session::policy_digest;
    use crate::crypto::hash::HashAlgorithm;
    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, parameters};

    const SELECTION: [u8; 10] = [0, 0, 0, 1, 0, 0x0b, 3, 0x10, 0, 0];

    #[test]
    fn pcrs_must_have_the_values_and_keep_them() {
        let mut machine = Machine::started();
        let session = machine.start_session(SessionKind::Policy);
        let body = |digest: &[u8]| {
            parameters(|writer| {
                writer.value(&session)?;
                writer.sized_bytes(digest)?;
                writer.bytes(&SELECTION)
            })
        };
        let wrong = machine.command(0x17f, &body(&[1; 32]));
        assert_eq!(wrong, Err(ResponseCode::VALUE.in_parameter(1)));
        let value = HashAlgorithm::Sha256.digest(&[&[0; 32]]);
        machine.command(0x17f, &body(&value)).unwrap();
        let code = 0x17f_u32.to_be_bytes();
        let expected = HashAlgorithm::Sha256.digest(&[&[0; 32], &code, &SELECTION, &value]);
        assert_eq!(policy_digest(&mut machine, session), expected.as_bytes());
        machine.extend_pcr(9, &[1; 32]);
        assert_eq!(machine.command(0x17f, &body(&[])), Err(ResponseCode::PCR_CHANGED));
    }
}
