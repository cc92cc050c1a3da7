// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_VerifySignature (Part 3, 20.1).

use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::protect::signature::verify;
use crate::structure::attributes::ObjectAttributes as Bits;
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::structure::signature::Signature;
use crate::structure::tag::StructureTag;
use crate::structure::ticket::Ticket;
use crate::wire::{Parameters, Result, Writer};

/// Handles: keyHandle. Parameters: digest, signature. The response: validation, the NULL ticket
/// for a key without Name or in the NULL hierarchy.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (digest, signature): (Digest, Signature) = parameters.read()?;
    let key = context.state.object(context.handle(1))?;
    if !key.has(Bits::SIGN_ENCRYPT) {
        return Err(ResponseCode::ATTRIBUTES.in_handle(1));
    }
    verify(context, key, &digest, &signature).map_err(|code| code.in_parameter(2))?;
    let tag = StructureTag::Verified;
    let ticket = if key.hierarchy == Handle::NULL || key.public.name_algorithm.is_none() {
        Ticket::null(tag)
    } else {
        context.state.ticket(tag, key.hierarchy, &[&digest, &key.name])
    };
    response.value(&ticket)
}

#[cfg(test)]
mod tests {
    use crate::command::signing::test_key::{
        DECRYPT, SIGN, ecc, ecc_below, hmac, public_part, sign_body, verify_body,
    };
    use crate::crypto::hash::HashAlgorithm;
    use crate::crypto::hmac::Hmac;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, NULL, parameters};

    const ECDSA: &[u16] = &[0x18, 0x0b];

    #[test]
    fn the_scheme_is_one_of_the_keys() {
        let mut machine = Machine::started();
        let key = ecc(&mut machine, SIGN, &[0x10]);
        let decrypting = ecc(&mut machine, DECRYPT, &[0x10]);
        let signature = machine.authorised(0x15d, &[key], &sign_body(b"m", ECDSA)).unwrap();
        let mut verify = |key: u32, signature: &[u8]| {
            machine.command(0x177, &verify_body(key, b"m", signature)).map(|_| ())
        };
        let refused = verify(decrypting, &signature);
        assert_eq!(refused, Err(ResponseCode::ATTRIBUTES.in_handle(1)));
        let scheme = Err(ResponseCode::SCHEME.in_parameter(2));
        let rsa = [&[0, 0x14, 0, 0x0b, 0, 4][..], &[1; 4]].concat();
        assert_eq!(verify(key, &rsa), scheme);
        assert_eq!(verify(key, &[&[0, 5, 0, 0x0b][..], &[0; 32]].concat()), scheme);
        assert_eq!(verify(key, &[0, 0x10]), scheme);
        let mut anonymous = signature.clone();
        anonymous[1] = 0x1a;
        assert_eq!(verify(key, &anonymous), scheme);
        let zeros = [0, 0x18, 0, 0x0b, 0, 1, 0, 0, 1, 0];
        assert_eq!(verify(key, &zeros), Err(ResponseCode::SIGNATURE.in_parameter(2)));
        assert_eq!(verify(key, &signature), Ok(()));
    }

    #[test]
    fn the_public_part_verifies_but_not_that_of_an_hmac_key() {
        let mut machine = Machine::started();
        let key = ecc(&mut machine, SIGN, ECDSA);
        let public = public_part(&mut machine, key);
        let signature = machine.authorised(0x15d, &[key], &sign_body(b"m", ECDSA)).unwrap();
        let verified = machine.command(0x177, &verify_body(public, b"m", &signature)).unwrap();
        assert_eq!(verified[..2], [0x80, 0x22]);
        let key = hmac(&mut machine, SIGN);
        let public = public_part(&mut machine, key);
        let mac = machine.authorised(0x15d, &[key], &sign_body(b"m", &[0x10])).unwrap();
        let refused = machine.command(0x177, &verify_body(public, b"m", &mac));
        assert_eq!(refused, Err(ResponseCode::HANDLE.in_parameter(2)));
    }

    /// The MAC is right, but of a weaker hash than the key is for.
    #[test]
    fn an_hmac_key_verifies_with_the_hash_of_its_scheme_only() {
        let mut machine = Machine::started();
        let (seed, secret) = ([7; 32], b"known to the verifier");
        let unique = HashAlgorithm::Sha256.digest(&[&seed, secret]);
        let load = parameters(|writer| {
            writer.sized(|inner| {
                inner.value(&8_u16)?;
                inner.sized_bytes(&[])?;
                inner.sized_bytes(&seed)?;
                inner.sized_bytes(secret)
            })?;
            writer.sized(|inner| {
                [8_u16, 0x0b, 4, 0x0040, 0, 5, 0x0b]
                    .iter()
                    .try_for_each(|word| inner.value(word))?;
                inner.value(&unique)
            })?;
            writer.value(&NULL)
        });
        machine.command(0x167, &load).unwrap();
        let digest = HashAlgorithm::Sha256.digest(&[b"m"]);
        let mut verify = |hash: HashAlgorithm| {
            let mac = Hmac::mac(hash, secret, &[&digest]);
            let signature = [&[0, 5][..], &hash.id().to_be_bytes(), &mac].concat();
            machine.command(0x177, &verify_body(0x8000_0000, b"m", &signature)).map(|_| ())
        };
        let refused = verify(HashAlgorithm::Sha1);
        assert_eq!(refused, Err(ResponseCode::SIGNATURE.in_parameter(2)));
        assert_eq!(verify(HashAlgorithm::Sha256), Ok(()));
    }

    #[test]
    fn there_is_no_ticket_in_the_null_hierarchy() {
        let mut machine = Machine::started();
        let key = ecc_below(&mut machine, NULL, SIGN, ECDSA);
        let signature = machine.authorised(0x15d, &[key], &sign_body(b"m", ECDSA)).unwrap();
        let verified = machine.command(0x177, &verify_body(key, b"m", &signature)).unwrap();
        assert_eq!(verified, [0x80, 0x22, 0x40, 0, 0, 7, 0, 0]);
    }
}
