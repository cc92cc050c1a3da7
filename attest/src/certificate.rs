// SPDX-License-Identifier: MIT OR Apache-2.0
//! One X.509 certificate (RFC 5280), and whether another one's key vouches for it.
//!
//! Issuers have RSA-4096, with PSS and SHA-384, or P-384, with ECDSA and SHA-384; what they certify
//! may be any key.

use p384::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier};
use rsa::{BoxedUint, RsaPublicKey, pkcs1::RsaPublicKeyRef, pss};
use sha2::{Digest as _, Sha384};
use x509_cert::{
    Certificate,
    der::{Decode, Encode, Reader as _, SliceReader, oid::ObjectIdentifier, pem},
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage},
    spki::SubjectPublicKeyInfoOwned,
};

use crate::verdict::{Reason, Refused};

/// Bytes of the longest certificate that is read.
const CERTIFICATE_BYTES_MAX: usize = 8192;

const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
pub(crate) const RSA_ENCRYPTION: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(crate) const EC_PUBLIC_KEY: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// A certificate.
pub(crate) struct X509 {
    role: &'static str,
    certificate: Certificate,
    /// The part under the signature.
    signed: Vec<u8>,
    /// Its key, when it is of a kind that issuers and chips have.
    pub(crate) key: Option<PublicKey>,
}

/// A key that certifies.
pub(crate) enum PublicKey {
    Rsa(RsaPublicKey),
    P384(VerifyingKey),
}

impl X509 {
    /// Reads DER; `role` names the certificate to people.
    pub(crate) fn parse(role: &'static str, der: &[u8], reason: Reason) -> Result<Self, Refused> {
        let malformed = |what: &str| Refused::new(reason, format!("{role}: {what}"));
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(malformed("too long"));
        }
        let certificate =
            Certificate::from_der(der).map_err(|error| malformed(&error.to_string()))?;
        let signed = signed_part(der).ok_or_else(|| malformed("no signed part"))?.to_vec();
        let key = public_key(certificate.tbs_certificate().subject_public_key_info());
        Ok(Self { role, certificate, signed, key })
    }

    /// The SubjectPublicKeyInfo in DER.
    pub(crate) fn key_info(&self) -> Result<Vec<u8>, Refused> {
        let key = self.certificate.tbs_certificate().subject_public_key_info().to_der();
        key.map_err(|error| {
            Refused::new(Reason::CertificateMalformed, format!("{}: {error}", self.role))
        })
    }

    pub(crate) fn check_signature(&self, issuer: &Self, reason: Reason) -> Result<(), Refused> {
        let outer = self.certificate.signature_algorithm();
        let inner = self.certificate.tbs_certificate().signature();
        let digest = Sha384::digest(&self.signed);
        let signature = self.certificate.signature().as_bytes();
        let is_signed = outer == inner
            && issuer
                .key
                .as_ref()
                .zip(signature)
                .is_some_and(|(key, signature)| key.has_signed(outer.oid, &digest, signature));
        if is_signed {
            return Ok(());
        }
        let detail = format!("the key of the {} didn't sign the {}", issuer.role, self.role);
        Err(Refused::new(reason, detail))
    }

    pub(crate) fn check_issuer(&self, issuer: &Self, reason: Reason) -> Result<(), Refused> {
        let named = self.certificate.tbs_certificate().issuer();
        if named == issuer.certificate.tbs_certificate().subject() {
            return Ok(());
        }
        let detail = format!("the {} names {named} as its issuer", self.role);
        Err(Refused::new(reason, detail))
    }

    pub(crate) fn check_validity(&self, time_s: u64, reason: Reason) -> Result<(), Refused> {
        let validity = self.certificate.tbs_certificate().validity();
        let (from, to) = (validity.not_before, validity.not_after);
        if (from.to_unix_duration().as_secs()..=to.to_unix_duration().as_secs()).contains(&time_s) {
            return Ok(());
        }
        let detail = format!("the {} is valid from {from} to {to}", self.role);
        Err(Refused::new(reason, detail))
    }

    pub(crate) fn check_authority(&self, reason: Reason) -> Result<(), Refused> {
        let body = self.certificate.tbs_certificate();
        let constraints = body.get_extension::<BasicConstraints>().ok().flatten();
        let usage = body.get_extension::<KeyUsage>().ok().flatten();
        let is_authority = constraints.is_some_and(|(_, constraints)| constraints.ca);
        let may_sign = usage.is_some_and(|(_, usage)| usage.key_cert_sign());
        if is_authority && may_sign {
            return Ok(());
        }
        let detail = format!("the {} isn't the certificate of an authority", self.role);
        Err(Refused::new(reason, detail))
    }

    /// Whether the certificate may serve the purpose: one that names none may serve all (RFC 5280,
    /// 4.2.1.12).
    pub(crate) fn check_purpose(
        &self,
        purpose: ObjectIdentifier,
        reason: Reason,
    ) -> Result<(), Refused> {
        let body = self.certificate.tbs_certificate();
        let is_for = match body.get_extension::<ExtendedKeyUsage>() {
            Ok(None) => true,
            Ok(Some((_, ExtendedKeyUsage(purposes)))) => purposes.contains(&purpose),
            Err(_) => false,
        };
        if is_for {
            return Ok(());
        }
        Err(Refused::new(reason, format!("the {} is for another purpose", self.role)))
    }

    pub(crate) fn common_name(&self) -> String {
        let name = self.certificate.tbs_certificate().subject().common_name();
        name.ok().flatten().map_or_else(|| self.role.to_owned(), |name| name.value().into_owned())
    }

    /// The value of an extension; `None` also when there are two.
    pub(crate) fn extension(&self, oid: &[u8]) -> Option<&[u8]> {
        let extensions = self.certificate.tbs_certificate().extensions()?;
        let mut found = extensions.iter().filter(|extension| extension.extn_id.as_bytes() == oid);
        let first = found.next()?;
        found.next().is_none().then(|| first.extn_value.as_bytes())
    }
}

/// The DER of a certificate in a file, which may be PEM.
pub(crate) fn to_der(file: &[u8]) -> Result<Vec<u8>, String> {
    match pem::decode_vec(file) {
        Ok(("CERTIFICATE", der)) => Ok(der),
        Ok((label, _)) => Err(format!("{label}, not a certificate")),
        Err(_) => Ok(file.to_vec()),
    }
}

/// The first of a certificate's three parts, tag and length included.
pub(crate) fn signed_part(der: &[u8]) -> Option<&[u8]> {
    let mut outer = SliceReader::new(der).ok()?;
    x509_cert::der::Header::decode(&mut outer).ok()?;
    outer.tlv_bytes().ok()
}

fn public_key(info: &SubjectPublicKeyInfoOwned) -> Option<PublicKey> {
    let bytes = info.subject_public_key.as_bytes()?;
    match info.algorithm.oid {
        RSA_ENCRYPTION => {
            let parts = RsaPublicKeyRef::from_der(bytes).ok()?;
            let modulus = parts.modulus.as_bytes();
            if modulus.len() != 512 || parts.public_exponent.as_bytes() != [1, 0, 1] {
                return None;
            }
            let modulus = BoxedUint::from_be_slice(modulus, 4096).ok()?;
            RsaPublicKey::new(modulus, BoxedUint::from(65537_u32)).ok().map(PublicKey::Rsa)
        }
        EC_PUBLIC_KEY => {
            // The curve is the only one on which a point of this length lies.
            VerifyingKey::from_sec1_bytes(bytes).ok().map(PublicKey::P384)
        }
        _ => None,
    }
}

impl PublicKey {
    fn has_signed(&self, algorithm: ObjectIdentifier, digest: &[u8], signature: &[u8]) -> bool {
        match self {
            // The structure's parameters could name another hash or salt: then this fails.
            Self::Rsa(key) => {
                algorithm == RSASSA_PSS
                    && pss::Signature::try_from(signature).is_ok_and(|signature| {
                        let key = pss::VerifyingKey::<Sha384>::new(key.clone());
                        key.verify_prehash(digest, &signature).is_ok()
                    })
            }
            Self::P384(key) => {
                algorithm == ECDSA_WITH_SHA384
                    && Signature::from_der(signature)
                        .is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok())
            }
        }
    }
}
