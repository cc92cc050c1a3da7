// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyCounterTimer (Part 3, 23.10): time, Clock or their counts compare to something.

use super::comparison::Comparison;
use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::session::SessionKind;
use crate::structure::command_code::CommandCode;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Octets of a TPMS_TIME_INFO.
const TIME_INFO_SIZE: usize = 25;

/// Handles: policySession. Parameters: operandB, offset, operation.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (operand, offset, operation): (Digest, u16, Comparison) = parameters.read()?;
    let mut buffer = [0; TIME_INFO_SIZE];
    let mut writer = Writer::new(&mut buffer);
    writer.value(&context.state.time_info())?;
    let session = context.state.sessions.policy_mut(context.handle(1))?;
    // What lies outside of the structure could never be compared, in no session.
    let rest = writer.written().get(usize::from(offset)..);
    let rest = rest.ok_or(ResponseCode::VALUE.in_parameter(2))?;
    let compared = rest.get(..operand.len()).ok_or(ResponseCode::RANGE)?;
    if session.kind != SessionKind::Trial && !operation.holds(compared, &operand) {
        return Err(ResponseCode::POLICY);
    }
    let hash = session.hash;
    let arguments = operation.arguments(hash, &operand, offset);
    session.policy.extend(hash, CommandCode::POLICY_COUNTER_TIMER, &[&arguments]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::policy::test_session::step;
    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn compares_within_the_structure() {
        let mut machine = Machine::started();
        let session = machine.start_session(SessionKind::Policy);
        machine.platform.uptime_ms += 1000;
        let mut compare = |body: &[u8]| step(&mut machine, 0x16d, session, body);
        let value = Err(ResponseCode::VALUE.in_parameter(2));
        assert_eq!(compare(&[0, 1, 0, 0, 26, 0, 0]), value);
        assert_eq!(compare(&[0, 2, 0, 0, 0, 24, 0, 0]), Err(ResponseCode::RANGE));
        let operation = Err(ResponseCode::VALUE.in_parameter(3));
        assert_eq!(compare(&[0, 1, 0, 0, 0, 0, 12]), operation);
        // Time is less than 512 ms: it isn't.
        let less = [0, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 5];
        assert_eq!(compare(&less), Err(ResponseCode::POLICY));
        let greater = [0, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3];
        assert_eq!(compare(&greater), Ok(()));
    }

    #[test]
    fn a_trial_session_stays_within_the_structure_too() {
        let mut machine = Machine::started();
        let session = machine.start_session(SessionKind::Trial);
        let mut compare = |body: &[u8]| step(&mut machine, 0x16d, session, body);
        assert_eq!(compare(&[0, 1, 0, 0, 25, 0, 0]), Err(ResponseCode::RANGE));
        assert_eq!(compare(&[0, 1, 0, 0, 24, 0, 0]), Ok(()), "whatever the value is");
    }
}
