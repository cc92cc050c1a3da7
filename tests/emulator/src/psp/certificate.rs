// SPDX-License-Identifier: MIT OR Apache-2.0
//! X.509 certificates (RFC 5280) for the test keys, and the table in which a guest gets them.
//!
//! The chain has AMD's shape, root ARK, then ASK, then the chip's VCEK with its TCB and identity as
//! extensions (AMD 57230, chapter 3), but every key is P-384 here, where AMD's ARK and ASK are RSA.

use p384::ecdsa::{Signature, SigningKey, VerifyingKey, signature::hazmat::PrehashSigner};
use sha2::{Digest, Sha384};
use snp_abi::{
    PAGE_SIZE,
    certificates::{ARK_GUID, ASK_GUID, TableEntry, VCEK_GUID, extension},
};
use zerocopy::{FromZeros, IntoBytes};

use super::{
    chip::{Chip, TestKey},
    der::{BackwardWriter, Full, Written, tag},
};

/// Most bytes of a certificate.
const CERTIFICATE_MAX: usize = 1024;
type Writer = BackwardWriter<CERTIFICATE_MAX>;

/// `ecdsa-with-SHA384`, 1.2.840.10045.4.3.3.
const ECDSA_WITH_SHA384: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
/// `id-ecPublicKey`, 1.2.840.10045.2.1.
const EC_PUBLIC_KEY: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
/// `secp384r1`, 1.3.132.0.34.
const SECP384R1: [u8; 5] = [0x2b, 0x81, 4, 0, 0x22];
/// `id-at-commonName`, 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 4, 3];
/// `id-ce-basicConstraints`, 2.5.29.19.
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 0x13];
/// `id-ce-keyUsage`, 2.5.29.15.
const KEY_USAGE: [u8; 3] = [0x55, 0x1d, 0x0f];
/// Key usage `keyCertSign`: bit 5, two bits unused behind it.
const KEY_CERT_SIGN: [u8; 2] = [2, 1 << 2];
/// The product that the chip says it is.
const PRODUCT_NAME: &[u8] = b"Macadamia-TEST";

/// A certificate in DER.
pub(crate) struct Certificate {
    writer: Writer,
}

impl Certificate {
    /// Its bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.writer.bytes()
    }

    /// The certificate for a key of the test chain; `None` would mean that a key can't be made or
    /// the certificate is too long, which depends on nothing but this source.
    pub(crate) fn new(subject: TestKey, chip: &Chip) -> Option<Self> {
        let issuer_key = issuer(subject).signing_key()?;
        let subject_key = VerifyingKey::from(&subject.signing_key()?);
        let mut body = Writer::new();
        write_body(&mut body, subject, &subject_key, chip).ok()?;
        let mut writer = Writer::new();
        write_signed(&mut writer, body.bytes(), &issuer_key).ok()?;
        Some(Self { writer })
    }
}

const fn issuer(subject: TestKey) -> TestKey {
    match subject {
        TestKey::Ark | TestKey::Ask => TestKey::Ark,
        TestKey::Vcek => TestKey::Ask,
    }
}

const fn serial_number(subject: TestKey) -> u8 {
    match subject {
        TestKey::Ark => 1,
        TestKey::Ask => 2,
        TestKey::Vcek => 3,
    }
}

/// `Certificate`.
fn write_signed(writer: &mut Writer, body: &[u8], issuer_key: &SigningKey) -> Written {
    let signature: Signature = issuer_key.sign_prehash(&Sha384::digest(body)).map_err(|_| Full)?;
    let (r, s) = signature.split_bytes();
    writer.value(tag::SEQUENCE, |writer| {
        writer.bit_string(|writer| {
            writer.value(tag::SEQUENCE, |writer| {
                writer.integer(&s)?;
                writer.integer(&r)
            })
        })?;
        write_signature_algorithm(writer)?;
        writer.raw(body)
    })
}

/// `TBSCertificate`.
fn write_body(
    writer: &mut Writer,
    subject: TestKey,
    subject_key: &VerifyingKey,
    chip: &Chip,
) -> Written {
    writer.value(tag::SEQUENCE, |writer| {
        writer.value(tag::context(3), |writer| {
            writer.value(tag::SEQUENCE, |writer| match subject {
                TestKey::Ark | TestKey::Ask => write_authority_extensions(writer),
                TestKey::Vcek => write_chip_extensions(writer, chip),
            })
        })?;
        write_public_key(writer, subject_key)?;
        write_name(writer, subject)?;
        // No clock is at hand, and a test key needs none: RFC 5280, 4.1.2.5.
        writer.value(tag::SEQUENCE, |writer| {
            writer.bytes_value(tag::GENERALIZED_TIME, b"99991231235959Z")?;
            writer.bytes_value(tag::UTC_TIME, b"200101000000Z")
        })?;
        write_name(writer, issuer(subject))?;
        write_signature_algorithm(writer)?;
        writer.integer(&[serial_number(subject)])?;
        writer.value(tag::context(0), |writer| writer.integer(&[2]))
    })
}

fn write_signature_algorithm(writer: &mut Writer) -> Written {
    writer.value(tag::SEQUENCE, |writer| {
        writer.bytes_value(tag::OBJECT_IDENTIFIER, &ECDSA_WITH_SHA384)
    })
}

fn write_name(writer: &mut Writer, key: TestKey) -> Written {
    writer.value(tag::SEQUENCE, |writer| {
        writer.value(tag::SET, |writer| {
            writer.value(tag::SEQUENCE, |writer| {
                writer.bytes_value(tag::UTF8_STRING, key.label())?;
                writer.bytes_value(tag::OBJECT_IDENTIFIER, &COMMON_NAME)
            })
        })
    })
}

fn write_public_key(writer: &mut Writer, key: &VerifyingKey) -> Written {
    writer.value(tag::SEQUENCE, |writer| {
        writer.bit_string(|writer| writer.raw(key.to_sec1_point(false).as_bytes()))?;
        writer.value(tag::SEQUENCE, |writer| {
            writer.bytes_value(tag::OBJECT_IDENTIFIER, &SECP384R1)?;
            writer.bytes_value(tag::OBJECT_IDENTIFIER, &EC_PUBLIC_KEY)
        })
    })
}

fn write_authority_extensions(writer: &mut Writer) -> Written {
    write_critical(writer, &KEY_USAGE, |writer| {
        writer.bytes_value(tag::BIT_STRING, &KEY_CERT_SIGN)
    })?;
    write_critical(writer, &BASIC_CONSTRAINTS, |writer| {
        writer.value(tag::SEQUENCE, |writer| writer.bytes_value(tag::BOOLEAN, &[0xff]))
    })
}

fn write_critical(
    writer: &mut Writer,
    identifier: &[u8],
    content: impl FnOnce(&mut Writer) -> Written,
) -> Written {
    writer.value(tag::SEQUENCE, |writer| {
        writer.value(tag::OCTET_STRING, content)?;
        writer.bytes_value(tag::BOOLEAN, &[0xff])?;
        writer.bytes_value(tag::OBJECT_IDENTIFIER, identifier)
    })
}

fn write_chip_extensions(writer: &mut Writer, chip: &Chip) -> Written {
    let tcb = Chip::TCB;
    // The identity is the only one whose bytes stand there as they are.
    write_extension(writer, &extension::HARDWARE_ID, |writer| writer.raw(chip.chip_id()))?;
    for (identifier, version) in [
        (&extension::MICROCODE_TCB, tcb.microcode),
        (&extension::SNP_TCB, tcb.snp),
        (&extension::TEE_TCB, tcb.tee),
        (&extension::BOOT_LOADER_TCB, tcb.boot_loader),
    ] {
        write_extension(writer, identifier, |writer| writer.integer(&[version]))?;
    }
    write_extension(writer, &extension::PRODUCT_NAME, |writer| {
        writer.bytes_value(tag::IA5_STRING, PRODUCT_NAME)
    })?;
    write_extension(writer, &extension::STRUCTURE_VERSION, |writer| writer.integer(&[1]))
}

fn write_extension(
    writer: &mut Writer,
    identifier: &[u8],
    content: impl FnOnce(&mut Writer) -> Written,
) -> Written {
    writer.value(tag::SEQUENCE, |writer| {
        writer.value(tag::OCTET_STRING, content)?;
        writer.bytes_value(tag::OBJECT_IDENTIFIER, identifier)
    })
}

/// Fills a page with the table of the whole chain, for an extended guest request; `None` as in
/// [`Certificate::new`].
pub(crate) fn write_table(chip: &Chip, page: &mut [u8; PAGE_SIZE]) -> Option<()> {
    const CHAIN: [(TestKey, [u8; 16]); 3] =
        [(TestKey::Vcek, VCEK_GUID), (TestKey::Ask, ASK_GUID), (TestKey::Ark, ARK_GUID)];
    page.fill(0);
    // One more entry, of zeros, ends the table.
    let mut entries = [TableEntry::new_zeroed(); CHAIN.len() + 1];
    let mut end = size_of_val(&entries);
    for ((key, guid), entry) in CHAIN.into_iter().zip(&mut entries) {
        let certificate = Certificate::new(key, chip)?;
        let bytes = certificate.as_bytes();
        page.get_mut(end..)?.get_mut(..bytes.len())?.copy_from_slice(bytes);
        *entry = TableEntry {
            guid,
            offset: u32::try_from(end).ok()?,
            length: u32::try_from(bytes.len()).ok()?,
        };
        end += bytes.len();
    }
    page.get_mut(..size_of_val(&entries))?.copy_from_slice(entries.as_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use p384::ecdsa::signature::hazmat::PrehashVerifier;
    use snp_abi::certificates::find;
    use std::vec::Vec;

    /// The values in a constructed value: tag, content and all of its bytes.
    fn values(mut bytes: &[u8]) -> Vec<(u8, &[u8], &[u8])> {
        let mut found = Vec::new();
        while let [tag, length, rest @ ..] = bytes {
            let (length, head) = match length {
                0x82 => (usize::from(rest[0]) << 8 | usize::from(rest[1]), 4),
                0x81 => (usize::from(rest[0]), 3),
                short => (usize::from(*short), 2),
            };
            let (value, tail) = bytes.split_at(head + length);
            found.push((*tag, &value[head..], value));
            bytes = tail;
        }
        found
    }

    /// Whether `key` signed this certificate.
    fn is_signed_by(certificate: &[u8], key: TestKey) -> bool {
        let outer = values(certificate);
        let parts = values(outer[0].1);
        let signature = values(values(&parts[2].1[1..])[0].1);
        let scalar = |value: &[u8]| {
            let digits = &value[value.len().saturating_sub(48)..];
            let mut number = [0; 48];
            number[48 - digits.len()..].copy_from_slice(digits);
            number
        };
        let signature = Signature::from_scalars(scalar(signature[0].1), scalar(signature[1].1))
            .expect("two scalars");
        let key = VerifyingKey::from(&key.signing_key().expect("a key"));
        key.verify_prehash(&Sha384::digest(parts[0].2), &signature).is_ok()
    }

    fn certificate(key: TestKey) -> Vec<u8> {
        let chip = Chip::new(0x00a0_0f11).expect("a key");
        Certificate::new(key, &chip).expect("it fits").as_bytes().to_vec()
    }

    #[test]
    fn each_certificate_is_signed_by_the_one_above() {
        for (subject, issuer, other) in [
            (TestKey::Ark, TestKey::Ark, TestKey::Ask),
            (TestKey::Ask, TestKey::Ark, TestKey::Vcek),
            (TestKey::Vcek, TestKey::Ask, TestKey::Ark),
        ] {
            let certificate = certificate(subject);
            assert!(is_signed_by(&certificate, issuer), "{subject:?}");
            assert!(!is_signed_by(&certificate, other), "{subject:?}");
        }
    }

    #[test]
    fn a_certificate_is_one_value_with_three_parts() {
        for key in [TestKey::Ark, TestKey::Ask, TestKey::Vcek] {
            let certificate = certificate(key);
            let outer = values(&certificate);
            assert_eq!(outer.len(), 1);
            let tags: Vec<u8> = values(outer[0].1).iter().map(|value| value.0).collect();
            assert_eq!(tags, [tag::SEQUENCE, tag::SEQUENCE, tag::BIT_STRING]);
        }
    }

    #[test]
    fn the_chips_certificate_names_the_chip() {
        let chip = Chip::new(0x00a0_0f11).expect("a key");
        let certificate = certificate(TestKey::Vcek);
        let has = |bytes: &[u8]| certificate.windows(bytes.len()).any(|window| window == bytes);
        assert!(has(chip.chip_id()));
        assert!(has(&extension::SNP_TCB));
        assert!(has(TestKey::Ask.label()));
    }

    #[test]
    fn the_table_holds_the_chain() {
        let chip = Chip::new(0x00a0_0f11).expect("a key");
        let mut page = [0xee; PAGE_SIZE];
        assert_eq!(write_table(&chip, &mut page), Some(()));
        for (guid, key) in
            [(VCEK_GUID, TestKey::Vcek), (ASK_GUID, TestKey::Ask), (ARK_GUID, TestKey::Ark)]
        {
            assert_eq!(find(&page, guid), Ok(Some(certificate(key).as_slice())));
        }
    }
}
