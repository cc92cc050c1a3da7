// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicySigned (Part 3, 23.3): a key outside approves.

use super::timed::{Approval, Places};
use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::protect::signature::verify;
use crate::session::SessionKind;
use crate::structure::command_code::CommandCode;
use crate::structure::digest::Nonce;
use crate::structure::response_code::ResponseCode;
use crate::structure::signature::Signature;
use crate::wire::{Parameters, Result, Writer};

const PLACES: Places = Places { nonce: 1, cp_hash: 2, expiration: 4 };

/// Handles: authObject, policySession. Parameters: nonceTPM, cpHashA, policyRef, expiration, auth.
/// The response: timeout, policyTicket.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (nonce_tpm, cp_hash, policy_ref, expiration_s, signature): (
        Nonce,
        Digest,
        Nonce,
        i32,
        Signature,
    ) = parameters.read()?;
    let approval = Approval { nonce_tpm, cp_hash, policy_ref, expiration_s, is_counted: false };
    let (key, handle) = (context.handle(1), context.handle(2));
    let object = context.state.object(key)?;
    let session = context.state.sessions.get(handle).ok_or(ResponseCode::HANDLE)?;
    if session.kind != SessionKind::Trial {
        let timeout_ms = approval.timeout_ms(session, context.state.clock.time_ms());
        approval.check(context.state, session, timeout_ms, PLACES)?;
        let digest = signature.hash().digest(&[
            &approval.nonce_tpm,
            &approval.expiration_s.to_be_bytes(),
            &approval.cp_hash,
            &approval.policy_ref,
        ]);
        verify(context, object, &digest, &signature).map_err(|code| code.in_parameter(5))?;
    }
    let name = object.name.clone();
    let hierarchy = object.hierarchy;
    let code = CommandCode::POLICY_SIGNED;
    approval.grant(context, handle, code, (&name, hierarchy), response)
}

#[cfg(test)]
mod tests {
    use crate::command::policy::test_session::{hmac_key, policy_digest};
    use crate::crypto::hash::HashAlgorithm;
    use crate::crypto::hmac::Hmac;
    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, parameters};

    #[test]
    fn the_signature_must_be_right() {
        let mut machine = Machine::started();
        let key = hmac_key(&mut machine);
        let session = machine.start_session(SessionKind::Policy);
        let body = |mac: &[u8]| {
            parameters(|writer| {
                writer.value(&key)?;
                writer.value(&session)?;
                writer.sized_bytes(&[])?;
                writer.sized_bytes(&[])?;
                writer.sized_bytes(b"ref")?;
                writer.value(&0_i32)?;
                writer.value(&0x05_u16)?;
                writer.value(&0x0b_u16)?;
                writer.bytes(mac)
            })
        };
        let refused = machine.command(0x160, &body(&[0; 32]));
        assert_eq!(refused, Err(ResponseCode::SIGNATURE.in_parameter(5)));
        let digest = HashAlgorithm::Sha256.digest(&[&[0; 4], b"ref"]);
        let mac = Hmac::mac(HashAlgorithm::Sha256, b"key", &[&digest]);
        let response = machine.command(0x160, &body(&mac)).unwrap();
        assert_eq!(response, [0, 0, 0x80, 0x25, 0x40, 0, 0, 7, 0, 0]);
        let name = machine.tpm.state().name(key).unwrap();
        let first = HashAlgorithm::Sha256.digest(&[&[0; 32], &0x160_u32.to_be_bytes(), &name]);
        let second = HashAlgorithm::Sha256.digest(&[&first, b"ref"]);
        assert_eq!(policy_digest(&mut machine, session), second.as_bytes());
    }
}
