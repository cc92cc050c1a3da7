// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ClockSet (Part 3, 29.2).

use crate::pipeline::Context;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Clock cannot be set beyond this, so that it can't overflow.
const CLOCK_LIMIT_MS: u64 = 0xffff_0000_0000_0000;

/// Handles: auth. Parameters: newTime, which must not be before Clock.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (clock_ms,): (u64,) = parameters.read()?;
    if clock_ms > CLOCK_LIMIT_MS || clock_ms < context.state.clock.clock_ms() {
        return Err(ResponseCode::VALUE.in_parameter(1));
    }
    context.state.clock.set(clock_ms);
    context.state.orderly.change().clock_ms = clock_ms;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER};

    #[test]
    fn only_goes_forward() {
        let mut machine = Machine::started();
        machine.platform.uptime_ms += 5000;
        let value = Err(ResponseCode::VALUE.in_parameter(1));
        let mut set = |ms: u64| machine.authorised(0x128, &[OWNER], &ms.to_be_bytes());
        assert_eq!(set(4999), value);
        assert_eq!(set(0xffff_0000_0000_0001), value);
        assert_eq!(set(1_000_000), Ok(std::vec![]));
        assert_eq!(set(999_999), value);
        assert_eq!(machine.command(0x181, &[]).unwrap()[8..16], 1_000_000_u64.to_be_bytes());
    }
}
