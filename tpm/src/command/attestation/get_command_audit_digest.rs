// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_GetCommandAuditDigest (Part 3, 18.6).

use crate::command::COMMANDS;
use crate::crypto::hash::{Digest, Hasher};
use crate::pipeline::Context;
use crate::protect::attestation::Signer;
use crate::state::groups::CommandAudit;
use crate::structure::attest::Attested;
use crate::structure::digest::Data;
use crate::structure::scheme::SignatureScheme;
use crate::wire::{Parameters, Result, Writer};

/// Handles: privacyHandle, signHandle. Parameters: qualifyingData, inScheme. The response:
/// auditInfo, signature. Once signed, the digest begins anew.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (qualifying, wanted): (Data, Option<SignatureScheme>) = parameters.read()?;
    let signer = Signer::select(context, 2, wanted, 2)?;
    let state = &*context.state;
    let audit = &state.permanent.audit;
    let digest = state.reset.command_audit_digest;
    let attested =
        Attested::CommandAudit(audit.counter, audit.algorithm, digest, list_digest(audit));
    signer.attest(context, qualifying, attested, response)?;
    if signer.has_key() && !digest.is_empty() {
        context.state.reset.change().command_audit_digest = Digest::EMPTY;
    }
    Ok(())
}

/// The digest of the codes of the commands that are audited, ascending.
fn list_digest(audit: &CommandAudit) -> Digest {
    let mut hasher = Hasher::new(audit.algorithm);
    let audited = COMMANDS.iter().filter(|row| row.is_implemented() && audit.audits(row.code));
    audited.for_each(|row| hasher.update(&row.code.0.to_be_bytes()));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use crate::command::signing::test_key::{SIGN, ecc};
    use crate::crypto::hash::HashAlgorithm;
    use crate::testing::{ENDORSEMENT, Machine, NULL, OWNER};
    use std::vec::Vec;

    fn audit_digest(machine: &mut Machine, key: u32) -> Vec<u8> {
        let body = [0, 0, 0, 0x18, 0, 0x0b];
        let response = machine.authorised(0x133, &[ENDORSEMENT, key], &body).unwrap();
        let size = usize::from(u16::from_be_bytes(*response.first_chunk().unwrap()));
        let attest = &response[2..2 + size];
        assert_eq!(attest[4..6], [0x80, 0x15]);
        let name = usize::from(u16::from_be_bytes([attest[6], attest[7]]));
        attest[8 + name + 2 + 17 + 8..].to_vec()
    }

    #[test]
    fn begins_anew_once_it_is_signed() {
        let mut machine = Machine::started();
        let key = ecc(&mut machine, SIGN, &[0x10]);
        let list = HashAlgorithm::Sha256.digest(&[&[0, 0, 1, 0x40]]);
        let unused = audit_digest(&mut machine, key);
        assert_eq!(unused[..12], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b, 0, 0]);
        assert_eq!(unused[12..], [&[0, 32][..], &list].concat());
        // TPM2_GetRandom is audited from now on; the command itself always is.
        let set = [0, 0x10, 0, 0, 0, 1, 0, 0, 1, 0x7b, 0, 0, 0, 0];
        machine.authorised(0x140, &[OWNER], &set).unwrap();
        let first = machine.tpm.state().reset.command_audit_digest;
        let random = machine.command(0x17b, &[0, 2]).unwrap();
        let cp_hash = HashAlgorithm::Sha256.digest(&[&[0, 0, 1, 0x7b, 0, 2]]);
        let rp_hash = HashAlgorithm::Sha256.digest(&[&[0, 0, 0, 0, 0, 0, 1, 0x7b], &random]);
        let expected = HashAlgorithm::Sha256.digest(&[&first, &cp_hash, &rp_hash]);
        for handle in [NULL, key] {
            let told = audit_digest(&mut machine, handle);
            assert_eq!(told[..12], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0x0b, 0, 32]);
            assert_eq!(told[12..44], *expected.as_bytes());
        }
        assert!(machine.tpm.state().reset.command_audit_digest.is_empty());
    }
}
