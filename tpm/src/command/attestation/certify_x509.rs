// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_CertifyX509 (Part 3, 18.8): an X.509 certificate for a key of this TPM. The caller gives
//! the fields that the TPM has no opinion on; the answer has the ones that it adds, and the
//! signature of the whole.

use crate::crypto::hash::{Digest, HashAlgorithm, Hasher};
use crate::pipeline::Context;
use crate::protect::signature::{is_signing_key, select_scheme, sign};
use crate::structure::digest::{Data, MaxBuffer};
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::SignatureScheme;
use crate::wire::{Parameters, Result, Writer};
use crate::x509::{
    DerWriter, PartialCertificate, check_extensions, header, public_key, signature_algorithm, tag,
};

/// Octets of the longest SubjectPublicKeyInfo (RSA 4096) and AlgorithmIdentifier (RSASSA-PSS).
const PUBLIC_KEY_SIZE_MAX: usize = 600;
const ALGORITHM_SIZE_MAX: usize = 100;
/// Octets of a serial number (RFC 5280, 4.1.2.2).
const SERIAL_SIZE: usize = 20;
/// The longest answer: a header, version, serial number, algorithm and key.
const ADDED_SIZE_MAX: usize =
    4 + VERSION.len() + (2 + SERIAL_SIZE) + ALGORITHM_SIZE_MAX + PUBLIC_KEY_SIZE_MAX;
const _: () = assert!(ADDED_SIZE_MAX <= MaxBuffer::CAPACITY, "it is a TPM2B_MAX_BUFFER");

/// Version 3 with its explicit tag.
const VERSION: [u8; 5] = [tag::EXPLICIT_0, 3, tag::INTEGER, 1, 2];

/// Handles: objectHandle, signHandle. Parameters: reserved, inScheme, partialCertificate. The
/// response: addedToCertificate, tbsDigest, signature.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (reserved, wanted, partial): (Data, Option<SignatureScheme>, MaxBuffer) =
        parameters.read()?;
    if !reserved.is_empty() {
        return Err(ResponseCode::SIZE.in_parameter(1));
    }
    let (key, scheme) = signer(context, wanted)?;
    let signer = context.state.object(key)?;
    let subject = context.state.object(context.handle(1))?;

    let mut octets = [0; PUBLIC_KEY_SIZE_MAX];
    let mut subject_key = DerWriter::new(&mut octets);
    public_key(&mut subject_key, &subject.public).map_err(|code| code.in_handle(1))?;
    let certificate = PartialCertificate::parse(&partial).map_err(|code| code.in_parameter(3))?;
    let mut octets = [0; ALGORITHM_SIZE_MAX];
    let mut algorithm = DerWriter::new(&mut octets);
    if certificate.signature.is_none() {
        signature_algorithm(&mut algorithm, &signer.public, scheme)
            .map_err(|code| code.in_handle(2))?;
    }
    check_extensions(certificate.extensions, subject.public.attributes).map_err(
        |code| match code {
            ResponseCode::ATTRIBUTES => code.in_handle(1),
            _ => code.in_parameter(3),
        },
    )?;

    let signed = Signed {
        algorithm: certificate.signature.unwrap_or(algorithm.written()),
        subject_key: subject_key.written(),
        certificate,
    };
    let name_algorithm = signer.public.name_algorithm.unwrap_or(scheme.hash());
    let serial = signed.serial(name_algorithm, &[&signer.name, &subject.name]);
    let mut octets = [0; 2 + SERIAL_SIZE];
    let mut serial_number = DerWriter::new(&mut octets);
    serial_number.unsigned(&serial)?;

    let mut octets = [0; ADDED_SIZE_MAX];
    let mut added = DerWriter::new(&mut octets);
    added.nested(tag::SEQUENCE, |fields| {
        fields.raw(&VERSION)?;
        fields.raw(serial_number.written())?;
        fields.raw(algorithm.written())?;
        fields.raw(signed.subject_key)
    })?;
    let digest = signed.digest(scheme.hash(), serial_number.written())?;
    response.sized_bytes(added.written())?;
    response.value(&digest)?;
    response.value(&sign(context, key, scheme, &digest)?)
}

/// The key of the second handle and its scheme: TPM_RC_KEY if it cannot sign, as TPM_RH_NULL
/// cannot, TPM_RC_SCHEME if not so.
fn signer(
    context: &Context<'_>,
    wanted: Option<SignatureScheme>,
) -> Result<(Handle, SignatureScheme)> {
    let handle = context.handle(2);
    if handle == Handle::NULL {
        return Err(ResponseCode::KEY.in_handle(2));
    }
    let public = &context.state.object(handle)?.public;
    if !is_signing_key(public) {
        return Err(ResponseCode::KEY.in_handle(2));
    }
    let scheme = select_scheme(public, wanted).map_err(|code| code.in_parameter(2))?;
    Ok((handle, scheme))
}

/// What is signed but for the version and the serial number.
struct Signed<'a> {
    algorithm: &'a [u8],
    subject_key: &'a [u8],
    certificate: PartialCertificate<'a>,
}

impl<'a> Signed<'a> {
    /// The fields behind the serial number, in the order of a TBSCertificate.
    fn fields(&self) -> [&'a [u8]; 6] {
        let PartialCertificate { issuer, validity, subject, extensions, .. } = self.certificate;
        [self.algorithm, issuer, validity, subject, self.subject_key, extensions]
    }

    /// A number that no other certificate of the signer has: a digest of everything else, which
    /// as a number is positive.
    fn serial(&self, algorithm: HashAlgorithm, names: &[&[u8]]) -> Digest {
        let mut hasher = Hasher::new(algorithm);
        self.fields().iter().chain(names).for_each(|part| hasher.update(part));
        let mut serial = [0; SERIAL_SIZE];
        let digest = hasher.finish();
        serial.iter_mut().zip(digest.iter()).for_each(|(place, octet)| *place = *octet);
        if let Some(first) = serial.first_mut() {
            *first &= 0x7f;
        }
        Digest::from_slice(&serial).unwrap_or_default()
    }

    /// The digest of the TBSCertificate.
    fn digest(&self, hash: HashAlgorithm, serial_number: &[u8]) -> Result<Digest> {
        let fields = self.fields();
        let own = [&VERSION[..], serial_number];
        let parts = || own.iter().chain(&fields);
        let (header, size) = header(tag::SEQUENCE, parts().map(|part| part.len()).sum())?;
        let mut hasher = Hasher::new(hash);
        hasher.update(header.get(..size).unwrap_or_default());
        parts().for_each(|part| hasher.update(part));
        Ok(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::signing::test_key::{DECRYPT, SIGN, aes, ecc, hmac, public_part, rsa};
    use crate::testing::{Machine, NULL, OWNER, parameters};
    use std::vec::Vec;

    const NONE: &[u16] = &[0x10];
    const ECDSA: &[u16] = &[0x18, 0x0b];
    /// keyUsage: decipherOnly.
    const DECIPHERS: &[u8] =
        &[0xa3, 0x10, 0x30, 0x0e, 0x30, 0x0c, 6, 3, 0x55, 0x1d, 0x0f, 4, 5, 3, 3, 7, 0, 0x80];
    /// keyUsage: digitalSignature.
    const EXTENSIONS: &[u8] =
        &[0xa3, 0x0f, 0x30, 0x0d, 0x30, 0x0b, 6, 3, 0x55, 0x1d, 0x0f, 4, 4, 3, 2, 7, 0x80];
    const ISSUER: &[u8] = &[0x30, 1, 1];
    const VALIDITY: &[u8] = &[0x30, 2, 1, 2];
    const SUBJECT: &[u8] = &[0x30, 3, 1, 2, 3];

    fn partial(signature: &[u8], extensions: &[u8]) -> Vec<u8> {
        let fields = [signature, ISSUER, VALIDITY, SUBJECT, extensions].concat();
        [&[0x30, u8::try_from(fields.len()).unwrap()][..], &fields].concat()
    }

    fn body(scheme: &[u16], partial: &[u8]) -> Vec<u8> {
        parameters(|writer| {
            writer.sized_bytes(b"")?;
            scheme.iter().try_for_each(|word| writer.value(word))?;
            writer.sized_bytes(partial)
        })
    }

    #[test]
    fn refuses_other_keys_schemes_and_certificates() {
        let mut machine = Machine::started();
        let key = ecc(&mut machine, SIGN, NONE);
        let decrypting = ecc(&mut machine, DECRYPT, NONE);
        let cipher = aes(&mut machine, SIGN, 0x43);
        let mac = hmac(&mut machine, SIGN);
        let mut certify = |object: u32, signer: u32, body: &[u8]| {
            machine.authorised(0x197, &[object, signer], body).map(|_| ())
        };
        let good = partial(&[], EXTENSIONS);
        let reserved = [&[0, 1, 7, 0, 0x10][..], &good].concat();
        assert_eq!(
            certify(key, key, &reserved[..5]),
            Err(ResponseCode::INSUFFICIENT.in_parameter(3))
        );
        let reserved = [&[0, 1, 7][..], &body(ECDSA, &good)[2..]].concat();
        assert_eq!(certify(key, key, &reserved), Err(ResponseCode::SIZE.in_parameter(1)));
        let refused = certify(key, NULL, &body(ECDSA, &good));
        assert_eq!(refused, Err(ResponseCode::KEY.in_handle(2)));
        let refused = certify(key, decrypting, &body(ECDSA, &good));
        assert_eq!(refused, Err(ResponseCode::KEY.in_handle(2)));
        let refused = certify(key, key, &body(NONE, &good));
        assert_eq!(refused, Err(ResponseCode::SCHEME.in_parameter(2)));
        let refused = certify(cipher, key, &body(ECDSA, &good));
        assert_eq!(refused, Err(ResponseCode::ASYMMETRIC.in_handle(1)));
        let refused = certify(key, mac, &body(NONE, &good));
        assert_eq!(refused, Err(ResponseCode::SCHEME.in_handle(2)));
        for scheme in [&[0x1c, 0x0b], &[0x18, 0x12]] {
            let refused = certify(key, key, &body(scheme, &good));
            assert_eq!(refused, Err(ResponseCode::SCHEME.in_handle(2)), "{scheme:x?}");
        }
        let value = Err(ResponseCode::VALUE.in_parameter(3));
        let refused = certify(decrypting, key, &body(ECDSA, &good));
        assert_eq!(refused, value, "a decryption key doesn't sign");
        assert_eq!(
            certify(key, key, &body(ECDSA, &partial(&[], DECIPHERS))),
            value,
            "a signing key doesn't decipher"
        );
        assert_eq!(certify(key, key, &body(ECDSA, &good[..9])), value);
        let behind = [&good[..], &[0]].concat();
        let refused = certify(key, key, &body(ECDSA, &behind));
        assert_eq!(refused, Err(ResponseCode::SIZE.in_parameter(3)));
        assert_eq!(certify(key, key, &body(ECDSA, &good)), Ok(()));
    }

    #[test]
    fn stated_attributes_must_be_the_keys() {
        let mut machine = Machine::started();
        let key = ecc(&mut machine, SIGN, NONE);
        let attributes = |last: u8| {
            let stated =
                [0x30, 0x12, 6, 7, 0x67, 0x81, 5, 0x0a, 1, 1, 1, 4, 7, 3, 5, 0, 0, 4, 0, last];
            let entries = [&EXTENSIONS[4..], &stated].concat();
            let size = u8::try_from(entries.len()).unwrap();
            [&[0xa3, size + 2, 0x30, size][..], &entries].concat()
        };
        let mut certify = |last: u8| {
            let body = body(ECDSA, &partial(&[], &attributes(last)));
            machine.authorised(0x197, &[key, key], &body).map(|_| ())
        };
        assert_eq!(certify(0x70), Err(ResponseCode::ATTRIBUTES.in_handle(1)));
        assert_eq!(certify(0x72), Ok(()));
    }

    /// addedToCertificate, tbsDigest and signature.
    fn split(response: &[u8]) -> (&[u8], &[u8], &[u8]) {
        let sized = |rest: &[u8]| usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        let (added, rest) = response[2..].split_at(sized(response));
        let (digest, signature) = rest[2..].split_at(sized(rest));
        (added, digest, signature)
    }

    /// The whole certificate without the signature: TPM's fields and the caller's in their order.
    fn assembled(added: &[u8], signature: &[u8]) -> Vec<u8> {
        assert_eq!(added[0], 0x30);
        let start = if added[1] < 0x80 { 2 } else { usize::from(added[1] & 0x7f) + 2 };
        let fields = &added[start..];
        assert_eq!(fields[..5], [0xa0, 3, 2, 1, 2]);
        assert_eq!(fields[5], 2, "a serial number");
        assert!(fields[6] <= 20 && fields[7] < 0x80, "positive and not too long");
        let serial = 7 + usize::from(fields[6]);
        let (own, behind) = fields.split_at(serial);
        let algorithm = if signature.is_empty() { 2 + usize::from(behind[1]) } else { 0 };
        let (algorithm, key) = behind.split_at(algorithm);
        let parts =
            [own, algorithm, signature, ISSUER, VALIDITY, SUBJECT, key, EXTENSIONS].concat();
        let (header, size) = header(tag::SEQUENCE, parts.len()).unwrap();
        [&header[..size], &parts].concat()
    }

    #[test]
    fn what_is_signed_is_the_certificate() {
        let mut machine = Machine::started();
        let subject = ecc(&mut machine, SIGN, NONE);
        let curve = ecc(&mut machine, SIGN, ECDSA);
        let modulus = rsa(&mut machine, SIGN, NONE);
        let own: &[u8] = &[0x30, 2, 6, 0];
        for (signer, scheme, given) in [
            (curve, NONE, &[][..]),
            (curve, ECDSA, own),
            (modulus, &[0x14, 0x0b][..], &[]),
            (modulus, &[0x16, 0x0b], &[]),
        ] {
            let body = body(scheme, &partial(given, EXTENSIONS));
            let response = machine.authorised(0x197, &[subject, signer], &body).unwrap();
            let (added, digest, signature) = split(&response);
            let certificate = assembled(added, given);
            assert_eq!(HashAlgorithm::Sha256.digest(&[&certificate]).as_bytes(), digest);
            let verify = parameters(|writer| {
                writer.value(&signer)?;
                writer.sized_bytes(digest)?;
                writer.bytes(signature)
            });
            assert!(machine.command(0x177, &verify).is_ok(), "{scheme:x?}");
        }
    }

    #[test]
    fn a_public_part_from_outside_has_no_authorisation() {
        let mut machine = Machine::started();
        let key = ecc(&mut machine, SIGN, NONE);
        let public = public_part(&mut machine, key);
        let body = body(ECDSA, &partial(&[], EXTENSIONS));
        let refused = machine.authorised(0x197, &[public, key], &body);
        assert_eq!(refused, Err(ResponseCode::AUTH_UNAVAILABLE));
        let refused = machine.authorised(0x197, &[OWNER, key], &body);
        assert_eq!(refused, Err(ResponseCode::VALUE.in_handle(1)));
    }

    /// RFC 5480 and RFC 8017: the key as other programs read it.
    #[test]
    fn keys_are_in_their_usual_form() {
        let mut machine = Machine::started();
        let key = ecc(&mut machine, SIGN, ECDSA);
        let body = body(NONE, &partial(&[], EXTENSIONS));
        let response = machine.authorised(0x197, &[key, key], &body).unwrap();
        let (added, ..) = split(&response);
        let info = &added[added.len() - 91..];
        let prefix = [
            0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86,
            0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x42, 0, 4,
        ];
        assert_eq!(info[..27], prefix);
        // ecdsa-with-SHA256 without parameters.
        let algorithm = &added[added.len() - 91 - 12..added.len() - 91];
        assert_eq!(algorithm, [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]);
    }
}
