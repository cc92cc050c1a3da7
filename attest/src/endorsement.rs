// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endorsement certificates: an issuer that once believed a vTPM's evidence says that an
//! endorsement key is that vTPM's. Whoever believes the issuer knows the vTPM again, whatever
//! machine its state has moved to since.
//!
//! The certificate is X.509; where it lies in the TPM says the TCG EK Credential Profile, 2.2.1.4.

use rsa::pkcs1::{RsaPublicKeyRef, UintRef};
use x509_cert::{
    der::{Any, Encode, EncodePem, asn1::BitString, oid::ObjectIdentifier, pem},
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
};

use crate::{
    certificate::{EC_PUBLIC_KEY, RSA_ENCRYPTION, X509, to_der},
    public_area::{Curve, Key, PublicArea},
    verdict::{Reason, Refused},
};

const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// tcg-kp-EKCertificate: what such a certificate is for.
const EK_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.8.1");

/// The certificate of an issuer that is believed.
pub struct Issuer(X509);

impl Issuer {
    /// Reads a certificate in PEM or DER. It needn't be signed by anybody: it is believed.
    ///
    /// # Errors
    /// [`Reason::EkCertificateMalformed`], also for a key of another kind than issuers have: P-384
    /// or RSA-4096.
    pub fn parse(file: &[u8]) -> Result<Self, Refused> {
        let malformed = |what: &str| Refused::new(Reason::EkCertificateMalformed, what);
        let der = to_der(file).map_err(|what| malformed(&format!("issuer: {what}")))?;
        let certificate = X509::parse("issuer", &der, Reason::EkCertificateMalformed)?;
        if certificate.key.is_none() {
            return Err(malformed("issuer: neither a 4096-bit RSA key nor one on P-384"));
        }
        Ok(Self(certificate))
    }

    /// Whether the issuer certified, for this time (in seconds since 1970), that an endorsement key
    /// is a vTPM's.
    ///
    /// # Errors
    /// [`Reason::EkCertificateMalformed`], [`Reason::EkCertificateSignature`],
    /// [`Reason::EkCertificatePurpose`], [`Reason::EkCertificateValidity`],
    /// [`Reason::EkCertificateKey`].
    pub fn check(
        &self,
        certificate: &[u8],
        key: &PublicArea,
        time_s: u64,
    ) -> Result<String, Refused> {
        let Self(issuer) = self;
        let certificate =
            X509::parse("EK certificate", certificate, Reason::EkCertificateMalformed)?;
        certificate.check_signature(issuer, Reason::EkCertificateSignature)?;
        certificate.check_issuer(issuer, Reason::EkCertificateSignature)?;
        certificate.check_purpose(EK_CERTIFICATE, Reason::EkCertificatePurpose)?;
        certificate.check_validity(time_s, Reason::EkCertificateValidity)?;
        issuer.check_validity(time_s, Reason::EkCertificateValidity)?;
        if key_info(key).and_then(|key| key.to_der().ok()) != Some(certificate.key_info()?) {
            let detail = "the certificate is another key's";
            return Err(Refused::new(Reason::EkCertificateKey, detail));
        }
        Ok(format!("{} by {}", certificate.common_name(), issuer.common_name()))
    }
}

/// Whether an endorsement key has a certificate by the issuer of the reference, if that names one.
pub(crate) fn check(
    certificate: &[u8],
    issuer: &[u8],
    key: &PublicArea,
    time_s: u64,
) -> Result<String, Refused> {
    if certificate.is_empty() {
        let detail = "the TPM has none for this key";
        return Err(Refused::new(Reason::EkCertificateMissing, detail));
    }
    Issuer::parse(issuer)?.check(certificate, key, time_s)
}

/// The key as an issuer's tool wants it: a SubjectPublicKeyInfo in PEM. `None` for a key that can't
/// be one.
#[must_use]
pub fn to_pem(key: &PublicArea) -> Option<String> {
    key_info(key)?.to_pem(pem::LineEnding::LF).ok()
}

/// RFC 3279, 2.3.1; RFC 5480, 2.
fn key_info(key: &PublicArea) -> Option<SubjectPublicKeyInfoOwned> {
    let (oid, parameters, bits) = match &key.key {
        Key::Rsa { modulus, exponent } => {
            let exponent = exponent.to_be_bytes();
            let key = RsaPublicKeyRef {
                modulus: UintRef::new(modulus).ok()?,
                public_exponent: UintRef::new(&exponent).ok()?,
            };
            (RSA_ENCRYPTION, Any::null(), key.to_der().ok()?)
        }
        Key::Ecc { curve, point } => {
            let curve = match curve {
                Curve::P256 => SECP256R1,
                Curve::P384 => SECP384R1,
            };
            (EC_PUBLIC_KEY, Any::encode_from(&curve).ok()?, point.clone())
        }
    };
    Some(SubjectPublicKeyInfoOwned {
        algorithm: AlgorithmIdentifierOwned { oid, parameters: Some(parameters) },
        subject_public_key: BitString::from_bytes(&bits).ok()?,
    })
}
