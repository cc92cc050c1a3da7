// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ChangePPS (Part 3, 24.4): another platform primary seed.

use super::control::flush;
use crate::pipeline::Context;
use crate::state::hierarchy::EntityPolicy;
use crate::structure::handle::Handle;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    let state = &mut *context.state;
    state.renew_seed(Handle::PLATFORM)?;
    state.renew_proof(Handle::PLATFORM)?;
    state.clear.change().platform_policy = EntityPolicy::default();
    // The policy of PCRs was the platform's to set.
    state.permanent.change().pcr_policy = EntityPolicy::default();
    flush(state, Handle::PLATFORM);
    state.persistents.remove_if(|entry| entry.object.hierarchy == Handle::PLATFORM);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, PLATFORM, parameters};

    #[test]
    fn policies_that_the_platform_set_are_gone() {
        let mut machine = Machine::started();
        let policy = parameters(|writer| {
            writer.sized_bytes(&[1; 32])?;
            writer.value(&0x0b_u16)
        });
        let pcr = [&policy[..], &20_u32.to_be_bytes()].concat();
        machine.authorised(0x12e, &[PLATFORM], &policy).unwrap();
        machine.authorised(0x12c, &[PLATFORM], &pcr).unwrap();
        machine.locality = 2;
        let reset = machine.authorised(0x13d, &[20], &[]);
        assert_eq!(reset, Err(ResponseCode::AUTH_TYPE));
        machine.authorised(0x125, &[PLATFORM], &[]).unwrap();
        assert_eq!(machine.authorised(0x13d, &[20], &[]), Ok(std::vec![]));
        let policies = [0, 0, 0, 9, 0x40, 0, 0, 0x0c, 0, 0, 0, 1];
        let listed = machine.command(0x17a, &policies).unwrap();
        assert_eq!(listed[5..], [0; 4], "none is left");
    }
}
