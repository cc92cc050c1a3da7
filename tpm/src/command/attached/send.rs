// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_AC_Send (Part 3, 32.3).

use crate::pipeline::Context;
use crate::structure::digest::MaxBuffer;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: sendObject, authHandle, ac. Parameters: acDataIn. TPM_RC_HANDLE, since there is no
/// component to send to.
pub fn execute(
    _context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (_data,): (MaxBuffer,) = parameters.read()?;
    Err(ResponseCode::HANDLE.in_handle(3))
}

#[cfg(test)]
mod tests {
    use crate::command::nv::scene::{command_policy, with_policy};
    use crate::command::object::create_primary::tests::body;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, parameters};

    const COMPONENT: u32 = 0x9000_0000;

    #[test]
    fn nothing_is_sent_to_nowhere() {
        let mut machine = Machine::started();
        let policy = command_policy(0x195);
        let public = parameters(|writer| {
            [0x25_u16, 0x0b, 6, 0x0060].iter().try_for_each(|word| writer.value(word))?;
            writer.sized_bytes(&policy)?;
            [6_u16, 128, 0x43, 0].iter().try_for_each(|word| writer.value(word))
        });
        let made = machine.authorised(0x131, &[OWNER], &body(b"", b"", &public)).unwrap();
        let key = u32::from_be_bytes(*made.first_chunk().unwrap());
        let handles = [key, OWNER, COMPONENT];
        // The role is DUP, which only a policy has.
        let refused = machine.authorised(0x195, &handles, &[0, 0]);
        assert_eq!(refused, Err(ResponseCode::AUTH_TYPE));
        let long = [&[4, 1][..], &[0; 1025]].concat();
        let refused = with_policy(&mut machine, 0x195, &handles, &long);
        assert_eq!(refused, Err(ResponseCode::SIZE.in_parameter(1)));
        let refused = with_policy(&mut machine, 0x195, &handles, &[0, 1, 7]);
        assert_eq!(refused, Err(ResponseCode::HANDLE.in_handle(3)));
    }
}
