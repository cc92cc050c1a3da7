// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyLocality (Part 3, 23.8).

use crate::pipeline::Context;
use crate::structure::attributes::LocalityAttributes;
use crate::structure::command_code::CommandCode;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: policySession. Parameters: locality. What an earlier one allowed and this one doesn't
/// is no longer allowed; nothing left is TPM_RC_RANGE.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (locality,): (LocalityAttributes,) = parameters.read()?;
    let session = context.state.sessions.policy_mut(context.handle(1))?;
    let wrong = ResponseCode::RANGE.in_parameter(1);
    let allowed =
        match session.policy.locality {
            None => locality,
            Some(before) if locality.is_extended() || before.is_extended() => {
                if before == locality { locality } else { return Err(wrong) }
            }
            Some(before) => LocalityAttributes(before.0 & locality.0),
        };
    if allowed.0 == 0 {
        return Err(wrong);
    }
    let hash = session.hash;
    session.policy.extend(hash, CommandCode::POLICY_LOCALITY, &[&[locality.0]]);
    session.policy.locality = Some(allowed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::policy::test_session::step;
    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn localities_only_get_fewer() {
        let mut machine = Machine::started();
        let session = machine.start_session(SessionKind::Policy);
        let wrong = Err(ResponseCode::RANGE.in_parameter(1));
        assert_eq!(step(&mut machine, 0x16f, session, &[0]), wrong);
        assert_eq!(step(&mut machine, 0x16f, session, &[0b0011]), Ok(()));
        assert_eq!(step(&mut machine, 0x16f, session, &[0b0100]), wrong);
        assert_eq!(step(&mut machine, 0x16f, session, &[40]), wrong);
        assert_eq!(step(&mut machine, 0x16f, session, &[0b0010]), Ok(()));
    }
}
