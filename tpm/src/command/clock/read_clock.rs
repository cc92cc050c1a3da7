// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ReadClock (Part 3, 29.1).

use crate::pipeline::Context;
use crate::wire::{Parameters, Result, Writer};

/// The response: currentTime.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    response.value(&context.state.time_info())
}

#[cfg(test)]
mod tests {
    use crate::testing::Machine;

    #[test]
    fn time_and_clock_run_together() {
        let mut machine = Machine::started();
        machine.platform.uptime_ms += 1234;
        let response = machine.command(0x181, &[]).unwrap();
        assert_eq!(response[..8], 1234_u64.to_be_bytes());
        assert_eq!(response[8..16], 1234_u64.to_be_bytes());
        // resetCount 1, restartCount 0, safe.
        assert_eq!(response[16..], [0, 0, 0, 1, 0, 0, 0, 0, 1]);
    }
}
