// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_HMAC_Start and TPM2_MAC_Start (Part 3, 17.2), which are one command.

use super::mac_key::{WantedScheme, start};
use crate::pipeline::Context;
use crate::state::object::Transient;
use crate::structure::digest::Auth;
use crate::wire::{Parameters, Result, Writer};

/// Handles: handle. Parameters: auth, inScheme. The response: sequenceHandle.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (auth, wanted): (Auth, WantedScheme) = parameters.read()?;
    let sequence = start(context, &wanted, auth.without_trailing_zeros())?;
    let handle = context.state.transients.insert(Transient::Sequence(sequence))?;
    context.response_handle = Some(handle);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::signing::test_key::{RESTRICTED, SIGN, aes, hmac};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, NULL, parameters};

    #[test]
    fn a_sequence_is_the_same_as_the_whole() {
        let mut machine = Machine::started();
        let restricted = hmac(&mut machine, SIGN | RESTRICTED);
        let refused = machine.authorised(0x15b, &[restricted], &[0, 0, 0, 0x10]);
        assert_eq!(refused, Err(ResponseCode::ATTRIBUTES.in_handle(1)));
        for key in [hmac(&mut machine, SIGN), aes(&mut machine, SIGN, 0x3f)] {
            let whole = parameters(|writer| {
                writer.sized_bytes(b"a message of several blocks of the cipher")?;
                writer.value(&0x10_u16)
            });
            let whole = machine.authorised(0x155, &[key], &whole).unwrap();
            let started = machine.authorised(0x15b, &[key], &[0, 0, 0, 0x10]).unwrap();
            let sequence = u32::from_be_bytes(*started.first_chunk().unwrap());
            let part = parameters(|writer| writer.sized_bytes(b"a message of several "));
            machine.authorised(0x15c, &[sequence], &part).unwrap();
            let last = parameters(|writer| {
                writer.sized_bytes(b"blocks of the cipher")?;
                writer.value(&NULL)
            });
            let made = machine.authorised(0x13e, &[sequence], &last).unwrap();
            assert_eq!(made[..whole.len()], whole);
            assert_eq!(made[whole.len()..], [0x80, 0x24, 0x40, 0, 0, 7, 0, 0], "no ticket");
        }
    }
}
