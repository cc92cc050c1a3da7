// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_Quote (Part 3, 18.4).

use crate::pipeline::Context;
use crate::protect::attestation::Signer;
use crate::structure::attest::Attested;
use crate::structure::digest::Data;
use crate::structure::pcr_selection::PcrSelectionList;
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::SignatureScheme;
use crate::wire::{Parameters, Result, Writer};

/// Handles: signHandle. Parameters: qualifyingData, inScheme, PCRselect. The response: quoted,
/// signature.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (qualifying, wanted, selection): (Data, Option<SignatureScheme>, PcrSelectionList) =
        parameters.read()?;
    let signer = Signer::select(context, 1, wanted, 2)?;
    // Without a key there is no hash for the digest of the PCRs either.
    let hash = signer.hash().ok_or(ResponseCode::SCHEME.in_parameter(2))?;
    let pcrs = &context.state.pcrs;
    let selection = pcrs.existing(selection);
    let digest = pcrs.selected_digest(hash, &selection);
    signer.attest(context, qualifying, Attested::Quote(selection, digest), response)
}

#[cfg(test)]
mod tests {
    use crate::command::signing::test_key::{
        DECRYPT, RESTRICTED, SIGN, ecc, ecc_below, verify_body,
    };
    use crate::crypto::ecc::{EccCurve, EccParameter, EccPoint, EccSignature, opened_commitment};
    use crate::crypto::hash::HashAlgorithm;
    use crate::protect::key::ecc_public;
    use crate::structure::handle::Handle;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{ENDORSEMENT, Machine, NULL, parameters};
    use std::vec::Vec;

    const ECDSA: &[u16] = &[0x18, 0x0b];

    /// PCR 4 of the SHA-256 bank.
    fn body(scheme: &[u16]) -> Vec<u8> {
        parameters(|writer| {
            writer.sized_bytes(b"nonce")?;
            scheme.iter().try_for_each(|word| writer.value(word))?;
            writer.bytes(&[0, 0, 0, 1, 0, 0x0b, 3, 0x10, 0, 0])
        })
    }

    #[test]
    fn needs_a_key_and_a_scheme() {
        let mut machine = Machine::started();
        let decrypting = ecc(&mut machine, DECRYPT, &[0x10]);
        let free = ecc(&mut machine, SIGN, &[0x10]);
        let mut quote =
            |key: u32, scheme: &[u16]| machine.authorised(0x158, &[key], &body(scheme)).map(|_| ());
        assert_eq!(quote(decrypting, ECDSA), Err(ResponseCode::KEY.in_handle(1)));
        let scheme = Err(ResponseCode::SCHEME.in_parameter(2));
        assert_eq!(quote(free, &[0x10]), scheme);
        assert_eq!(quote(NULL, ECDSA), scheme);
        assert_eq!(quote(free, ECDSA), Ok(()));
    }

    #[test]
    fn says_what_the_pcrs_are_and_is_signed() {
        let mut machine = Machine::started();
        machine.extend_pcr(4, &[7; 32]);
        let key = ecc_below(&mut machine, ENDORSEMENT, SIGN | RESTRICTED, ECDSA);
        let response = machine.authorised(0x158, &[key], &body(&[0x10])).unwrap();
        let size = usize::from(u16::from_be_bytes(*response.first_chunk().unwrap()));
        let (quoted, signature) = response[2..].split_at(size);
        assert_eq!(quoted[..8], [0xff, 0x54, 0x43, 0x47, 0x80, 0x18, 0, 34]);
        // Name, extraData, clock, resetCount 1, restartCount 0, safe, the version in the clear.
        assert_eq!(quoted[42..49], [&[0, 5][..], b"nonce"].concat());
        assert_eq!(quoted[57..66], [0, 0, 0, 1, 0, 0, 0, 0, 1]);
        assert_eq!(quoted[66..74], 0x0001_0002_0003_0004_u64.to_be_bytes());
        assert_eq!(quoted[74..84], [0, 0, 0, 1, 0, 0x0b, 3, 0x10, 0, 0]);
        let digest = HashAlgorithm::Sha256.digest(&[&machine.read_pcr(4)]);
        assert_eq!(quoted[84..], [&[0, 32][..], &digest].concat());
        assert!(machine.command(0x177, &verify_body(key, quoted, signature)).is_ok());
    }

    #[test]
    fn an_anonymous_signature_comes_without_the_keys_name_and_the_callers_data() {
        let mut machine = Machine::started();
        let key = ecc(&mut machine, SIGN, &[0x1a, 0x0b, 0]);
        let nothing = [&[0, 4, 0, 0, 0, 0][..], &[0; 4]].concat();
        let made = machine.authorised(0x18b, &[key], &nothing).unwrap();
        let count = u16::from_be_bytes(*made.last_chunk().unwrap());
        let response = machine.authorised(0x158, &[key], &body(&[0x1a, 0x0b, count])).unwrap();
        assert_eq!(response[2..10], [0xff, 0x54, 0x43, 0x47, 0x80, 0x18, 0, 0]);
        assert_eq!(response[10..12], [0, 0], "the nonce is under the signature only");

        let curve = EccCurve::NistP256;
        let size = 2 + usize::from(response[1]);
        let (attest, signature) = (&response[2..size], &response[size..]);
        // Algorithm, hash, r and s; of the commitment, two empty points and one that isn't.
        let number = |octets: &[u8]| EccParameter::new(curve, octets).unwrap();
        let signature =
            EccSignature { r: number(&signature[6..38]), s: number(&signature[40..72]) };
        let committed = EccPoint { x: number(&made[16..48]), y: number(&made[50..82]) };
        let public = &machine.tpm.state().object(Handle(key)).unwrap().public;
        let (_, public) = ecc_public(public).unwrap();
        let hash = HashAlgorithm::Sha256;
        let digest = hash.digest(&[b"nonce", &hash.digest(&[attest])]);
        let opened = opened_commitment(curve, &public, &signature, hash, &digest);
        assert_eq!(opened, Ok(committed));
    }

    #[test]
    fn keys_of_the_owner_do_not_tell_the_version() {
        let mut machine = Machine::started();
        let first = ecc(&mut machine, SIGN | RESTRICTED, ECDSA);
        let second = ecc(&mut machine, SIGN, ECDSA);
        let mut version = |key| {
            let response = machine.authorised(0x158, &[key], &body(&[0x10])).unwrap();
            response[2 + 57..2 + 74].to_vec()
        };
        let told = version(first);
        assert_eq!(told, version(first), "always the same for a key");
        assert_ne!(told, version(second));
        assert_ne!(told[9..], 0x0001_0002_0003_0004_u64.to_be_bytes());
    }
}
