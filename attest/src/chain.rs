// SPDX-License-Identifier: MIT OR Apache-2.0
//! The chain of certificates from AMD's root (ARK) over the product's key (ASK) to the chip's key
//! for its current firmware (VCEK). AMD 57230 (VCEK certificate and KDS interface), chapters 2
//! and 3; X.509: RFC 5280.
//!
//! AMD signs with RSA-4096, PSS and SHA-384; the chain of the emulated machine is ECDSA on P-384
//! throughout. Each is accepted wherever the issuer's key is of its kind.

use p384::ecdsa::VerifyingKey;
use sha2::{Digest as _, Sha384};
use snp_abi::{
    certificates::{ARK_GUID, ASK_GUID, TableError, VCEK_GUID, extension, find},
    guid::Guid,
};
use x509_cert::{
    Certificate,
    der::{Decode, Encode, oid::ObjectIdentifier},
};

use crate::{
    certificate::{PublicKey, X509, to_der},
    tcb::Tcb,
    verdict::{Reason, Refused},
};

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

    /// Takes the chain from files as AMD's key distribution service gives them: the VCEK in DER
    /// (PEM does as well), and ASK and ARK, in this order, in PEM.
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
            vcek: certificate("VCEK", vcek)?,
        })
    }
}

fn entry(table: &[u8], kind: Guid, name: &str) -> Result<Vec<u8>, Refused> {
    if table.is_empty() {
        return Err(Refused::new(Reason::CertificateMissing, "the host gave no certificates"));
    }
    match find(table, kind) {
        Ok(Some(found)) => certificate(name, found),
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

/// Hosts hand out what their operators gave them, and that is PEM now and then.
fn certificate(name: &str, bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    to_der(bytes)
        .map_err(|what| Refused::new(Reason::CertificateMalformed, format!("{name}: {what}")))
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
    ark: X509,
    ask: X509,
    vcek: X509,
}

impl ParsedChain {
    /// Reads the three certificates.
    ///
    /// # Errors
    /// [`Reason::CertificateMalformed`].
    pub fn parse(chain: &Chain) -> Result<Self, Refused> {
        Ok(Self {
            ark: with_key("ARK", &chain.ark)?,
            ask: with_key("ASK", &chain.ask)?,
            vcek: with_key("VCEK", &chain.vcek)?,
        })
    }

    /// Whether the root is one that is believed, and signed by itself; its name.
    ///
    /// # Errors
    /// [`Reason::RootUntrusted`], [`Reason::RootIsForTests`], [`Reason::RootSignature`].
    pub fn check_root(&self, roots: &Roots) -> Result<String, Refused> {
        let digest = hex::encode(Sha384::digest(self.ark.key_info()?));
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
            subject.check_issuer(issuer, Reason::ChainName)?;
            subject.check_validity(time_s, Reason::ChainValidity)?;
        }
        self.ark.check_authority(Reason::ChainAuthority)?;
        self.ask.check_authority(Reason::ChainAuthority)?;
        let [ark, ask, vcek] = [&self.ark, &self.ask, &self.vcek].map(X509::common_name);
        Ok(format!("{ark} > {ask} > {vcek}"))
    }

    /// What the chip's certificate says.
    ///
    /// # Errors
    /// [`Reason::VcekExtension`], [`Reason::CertificateMalformed`].
    pub fn chip(&self) -> Result<Chip, Refused> {
        let Some(PublicKey::P384(key)) = self.vcek.key else {
            let detail = "the VCEK isn't on P-384";
            return Err(Refused::new(Reason::CertificateMalformed, detail));
        };
        let required = |oid: &[u8]| integer(&self.vcek, oid)?.ok_or_else(|| missing_extension(oid));
        let tcb = Tcb {
            fmc: integer(&self.vcek, &extension::FMC_TCB)?,
            boot_loader: required(&extension::BOOT_LOADER_TCB)?,
            tee: required(&extension::TEE_TCB)?,
            snp: required(&extension::SNP_TCB)?,
            microcode: required(&extension::MICROCODE_TCB)?,
        };
        let hardware_id = self
            .vcek
            .extension(&extension::HARDWARE_ID)
            .and_then(identity)
            .ok_or_else(|| missing_extension(&extension::HARDWARE_ID))?
            .to_vec();
        Ok(Chip { key, tcb, hardware_id })
    }
}

/// A certificate with a key that such a chain has.
fn with_key(role: &'static str, der: &[u8]) -> Result<X509, Refused> {
    let certificate = X509::parse(role, der, Reason::CertificateMalformed)?;
    if certificate.key.is_none() {
        let detail = format!("{role}: neither a 4096-bit RSA key nor one on P-384");
        return Err(Refused::new(Reason::CertificateMalformed, detail));
    }
    Ok(certificate)
}

/// An extension that is an INTEGER of one byte; `None` when there is none.
fn integer(certificate: &X509, oid: &[u8]) -> Result<Option<u8>, Refused> {
    match certificate.extension(oid) {
        None => Ok(None),
        Some(der) => u8::from_der(der).map(Some).map_err(|_| missing_extension(oid)),
    }
}

/// A chip's identity, which stands in the extension as it is; as an OCTET STRING it does as well.
fn identity(value: &[u8]) -> Option<&[u8]> {
    match value {
        [4, 8, id @ ..] if id.len() == 8 => Some(id),
        [4, 64, id @ ..] if id.len() == 64 => Some(id),
        id => matches!(id.len(), 8 | 64).then_some(id),
    }
}

fn missing_extension(oid: &[u8]) -> Refused {
    let name =
        ObjectIdentifier::from_bytes(oid).map_or_else(|_| "?".to_owned(), |oid| oid.to_string());
    Refused::new(Reason::VcekExtension, format!("extension {name} is missing or malformed"))
}

#[cfg(test)]
mod tests {
    use super::identity;

    #[test]
    fn identities_have_one_of_two_lengths() {
        for length in [8_u8, 64] {
            let id = vec![4; usize::from(length)];
            assert_eq!(identity(&id), Some(id.as_slice()), "it may look like a head");
            let wrapped = [&[4, length], id.as_slice()].concat();
            assert_eq!(identity(&wrapped), Some(id.as_slice()));
            assert_eq!(identity(&wrapped[..wrapped.len() - 1]), None);
            assert_eq!(identity(&wrapped[1..]), None);
        }
        assert_eq!(identity(&[]), None);
    }
}
