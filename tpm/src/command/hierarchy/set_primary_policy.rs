// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_SetPrimaryPolicy (Part 3, 24.3).

use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::pipeline::Context;
use crate::state::hierarchy::EntityPolicy;
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle. Parameters: authPolicy, hashAlg.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (digest, algorithm): (Digest, Option<HashAlgorithm>) = parameters.read()?;
    if digest.len() != algorithm.map_or(0, HashAlgorithm::digest_size) {
        return Err(ResponseCode::SIZE.in_parameter(1));
    }
    let policy = EntityPolicy { algorithm, digest };
    let handle = context.handle(1);
    let state = &mut *context.state;
    match handle {
        Handle::OWNER => state.permanent.change().owner.policy = policy,
        Handle::ENDORSEMENT => state.permanent.change().endorsement.policy = policy,
        Handle::LOCKOUT => state.permanent.change().lockout_policy = policy,
        Handle::PLATFORM => state.clear.change().platform_policy = policy,
        timer => {
            let place = timer
                .timer_index()
                .and_then(|place| state.clear.change().timer_policy.get_mut(place));
            *place.ok_or(ResponseCode::VALUE.in_handle(1))? = policy;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{LOCKOUT, Machine, OWNER, PLATFORM, parameters};

    #[test]
    fn policy_and_algorithm_belong_together() {
        let mut machine = Machine::started();
        let body = |size: usize, algorithm: u16| {
            parameters(|writer| {
                writer.sized_bytes(&std::vec![7; size])?;
                writer.value(&algorithm)
            })
        };
        let wrong = machine.authorised(0x12e, &[OWNER], &body(20, 0x0b));
        assert_eq!(wrong, Err(ResponseCode::SIZE.in_parameter(1)));
        let wrong = machine.authorised(0x12e, &[OWNER], &body(1, 0x10));
        assert_eq!(wrong, Err(ResponseCode::SIZE.in_parameter(1)));
        for handle in [OWNER, PLATFORM, LOCKOUT, 0x4000_0110] {
            let set = machine.authorised(0x12e, &[handle], &body(32, 0x0b));
            assert_eq!(set, Ok(std::vec![]), "{handle:#x}");
        }
        let ask = [0, 0, 0, 9, 0x40, 0, 0, 0, 0, 0, 0, 9];
        let policies = machine.command(0x17a, &ask).unwrap();
        assert_eq!(policies[5..9], [0, 0, 0, 4]);
    }
}
