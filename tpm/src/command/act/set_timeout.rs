// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ACT_SetTimeout (Part 3, 33.2; Part 1, 40).

use crate::pipeline::Context;
use crate::state::Timer;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: actHandle. Parameters: startTimeout in seconds. Zero stops the timer, whose signal is
/// set by that if it was running; all ones let it never expire and take its signal back, which only
/// makes sense when it has one.
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
    if timeout_s == Timer::NEVER_S && !timer.is_signaled {
        return Err(ResponseCode::VALUE.in_parameter(1));
    }
    let was_running = timer.expires_ms.is_some();
    timer.is_signaled = timeout_s == 0 && (timer.is_signaled || was_running);
    timer.is_set = true;
    timer.run(timeout_s, now_ms);
    // What TPM2_Shutdown saved has another time in it.
    context.state.clear.change();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, PLATFORM};

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

    #[test]
    fn a_loss_of_power_stops_it() {
        let mut machine = Machine::started();
        machine.authorised(0x198, &[0x4000_0110], &[0, 0, 0, 5]).unwrap();
        machine.power_cycle();
        machine.command(0x144, &[0, 0]).unwrap();
        assert_eq!(look(&mut machine), (0, 0));
    }

    /// Its authorisation value is platformAuth.
    #[test]
    fn is_not_authorised_while_the_platform_is_disabled() {
        let mut machine = Machine::started();
        let disable = [&PLATFORM.to_be_bytes()[..], &[0]].concat();
        machine.authorised(0x121, &[PLATFORM], &disable).unwrap();
        let refused = machine.authorised(0x198, &[0x4000_0110], &[0, 0, 0, 5]);
        assert_eq!(refused, Err(ResponseCode::AUTH_UNAVAILABLE));
    }

    #[test]
    fn never_is_only_for_one_that_has_signaled() {
        const NEVER: [u8; 4] = [0xff; 4];
        let mut machine = Machine::started();
        machine.authorised(0x198, &[0x4000_0110], &[0, 0, 0, 5]).unwrap();
        let refused = machine.authorised(0x198, &[0x4000_0110], &NEVER);
        assert_eq!(refused, Err(ResponseCode::VALUE.in_parameter(1)));
        machine.platform.uptime_ms += 5_000;
        assert_eq!(look(&mut machine), (0, 1));
        machine.authorised(0x198, &[0x4000_0110], &NEVER).unwrap();
        machine.platform.uptime_ms += 1 << 40;
        assert_eq!(look(&mut machine), (u32::MAX, 0));
        machine.authorised(0x198, &[0x4000_0110], &[0; 4]).unwrap();
        assert_eq!(look(&mut machine), (0, 1));
    }

    /// TPM2_Shutdown(STATE), a loss of power, and TPM2_Startup(STATE).
    fn resume(machine: &mut Machine) {
        machine.command(0x145, &[0, 1]).unwrap();
        machine.power_cycle();
        machine.command(0x144, &[0, 1]).unwrap();
    }

    /// Otherwise whoever can suspend the machine could hold up its timers.
    #[test]
    fn a_resume_goes_on_and_halves_what_was_not_set_anew() {
        let mut machine = Machine::started();
        machine.authorised(0x198, &[0x4000_0110], &[0, 0, 0, 60]).unwrap();
        machine.platform.uptime_ms += 20_000;
        resume(&mut machine);
        assert_eq!(look(&mut machine), (40, 0));
        resume(&mut machine);
        assert_eq!(look(&mut machine), (20, 0));
        machine.platform.uptime_ms += 20_000;
        assert_eq!(look(&mut machine), (0, 1));
        resume(&mut machine);
        assert_eq!(look(&mut machine), (0, 1), "the signal stays");
        machine.command(0x145, &[0, 1]).unwrap();
        machine.authorised(0x198, &[0x4000_0110], &[0, 0, 0, 60]).unwrap();
        machine.power_cycle();
        let late = machine.command(0x144, &[0, 1]);
        assert_eq!(late, Err(ResponseCode::VALUE.in_parameter(1)), "set after the shutdown");
    }
}
