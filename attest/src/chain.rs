// SPDX-License-Identifier: MIT OR Apache-2.0
//! The chain of certificates from AMD's root (ARK) over the product's key (ASK) to the chip's key
//! for its current firmware (VCEK). AMD 57230 (VCEK certificate and KDS interface), chapters 2
//! and 3; X.509: RFC 5280.
//!
//! AMD signs with RSA-4096, PSS and SHA-384; the chain of the emulated machine is ECDSA on P-384
//! throughout. Each is accepted wherever the issuer's key is of its kind.

use p384::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier};
use rsa::{BoxedUint, RsaPublicKey, pkcs1::RsaPublicKeyRef, pss};
use sha2::{Digest as _, Sha384};
use snp_abi::{
    certificates::{ARK_GUID, ASK_GUID, TableError, VCEK_GUID, extension, find},
    guid::Guid,
    launch::Digest,
};
use x509_cert::{
    Certificate,
    der::{Decode, Encode, Reader as _, SliceReader, oid::ObjectIdentifier},
    ext::pkix::{BasicConstraints, KeyUsage},
    spki::SubjectPublicKeyInfoOwned,
};

use crate::{
    tcb::Tcb,
    verdict::{Reason, Refused},
};

/// Bytes of the longest certificate that is read.
const CERTIFICATE_BYTES_MAX: usize = 8192;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");

/// AMD's roots: product, and SHA-384 of the root key's SubjectPublicKeyInfo in DER.
const AMD_ROOTS: [(&str, &str); 3] = [
    (
        "AMD ARK-Milan",
        "1249f67f15cf229a4069195e1a9ce537d1765ef706a1f4a1\
         23c36be9518786515d25ecc007f366b564d2b3f31c48082e",
    ),
    (
        "AMD ARK-Genoa",
        "32ab53a6ce5ec14926207396e5c475ae768a6a9831b7e860\
         b5acf2e1c1dff222bc5a8bfc43eb5e06393189c1f246d880",
    ),
    (
        "AMD ARK-Turin",
        "3475f08a9727f8ac9a1deaea5f2a2097aa59d64d05c2a678\
         c229c873e6359d3a6926287a2a22cd5f88a385e333a2fcc5",
    ),
];

/// The root of the emulated machine, likewise. Everybody can compute its key.
const TEST_ROOT: (&str, &str) = (
    "the test root",
    "334c9c702ef1423155ddad6206a9f3114ebf171c74a613e6\
     9fac82a1455efd5abc46400f83379fba76dbfbb51fe0b028",
);

/// The name by which the test root is asked for.
pub const TEST_ROOT_NAME: &str = "emulator-test-root";

/// Which roots are believed, beyond AMD's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// Believe the test root, whose key everybody can compute.
    pub test_root: bool,
}

/// The chain in DER.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// The root.
    pub ark: Vec<u8>,
    /// Between root and chip.
    pub ask: Vec<u8>,
    /// The chip's.
    pub vcek: Vec<u8>,
}

impl Chain {
    /// Takes the chain out of the table that an extended guest request brings.
    ///
    /// # Errors
    /// [`Reason::CertificatesMalformed`], [`Reason::CertificateMissing`].
    pub fn from_table(table: &[u8]) -> Result<Self, Refused> {
        Ok(Self {
            ark: entry(table, ARK_GUID, "ARK")?,
            ask: entry(table, ASK_GUID, "ASK")?,
            vcek: entry(table, VCEK_GUID, "VCEK")?,
        })
    }

    /// Takes the chain from files as AMD's key distribution service gives them: the VCEK in DER,
    /// and ASK and ARK, in this order, in PEM.
    ///
    /// # Errors
    /// [`Reason::CertificateMalformed`], [`Reason::CertificateMissing`].
    pub fn from_files(vcek: &[u8], chain: &[u8]) -> Result<Self, Refused> {
        let malformed = |error: x509_cert::der::Error| {
            Refused::new(Reason::CertificateMalformed, format!("chain: {error}"))
        };
        let parsed = Certificate::load_pem_chain(chain).map_err(malformed)?;
        let [ask, ark] = parsed.as_slice() else {
            let detail = format!("{} certificates where ASK and ARK should be", parsed.len());
            return Err(Refused::new(Reason::CertificateMissing, detail));
        };
        Ok(Self {
            ark: ark.to_der().map_err(malformed)?,
            ask: ask.to_der().map_err(malformed)?,
            vcek: vcek.to_vec(),
        })
    }
}

fn entry(table: &[u8], kind: Guid, name: &str) -> Result<Vec<u8>, Refused> {
    if table.is_empty() {
        return Err(Refused::new(Reason::CertificateMissing, "the host gave no certificates"));
    }
    match find(table, kind) {
        Ok(Some(certificate)) => Ok(certificate.to_vec()),
        Ok(None) => {
            Err(Refused::new(Reason::CertificateMissing, format!("no {name} in the table")))
        }
        Err(TableError::NoEnd) => {
            Err(Refused::new(Reason::CertificatesMalformed, "the table has no end"))
        }
        Err(TableError::Place(_)) => Err(Refused::new(
            Reason::CertificatesMalformed,
            format!("the {name} lies outside the table's data"),
        )),
    }
}

/// What the chip's certificate says of the chip.
#[derive(Clone, Debug)]
pub struct Chip {
    /// The key that signs its reports.
    pub key: VerifyingKey,
    /// The versions that the key is for.
    pub tcb: Tcb,
    /// The chip's identity: 64 bytes, or 8 from family 1Ah.
    pub hardware_id: Vec<u8>,
}

/// The parsed chain.
pub struct ParsedChain {
    ark: Parsed,
    ask: Parsed,
    vcek: Parsed,
}

/// One certificate.
struct Parsed {
    role: &'static str,
    certificate: Certificate,
    /// The part under the signature.
    signed: Vec<u8>,
    key: PublicKey,
}

enum PublicKey {
    Rsa(RsaPublicKey),
    P384(VerifyingKey),
}

impl ParsedChain {
    /// Reads the three certificates.
    ///
    /// # Errors
    /// [`Reason::CertificateMalformed`].
    pub fn parse(chain: &Chain) -> Result<Self, Refused> {
        Ok(Self {
            ark: Parsed::new("ARK", &chain.ark)?,
            ask: Parsed::new("ASK", &chain.ask)?,
            vcek: Parsed::new("VCEK", &chain.vcek)?,
        })
    }

    /// Whether the root is one that is believed, and signed by itself; its name.
    ///
    /// # Errors
    /// [`Reason::RootUntrusted`], [`Reason::RootIsForTests`], [`Reason::RootSignature`].
    pub fn check_root(&self, roots: &Roots) -> Result<String, Refused> {
        let digest = hex::encode(self.ark.key_digest()?);
        let name = match AMD_ROOTS.iter().find(|(_, known)| *known == digest) {
            Some((name, _)) => name,
            None if digest != TEST_ROOT.1 => {
                let detail = format!("a root with key digest {digest}");
                return Err(Refused::new(Reason::RootUntrusted, detail));
            }
            None if !roots.test_root => {
                let detail = "anybody can sign under the root of the emulated machine";
                return Err(Refused::new(Reason::RootIsForTests, detail));
            }
            None => TEST_ROOT.0,
        };
        self.ark.check_signature(&self.ark, Reason::RootSignature)?;
        Ok(format!("{name}, key SHA-384 {digest}"))
    }

    /// Whether each certificate is signed by the one above, names it, may be signed by it, and is
    /// valid at this time (in seconds since 1970).
    ///
    /// # Errors
    /// [`Reason::AskSignature`], [`Reason::VcekSignature`], [`Reason::ChainName`],
    /// [`Reason::ChainAuthority`], [`Reason::ChainValidity`].
    pub fn check_links(&self, time_s: u64) -> Result<String, Refused> {
        self.ask.check_signature(&self.ark, Reason::AskSignature)?;
        self.vcek.check_signature(&self.ask, Reason::VcekSignature)?;
        for (subject, issuer) in
            [(&self.ark, &self.ark), (&self.ask, &self.ark), (&self.vcek, &self.ask)]
        {
            subject.check_issuer(issuer)?;
            subject.check_validity(time_s)?;
        }
        self.ark.check_authority()?;
        self.ask.check_authority()?;
        let [ark, ask, vcek] = [&self.ark, &self.ask, &self.vcek].map(Parsed::common_name);
        Ok(format!("{ark} > {ask} > {vcek}"))
    }

    /// What the chip's certificate says.
    ///
    /// # Errors
    /// [`Reason::VcekExtension`], [`Reason::CertificateMalformed`].
    pub fn chip(&self) -> Result<Chip, Refused> {
        let PublicKey::P384(key) = self.vcek.key else {
            let detail = "the VCEK isn't on P-384";
            return Err(Refused::new(Reason::CertificateMalformed, detail));
        };
        let required =
            |oid: &[u8]| self.vcek.integer_extension(oid)?.ok_or_else(|| missing_extension(oid));
        let tcb = Tcb {
            fmc: self.vcek.integer_extension(&extension::FMC_TCB)?,
            boot_loader: required(&extension::BOOT_LOADER_TCB)?,
            tee: required(&extension::TEE_TCB)?,
            snp: required(&extension::SNP_TCB)?,
            microcode: required(&extension::MICROCODE_TCB)?,
        };
        let hardware_id = self
            .vcek
            .extension(&extension::HARDWARE_ID)
            .filter(|id| matches!(id.len(), 8 | 64))
            .ok_or_else(|| missing_extension(&extension::HARDWARE_ID))?
            .to_vec();
        Ok(Chip { key, tcb, hardware_id })
    }
}

fn missing_extension(oid: &[u8]) -> Refused {
    let name =
        ObjectIdentifier::from_bytes(oid).map_or_else(|_| "?".to_owned(), |oid| oid.to_string());
    Refused::new(Reason::VcekExtension, format!("extension {name} is missing or malformed"))
}

impl Parsed {
    fn new(role: &'static str, der: &[u8]) -> Result<Self, Refused> {
        let malformed =
            |what: &str| Refused::new(Reason::CertificateMalformed, format!("{role}: {what}"));
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(malformed("too long"));
        }
        let certificate =
            Certificate::from_der(der).map_err(|error| malformed(&error.to_string()))?;
        let signed = signed_part(der).ok_or_else(|| malformed("no signed part"))?.to_vec();
        let key = public_key(certificate.tbs_certificate().subject_public_key_info())
            .ok_or_else(|| malformed("neither a 4096-bit RSA key nor one on P-384"))?;
        Ok(Self { role, certificate, signed, key })
    }

    fn key_digest(&self) -> Result<Digest, Refused> {
        let key = self.certificate.tbs_certificate().subject_public_key_info().to_der();
        let key = key.map_err(|error| {
            Refused::new(Reason::CertificateMalformed, format!("{}: {error}", self.role))
        })?;
        Ok(Sha384::digest(key).into())
    }

    fn check_signature(&self, issuer: &Self, reason: Reason) -> Result<(), Refused> {
        let outer = self.certificate.signature_algorithm();
        let inner = self.certificate.tbs_certificate().signature();
        let digest = Sha384::digest(&self.signed);
        let is_signed = outer == inner
            && self
                .certificate
                .signature()
                .as_bytes()
                .is_some_and(|signature| issuer.key.has_signed(outer.oid, &digest, signature));
        if is_signed {
            return Ok(());
        }
        let detail = format!("the key of the {} didn't sign the {}", issuer.role, self.role);
        Err(Refused::new(reason, detail))
    }

    fn check_issuer(&self, issuer: &Self) -> Result<(), Refused> {
        let named = self.certificate.tbs_certificate().issuer();
        if named == issuer.certificate.tbs_certificate().subject() {
            return Ok(());
        }
        let detail = format!("the {} names {named} as its issuer", self.role);
        Err(Refused::new(Reason::ChainName, detail))
    }

    fn check_validity(&self, time_s: u64) -> Result<(), Refused> {
        let validity = self.certificate.tbs_certificate().validity();
        let (from, to) = (validity.not_before, validity.not_after);
        if (from.to_unix_duration().as_secs()..=to.to_unix_duration().as_secs()).contains(&time_s) {
            return Ok(());
        }
        let detail = format!("the {} is valid from {from} to {to}", self.role);
        Err(Refused::new(Reason::ChainValidity, detail))
    }

    fn check_authority(&self) -> Result<(), Refused> {
        let body = self.certificate.tbs_certificate();
        let constraints = body.get_extension::<BasicConstraints>().ok().flatten();
        let usage = body.get_extension::<KeyUsage>().ok().flatten();
        let is_authority = constraints.is_some_and(|(_, constraints)| constraints.ca);
        let may_sign = usage.is_some_and(|(_, usage)| usage.key_cert_sign());
        if is_authority && may_sign {
            return Ok(());
        }
        let detail = format!("the {} isn't the certificate of an authority", self.role);
        Err(Refused::new(Reason::ChainAuthority, detail))
    }

    fn common_name(&self) -> String {
        let name = self.certificate.tbs_certificate().subject().common_name();
        name.ok().flatten().map_or_else(|| self.role.to_owned(), |name| name.value().into_owned())
    }

    /// The value of an extension; `None` also when there are two.
    fn extension(&self, oid: &[u8]) -> Option<&[u8]> {
        let extensions = self.certificate.tbs_certificate().extensions()?;
        let mut found = extensions.iter().filter(|extension| extension.extn_id.as_bytes() == oid);
        let first = found.next()?;
        found.next().is_none().then(|| first.extn_value.as_bytes())
    }

    /// An INTEGER of one byte; `None` when there is no such extension.
    fn integer_extension(&self, oid: &[u8]) -> Result<Option<u8>, Refused> {
        match self.extension(oid) {
            None => Ok(None),
            Some(der) => u8::from_der(der).map(Some).map_err(|_| missing_extension(oid)),
        }
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
