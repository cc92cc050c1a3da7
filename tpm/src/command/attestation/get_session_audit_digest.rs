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
    use crate::command::signing::test_key::{SIGN, ecc, verify_body};
    use crate::crypto::hash::HashAlgorithm;
    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::client::{AUDIT, Client};
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

    /// The attestation of a session that has audited a command, and its exclusive flag.
    #[test]
    fn says_what_the_session_has_audited() {
        let mut machine = Machine::started();
        let key = ecc(&mut machine, SIGN, &[0x18, 0x0b]);
        let mut client = Client::hmac(&mut machine, b"");
        client.attributes |= AUDIT;
        let response = machine.with_sessions(0x17b, &[], &mut [&mut client], &[0, 4]).unwrap();
        let sha256 = HashAlgorithm::Sha256;
        let code = 0x17b_u32.to_be_bytes();
        let command = sha256.digest(&[&code, &[0, 4]]);
        let answer = sha256.digest(&[&[0; 4], &code, &response]);
        let digest = sha256.digest(&[&[0; 32], &command, &answer]);
        let handles = [ENDORSEMENT, key, client.handle.0];
        for is_exclusive in [1, 0] {
            let response = machine.authorised(0x14d, &handles, &[0, 1, b'q', 0, 0x10]).unwrap();
            let size = usize::from(u16::from_be_bytes([response[0], response[1]]));
            let (attested, signature) = response[2..].split_at(size);
            assert_eq!(attested[..6], [0xff, 0x54, 0x43, 0x47, 0x80, 0x16]);
            let expected = [&[is_exclusive, 0, 32][..], &digest].concat();
            assert_eq!(attested[size - 35..], expected);
            let verify = verify_body(key, attested, signature);
            assert!(machine.command(0x177, &verify).is_ok());
        }
    }
}
