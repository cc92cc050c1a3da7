// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ClockRateAdjust (Part 3, 29.3).

use crate::pipeline::Context;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// TPM_CLOCK_ADJUST (Part 2, 6.8): from three steps slower to three steps faster.
const NO_CHANGE: u8 = 0;

/// Handles: auth. Parameters: rateAdjust.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (adjust,): (u8,) = parameters.read()?;
    let clock = &mut context.state.clock;
    match adjust {
        NO_CHANGE => {}
        1..=3 => clock.adjust_rate(usize::from(adjust).saturating_sub(1), true),
        // Negative numbers: -1 is 255.
        0xfd..=0xff => clock.adjust_rate(usize::from(0xff_u8.saturating_sub(adjust)), false),
        _ => return Err(ResponseCode::VALUE.in_parameter(1)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER};

    #[test]
    fn runs_faster_and_slower() {
        let mut machine = Machine::started();
        let outside = machine.authorised(0x130, &[OWNER], &[4]);
        assert_eq!(outside, Err(ResponseCode::VALUE.in_parameter(1)));
        assert_eq!(machine.authorised(0x130, &[OWNER], &[3]), Ok(std::vec![]));
        machine.platform.uptime_ms += 1_000_000;
        assert_eq!(machine.command(0x181, &[]).unwrap()[..8], 1_001_000_u64.to_be_bytes());
        assert_eq!(machine.authorised(0x130, &[OWNER], &[0xfd]), Ok(std::vec![]));
        machine.platform.uptime_ms += 1_000_000;
        assert_eq!(machine.command(0x181, &[]).unwrap()[..8], 2_001_000_u64.to_be_bytes());
    }
}
