// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ChangeEPS (Part 3, 24.5): another endorsement primary seed, and so another TPM.

use super::control::flush;
use crate::pipeline::Context;
use crate::state::hierarchy::EntityPolicy;
use crate::structure::digest::Auth;
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
    state.renew_seed(Handle::ENDORSEMENT)?;
    state.renew_proof(Handle::ENDORSEMENT)?;
    state.clear.change().is_endorsement_enabled = true;
    let endorsement = &mut state.permanent.change().endorsement;
    endorsement.auth = Auth::EMPTY;
    endorsement.policy = EntityPolicy::default();
    flush(state, Handle::ENDORSEMENT);
    state.persistents.remove_if(|entry| entry.object.hierarchy == Handle::ENDORSEMENT);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests::{body, storage_key};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{ENDORSEMENT, Machine, OWNER, PLATFORM};

    #[test]
    fn a_new_seed_makes_new_keys() {
        for (command, hierarchy) in [(0x124, ENDORSEMENT), (0x125, PLATFORM)] {
            let mut machine = Machine::started();
            let refused = machine.authorised(command, &[OWNER], &[]);
            assert_eq!(refused, Err(ResponseCode::VALUE.in_handle(1)));
            let create = |machine: &mut Machine| {
                let body = body(b"", b"", &storage_key());
                machine.authorised(0x131, &[hierarchy], &body).unwrap()
            };
            let before = create(&mut machine);
            assert_eq!(machine.authorised(command, &[PLATFORM], &[]), Ok(std::vec![]));
            let flushed = machine.command(0x173, &[0x80, 0, 0, 0]);
            assert_eq!(flushed, Err(ResponseCode::REFERENCE_H0));
            assert_ne!(create(&mut machine), before);
        }
    }
}
