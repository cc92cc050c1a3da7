// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PCR_SetAuthValue (Part 3, 22.7).

use crate::pipeline::Context;
use crate::state::pcr::pcr_attributes;
use crate::structure::digest::Auth;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: pcrHandle. Parameters: auth. Kept until the next Startup(CLEAR).
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (auth,): (Auth,) = parameters.read()?;
    if !pcr_attributes(context.handle(1).index()).has_auth {
        return Err(ResponseCode::VALUE);
    }
    context.state.clear.change().pcr_auth = auth.without_trailing_zeros();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn the_value_is_needed_from_then_on() {
        let mut machine = Machine::started();
        let refused = machine.authorised(0x183, &[3], &[0, 1, 5]);
        assert_eq!(refused, Err(ResponseCode::VALUE));
        assert_eq!(machine.authorised(0x183, &[20], &[0, 2, 5, 0]), Ok(std::vec![]));
        let refused = machine.authorised(0x183, &[21], &[0, 0]);
        assert_eq!(refused, Err(ResponseCode::BAD_AUTH.in_session(1)));
        assert_eq!(machine.with_password(0x183, &[21], &[5], &[0, 0]), Ok(std::vec![]));
    }
}
