// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PCR_Extend (Part 3, 22.2), and what all commands that extend have in common.

use crate::crypto::hash::HashAlgorithm;
use crate::pipeline::Context;
use crate::state::State;
use crate::state::pcr::{bank_index, pcr_attributes};
use crate::structure::digest::DigestValues;
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: pcrHandle. Parameters: digests, one for each bank.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (digests,): (DigestValues,) = parameters.read()?;
    let handle = context.handle(1);
    if handle == Handle::NULL {
        return Ok(());
    }
    check_locality(handle, context.locality)?;
    for digest in digests.iter() {
        extend(context.state, handle, digest.algorithm, digest.digest.as_bytes());
    }
    Ok(())
}

/// TPM_RC_LOCALITY if the PCR may not be extended from the locality.
pub(in crate::command) fn check_locality(handle: Handle, locality: u8) -> Result<()> {
    if pcr_attributes(handle.index()).extend.allows(locality) {
        Ok(())
    } else {
        Err(ResponseCode::LOCALITY)
    }
}

/// Extends a PCR of one bank, if there is such a bank, and counts the change.
pub(in crate::command) fn extend(
    state: &mut State,
    handle: Handle,
    bank: HashAlgorithm,
    digest: &[u8],
) {
    if bank_index(bank).is_some() {
        state.pcrs.extend(bank, handle.index(), digest);
        state.count_pcr_change(handle.index());
    }
}

#[cfg(test)]
mod tests {
    use crate::crypto::hash::HashAlgorithm;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, parameters};

    fn digests(entries: &[(u16, &[u8])]) -> std::vec::Vec<u8> {
        parameters(|writer| {
            writer.value(&u32::try_from(entries.len()).unwrap())?;
            entries.iter().try_for_each(|(algorithm, digest)| {
                writer.value(algorithm)?;
                writer.bytes(digest)
            })
        })
    }

    #[test]
    fn refuses_what_cannot_be_extended() {
        let mut machine = Machine::started();
        let sha256 = digests(&[(0x0b, &[1; 32])]);
        let refused = machine.authorised(0x182, &[24], &sha256);
        assert_eq!(refused, Err(ResponseCode::VALUE.in_handle(1)));
        assert_eq!(machine.authorised(0x182, &[17], &sha256), Err(ResponseCode::LOCALITY));
        let unknown = digests(&[(0x10, &[])]);
        let refused = machine.authorised(0x182, &[0], &unknown);
        assert_eq!(refused, Err(ResponseCode::HASH.in_parameter(1)));
        let short = digests(&[(0x0b, &[1; 31])]);
        let refused = machine.authorised(0x182, &[0], &short);
        assert_eq!(refused, Err(ResponseCode::INSUFFICIENT.in_parameter(1)));
        let mut body = std::vec![0; 4];
        body.extend(&sha256);
        assert_eq!(machine.command(0x182, &body), Err(ResponseCode::AUTH_MISSING));
    }

    #[test]
    fn one_command_extends_all_banks() {
        let mut machine = Machine::started();
        let all = digests(&[(4, &[1; 20]), (0x0b, &[2; 32]), (0x0c, &[3; 48]), (0x0d, &[4; 64])]);
        assert_eq!(machine.authorised(0x182, &[10], &all), Ok(std::vec![]));
        let expected = HashAlgorithm::Sha256.digest(&[&[0; 32], &[2; 32]]);
        assert_eq!(machine.read_pcr(10), expected.as_bytes());
        assert_eq!(machine.tpm.state().reset.pcr_counter, 4);
        assert_eq!(machine.authorised(0x182, &[23], &all), Ok(std::vec![]));
        assert_eq!(machine.tpm.state().reset.pcr_counter, 4, "PCR 23 does not count");
    }

    #[test]
    fn without_a_pcr_nothing_happens() {
        let mut machine = Machine::started();
        let sha256 = digests(&[(0x0b, &[1; 32])]);
        assert_eq!(machine.authorised(0x182, &[0x4000_0007], &sha256), Ok(std::vec![]));
        assert_eq!(machine.tpm.state().reset.pcr_counter, 0);
    }

    #[test]
    fn a_dynamic_launch_pcr_takes_its_locality() {
        let mut machine = Machine::started();
        assert_eq!(machine.read_pcr(17), [0xff; 32]);
        machine.locality = 3;
        let sha256 = digests(&[(0x0b, &[1; 32])]);
        assert_eq!(machine.authorised(0x182, &[17], &sha256), Ok(std::vec![]));
        let expected = HashAlgorithm::Sha256.digest(&[&[0xff; 32], &[1; 32]]);
        assert_eq!(machine.read_pcr(17), expected.as_bytes());
    }
}
