// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_Sign (Part 3, 20.2).

use crate::command::hash_hmac::hash::is_hash_check;
use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::protect::signature::{is_signing_key, select_scheme, sign};
use crate::structure::attributes::ObjectAttributes as Bits;
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::SignatureScheme;
use crate::structure::tag::StructureTag;
use crate::structure::ticket::Ticket;
use crate::wire::{Parameters, Result, Writer};

/// Handles: keyHandle. Parameters: digest, inScheme, validation: a restricted key needs it, and
/// where it is given it must be right. The response: signature.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (digest, wanted, ticket): (Digest, Option<SignatureScheme>, Ticket) = parameters.read()?;
    let ticket = ticket.expect(&[StructureTag::HashCheck]).map_err(|code| code.in_parameter(3))?;
    let key = context.handle(1);
    let public = &context.state.object(key)?.public;
    if !is_signing_key(public) {
        return Err(ResponseCode::KEY.in_handle(1));
    }
    if public.has(Bits::X509_SIGN) {
        return Err(ResponseCode::ATTRIBUTES.in_handle(1));
    }
    let scheme = select_scheme(public, wanted).map_err(|code| code.in_parameter(2))?;
    let needs_ticket = public.has(Bits::RESTRICTED) || !ticket.digest.is_empty();
    if needs_ticket && !is_hash_check(context.state, &ticket, scheme.hash(), &digest) {
        return Err(ResponseCode::TICKET.in_parameter(3));
    }
    if digest.len() != scheme.hash().digest_size() {
        return Err(ResponseCode::SIZE.in_parameter(1));
    }
    response.value(&sign(context, key, scheme, &digest)?)
}

#[cfg(test)]
mod tests {
    use crate::command::signing::test_key::{
        DECRYPT, RESTRICTED, SIGN, aes, ecc, hmac, rsa, sign_body, verify_body,
    };
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, parameters};

    const NONE: &[u16] = &[0x10];
    const ECDSA: &[u16] = &[0x18, 0x0b];
    const HMAC: &[u16] = &[5, 0x0b];

    #[test]
    fn only_signing_keys_sign_and_only_in_their_scheme() {
        let mut machine = Machine::started();
        let decrypting = ecc(&mut machine, DECRYPT, NONE);
        let cipher = aes(&mut machine, SIGN, 0x43);
        let free = ecc(&mut machine, SIGN, NONE);
        let own = ecc(&mut machine, SIGN, ECDSA);
        let mut sign = |key: u32, scheme: &[u16]| {
            machine.authorised(0x15d, &[key], &sign_body(b"m", scheme)).map(|_| ())
        };
        assert_eq!(sign(decrypting, ECDSA), Err(ResponseCode::KEY.in_handle(1)));
        assert_eq!(sign(cipher, ECDSA), Err(ResponseCode::KEY.in_handle(1)));
        let scheme = Err(ResponseCode::SCHEME.in_parameter(2));
        assert_eq!(sign(free, NONE), scheme);
        assert_eq!(sign(free, &[0x14, 0x0b]), scheme, "RSASSA");
        assert_eq!(sign(own, &[0x18, 0x0c]), scheme, "another hash");
        assert_eq!(sign(own, &[0x1c, 0x0b]), scheme, "another scheme");
        assert_eq!(sign(free, &[0x18, 0x0c]), Err(ResponseCode::SIZE.in_parameter(1)));
        assert_eq!(sign(own, NONE), Ok(()));
        assert_eq!(sign(free, ECDSA), Ok(()));
    }

    /// CVE-2025-2884 and CVE-2025-49133: an HMAC key signing with an asymmetric scheme.
    #[test]
    fn cve_2025_2884_and_49133_an_hmac_key_signs_with_its_hash_only() {
        let mut machine = Machine::started();
        let key = hmac(&mut machine, SIGN);
        let mut sign = |scheme: &[u16]| {
            machine.authorised(0x15d, &[key], &sign_body(b"m", scheme)).map(|_| ())
        };
        for scheme in [ECDSA, &[0x14, 0x0b], &[0x16, 0x0b], &[0x1a, 0x0b, 0], &[5, 0x0c]] {
            assert_eq!(sign(scheme), Err(ResponseCode::SCHEME.in_parameter(2)));
        }
        assert_eq!(sign(HMAC), Ok(()));
        assert_eq!(sign(NONE), Ok(()));
    }

    #[test]
    fn every_scheme_is_verified() {
        let mut machine = Machine::started();
        let ecc_key = ecc(&mut machine, SIGN, NONE);
        let rsa_key = rsa(&mut machine, SIGN, NONE);
        let hmac_key = hmac(&mut machine, SIGN);
        for (key, scheme) in [
            (ecc_key, ECDSA),
            (ecc_key, &[0x1b, 0x0b]),
            (ecc_key, &[0x1c, 0x0b]),
            (rsa_key, &[0x14, 0x0b]),
            (rsa_key, &[0x16, 0x0b]),
            (hmac_key, HMAC),
        ] {
            let body = sign_body(b"message", scheme);
            let signature = machine.authorised(0x15d, &[key], &body).unwrap();
            assert_eq!(signature[..2], scheme[0].to_be_bytes());
            let wrong = machine.command(0x177, &verify_body(key, b"massage", &signature));
            assert_eq!(wrong, Err(ResponseCode::SIGNATURE.in_parameter(2)), "{scheme:x?}");
            let right = machine.command(0x177, &verify_body(key, b"message", &signature)).unwrap();
            assert_eq!(right[..6], [0x80, 0x22, 0x40, 0, 0, 1]);
        }
    }

    #[test]
    fn a_restricted_key_signs_what_the_tpm_has_hashed() {
        let mut machine = Machine::started();
        let key = ecc(&mut machine, SIGN | RESTRICTED, ECDSA);
        let unknown = machine.authorised(0x15d, &[key], &sign_body(b"abc", NONE));
        assert_eq!(unknown, Err(ResponseCode::TICKET.in_parameter(3)));
        let hash = |message: &[u8], algorithm: u16| {
            parameters(|writer| {
                writer.sized_bytes(message)?;
                writer.value(&algorithm)?;
                writer.value(&OWNER)
            })
        };
        let sign = |hashed: &[u8]| {
            let (digest, ticket) = hashed.split_at(34);
            [digest, &[0, 0x10], ticket].concat()
        };
        let own = machine.command(0x17d, &hash(b"\xffTCG", 0x0b)).unwrap();
        let refused = machine.authorised(0x15d, &[key], &sign(&own));
        assert_eq!(refused, Err(ResponseCode::TICKET.in_parameter(3)));
        // As long as a digest of SHA-256, but of another algorithm.
        let other = machine.command(0x17d, &hash(b"abc", 0x27)).unwrap();
        let refused = machine.authorised(0x15d, &[key], &sign(&other));
        assert_eq!(refused, Err(ResponseCode::TICKET.in_parameter(3)));
        let hashed = machine.command(0x17d, &hash(b"abc", 0x0b)).unwrap();
        let mut wrong_tag = sign(&hashed);
        wrong_tag[37] = 0x22;
        let refused = machine.authorised(0x15d, &[key], &wrong_tag);
        assert_eq!(refused, Err(ResponseCode::TAG.in_parameter(3)));
        assert!(machine.authorised(0x15d, &[key], &sign(&hashed)).is_ok());
    }
}
