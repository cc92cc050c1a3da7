// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_GetSessionAuditDigest (Part 3, 18.5).

use crate::pipeline::Context;
use crate::protect::attestation::Signer;
use crate::structure::attest::Attested;
use crate::structure::digest::Data;
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::SignatureScheme;
use crate::wire::{Parameters, Result, Writer};

/// Handles: privacyAdminHandle, signHandle, sessionHandle. Parameters: qualifyingData, inScheme.
/// The response: auditInfo, signature.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (qualifying, wanted): (Data, Option<SignatureScheme>) = parameters.read()?;
    let signer = Signer::select(context, 2, wanted, 2)?;
    let handle = context.handle(3);
    let sessions = &context.state.sessions;
    let digest = sessions.get(handle).and_then(|session| session.audit);
    let digest = digest.ok_or(ResponseCode::TYPE.in_handle(3))?;
    let is_exclusive = sessions.exclusive == Some(handle);
    signer.attest(context, qualifying, Attested::SessionAudit(is_exclusive, digest), response)
}

#[cfg(test)]
mod tests {
    use crate::command::signing::test_key::{SIGN, ecc};
    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{ENDORSEMENT, Machine};

    #[test]
    fn needs_a_session_that_has_audited() {
        let mut machine = Machine::started();
        let key = ecc(&mut machine, SIGN, &[0x18, 0x0b]);
        let session = machine.start_session(SessionKind::Hmac);
        let handles = [ENDORSEMENT, key, session.0];
        let refused = machine.authorised(0x14d, &handles, &[0, 0, 0, 0x10]);
        assert_eq!(refused, Err(ResponseCode::TYPE.in_handle(3)));
        let policy = machine.start_session(SessionKind::Policy);
        let handles = [ENDORSEMENT, key, policy.0];
        let refused = machine.authorised(0x14d, &handles, &[0, 0, 0, 0x10]);
        assert_eq!(refused, Err(ResponseCode::VALUE.in_handle(3)));
    }
}
