// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ACT_SetTimeout (Part 3, 33.2; Part 1, 40).

use crate::pipeline::Context;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

const MS_PER_S: u64 = 1000;

/// Handles: actHandle. Parameters: startTimeout in seconds; zero stops the timer, whose signal
/// is then set.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (timeout_s,): (u32,) = parameters.read()?;
    let now_ms = context.state.clock.time_ms();
    let handle = context.handle(1);
    let place = handle.timer_index().and_then(|place| context.state.timers.get_mut(place));
    let timer = place.ok_or(ResponseCode::VALUE.in_handle(1))?;
    let was_running = timer.expires_ms.is_some();
    if timeout_s == 0 {
        timer.expires_ms = None;
        if was_running {
            timer.is_signaled = true;
        }
    } else {
        let length_ms = u64::from(timeout_s).saturating_mul(MS_PER_S);
        timer.expires_ms = Some(now_ms.saturating_add(length_ms));
        timer.is_signaled = false;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    /// Seconds left and attributes.
    fn look(machine: &mut Machine) -> (u32, u32) {
        let ask = [0, 0, 0, 10, 0x40, 0, 1, 0x10, 0, 0, 0, 1];
        let data = machine.command(0x17a, &ask).unwrap();
        let word = |from: usize| u32::from_be_bytes(*data[from..].first_chunk().unwrap());
        (word(13), word(17))
    }

    #[test]
    fn counts_down_and_signals() {
        let mut machine = Machine::started();
        let missing = machine.authorised(0x198, &[0x4000_0111], &[0, 0, 0, 5]);
        assert_eq!(missing, Err(ResponseCode::VALUE.in_handle(1)));
        machine.authorised(0x198, &[0x4000_0110], &[0, 0, 0, 5]).unwrap();
        machine.platform.uptime_ms += 2_000;
        assert_eq!(look(&mut machine), (3, 0));
        machine.platform.uptime_ms += 3_000;
        assert_eq!(look(&mut machine), (0, 1));
        machine.authorised(0x198, &[0x4000_0110], &[0, 0, 0, 5]).unwrap();
        assert_eq!(look(&mut machine), (5, 0));
    }
}
