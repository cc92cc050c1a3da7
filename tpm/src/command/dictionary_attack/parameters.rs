// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_DictionaryAttackParameters (Part 3, 25.3).

use crate::pipeline::Context;
use crate::wire::{Parameters, Result, Writer};

/// Handles: lockHandle. Parameters: newMaxTries, newRecoveryTime and lockoutRecovery in seconds.
/// newMaxTries of zero is lockout from now on; newRecoveryTime of zero ends the protection.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (max_tries, recovery_time_s, lockout_recovery_s): (u32, u32, u32) = parameters.read()?;
    let attack = &mut context.state.permanent.change().dictionary_attack;
    attack.max_tries = max_tries;
    attack.recovery_time_s = recovery_time_s;
    attack.lockout_recovery_s = lockout_recovery_s;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{LOCKOUT, Machine};

    const IN_LOCKOUT: u32 = 1 << 9;

    #[test]
    fn parameters_show_and_last() {
        let mut machine = Machine::started();
        let short = machine.authorised(0x13a, &[LOCKOUT], &[0; 11]);
        assert_eq!(short, Err(ResponseCode::INSUFFICIENT.in_parameter(3)));
        let body = [0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 7];
        assert_eq!(machine.authorised(0x13a, &[LOCKOUT], &body), Ok(std::vec![]));
        machine.power_cycle();
        machine.command(0x144, &[0, 0]).unwrap();
        let values = [0x20f, 0x210, 0x211].map(|property| machine.property(property));
        assert_eq!(values, [5, 6, 7]);
    }

    #[test]
    fn no_tries_is_lockout() {
        let mut machine = Machine::started();
        let body = [0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 7];
        machine.authorised(0x13a, &[LOCKOUT], &body).unwrap();
        assert_eq!(machine.property(0x200) & IN_LOCKOUT, IN_LOCKOUT);
    }
}
