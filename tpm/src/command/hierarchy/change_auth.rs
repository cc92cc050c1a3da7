// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_HierarchyChangeAuth (Part 3, 24.8).

use crate::pipeline::Context;
use crate::structure::digest::Auth;
use crate::structure::handle::Handle;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle. Parameters: newAuth.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (auth,): (Auth,) = parameters.read()?;
    let auth = auth.without_trailing_zeros();
    let handle = context.handle(1);
    let state = &mut *context.state;
    match handle {
        Handle::OWNER => state.permanent.change().owner.auth = auth,
        Handle::ENDORSEMENT => state.permanent.change().endorsement.auth = auth,
        Handle::LOCKOUT => state.permanent.change().lockout_auth = auth,
        _ => state.clear.change().platform_auth = auth,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{LOCKOUT, Machine, OWNER, PLATFORM};

    #[test]
    fn the_old_value_is_needed_and_then_the_new_one() {
        let mut machine = Machine::started();
        let mut long = std::vec![0; 67];
        long[1] = 65;
        let refused = machine.authorised(0x129, &[OWNER], &long);
        assert_eq!(refused, Err(ResponseCode::SIZE.in_parameter(1)));
        let refused = machine.authorised(0x129, &[0x4000_0007], &[0, 0]);
        assert_eq!(refused, Err(ResponseCode::VALUE.in_handle(1)));
        assert_eq!(machine.authorised(0x129, &[OWNER], &[0, 3, 1, 2, 0]), Ok(std::vec![]));
        let refused = machine.authorised(0x129, &[OWNER], &[0, 0]);
        assert_eq!(refused, Err(ResponseCode::BAD_AUTH.in_session(1)));
        // Trailing zeros are no part of the value, on either side.
        let changed = machine.with_password(0x129, &[OWNER], &[1, 2, 0, 0], &[0, 0]);
        assert_eq!(changed, Ok(std::vec![]));
        assert_eq!(machine.authorised(0x129, &[OWNER], &[0, 0]), Ok(std::vec![]));
    }

    #[test]
    fn lockout_counts_its_failures() {
        let mut machine = Machine::started();
        machine.authorised(0x129, &[LOCKOUT], &[0, 1, 7]).unwrap();
        let refused = machine.authorised(0x129, &[LOCKOUT], &[0, 0]);
        assert_eq!(refused, Err(ResponseCode::AUTH_FAIL.in_session(1)));
        let refused = machine.with_password(0x129, &[LOCKOUT], &[7], &[0, 0]);
        assert_eq!(refused, Err(ResponseCode::LOCKOUT));
        machine.platform.uptime_ms += 1_000_000;
        let changed = machine.with_password(0x129, &[LOCKOUT], &[7], &[0, 0]);
        assert_eq!(changed, Ok(std::vec![]));
    }

    #[test]
    fn platform_auth_is_volatile() {
        let mut machine = Machine::started();
        machine.authorised(0x129, &[PLATFORM], &[0, 1, 7]).unwrap();
        machine.authorised(0x129, &[OWNER], &[0, 1, 8]).unwrap();
        machine.power_cycle();
        machine.command(0x144, &[0, 0]).unwrap();
        assert_eq!(machine.authorised(0x129, &[PLATFORM], &[0, 0]), Ok(std::vec![]));
        assert_eq!(machine.with_password(0x129, &[OWNER], &[8], &[0, 0]), Ok(std::vec![]));
    }
}
