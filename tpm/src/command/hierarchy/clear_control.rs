// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ClearControl (Part 3, 24.7).

use crate::pipeline::Context;
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: auth. Parameters: disable. Only the platform can enable TPM2_Clear again.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (is_disabled,): (bool,) = parameters.read()?;
    if context.handle(1) == Handle::LOCKOUT && !is_disabled {
        return Err(ResponseCode::AUTH_FAIL);
    }
    context.state.permanent.change().is_clear_disabled = is_disabled;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{LOCKOUT, Machine, PLATFORM};

    #[test]
    fn only_the_platform_enables() {
        let mut machine = Machine::started();
        assert_eq!(machine.authorised(0x127, &[LOCKOUT], &[0]), Err(ResponseCode::AUTH_FAIL));
        assert_eq!(machine.authorised(0x127, &[LOCKOUT], &[1]), Ok(std::vec![]));
        assert_eq!(machine.property(0x200) & 0x100, 0x100);
        let refused = machine.authorised(0x127, &[PLATFORM], &[2]);
        assert_eq!(refused, Err(ResponseCode::VALUE.in_parameter(1)));
        assert_eq!(machine.authorised(0x127, &[PLATFORM], &[0]), Ok(std::vec![]));
        assert_eq!(machine.property(0x200) & 0x100, 0);
    }
}
