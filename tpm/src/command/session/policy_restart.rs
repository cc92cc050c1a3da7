// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyRestart (Part 3, 11.2).

use crate::pipeline::Context;
use crate::wire::{Parameters, Result, Writer};

/// Handles: sessionHandle.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    context.state.sessions.policy_mut(context.handle(1))?.restart_policy();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::session::SessionKind;
    use crate::structure::handle::Handle;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::client::{Client, Encryption};
    use crate::testing::{Machine, OWNER, parameters};

    #[test]
    fn needs_a_policy_session() {
        let mut machine = Machine::started();
        let body = 0x0300_0000_u32.to_be_bytes();
        assert_eq!(machine.command(0x180, &body), Err(ResponseCode::REFERENCE_H0));
        let hmac = machine.start_session(SessionKind::Hmac);
        let refused = machine.command(0x180, &hmac.0.to_be_bytes());
        assert_eq!(refused, Err(ResponseCode::VALUE.in_handle(1)));
        let policy = machine.start_session(SessionKind::Policy);
        assert_eq!(policy, Handle(0x0300_0001));
        assert_eq!(machine.command(0x180, &policy.0.to_be_bytes()), Ok(std::vec![]));
        // The number of an HMAC session under the handle type of a policy session.
        assert_eq!(machine.command(0x180, &body), Err(ResponseCode::REFERENCE_H0));
    }

    /// The nonce stays, and what was approved for some time from the start of the session on is not
    /// prolonged.
    #[test]
    fn time_goes_on() {
        let mut machine = Machine::started();
        let client = Client::start(&mut machine, SessionKind::Policy, None, Encryption::None);
        let approval = parameters(|writer| {
            writer.sized_bytes(&client.nonce_tpm)?;
            writer.sized_bytes(b"")?;
            writer.sized_bytes(b"")?;
            writer.value(&10_i32)
        });
        let handle = client.handle.0;
        let approve =
            |machine: &mut Machine| machine.authorised(0x151, &[OWNER, handle], &approval);
        assert!(approve(&mut machine).is_ok());
        machine.platform.uptime_ms += 11_000;
        machine.command(0x180, &handle.to_be_bytes()).unwrap();
        assert_eq!(approve(&mut machine), Err(ResponseCode::EXPIRED.in_parameter(4)));
    }
}
