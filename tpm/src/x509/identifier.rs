// SPDX-License-Identifier: MIT OR Apache-2.0
//! AlgorithmIdentifiers and public keys (RFC 3279, 4055, 5480, 5758; NIST's computer security
//! objects register for SHA-3).

use super::der::DerWriter;
use super::tag;
use crate::crypto::ecc::EccCurve;
use crate::crypto::hash::HashAlgorithm;
use crate::crypto::rsa::pss_salt_size;
use crate::protect::key::curve_point;
use crate::structure::public::{Public, PublicParameters, Unique};
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::SignatureScheme;
use crate::wire::Result;

/// rsaEncryption, 1.2.840.113549.1.1.1; the signatures of PKCS #1 have other last octets.
const PKCS_1: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const RSA_ENCRYPTION: u8 = 1;
const MGF1: u8 = 8;
const RSASSA_PSS: u8 = 10;
/// id-ecPublicKey, 1.2.840.10045.2.1.
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// Signatures of ANSI X9.62, 1.2.840.10045.4.
const ECDSA: [u8; 6] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
/// NIST's algorithms, 2.16.840.1.101.3.4.
const NIST: [u8; 7] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04];
const NIST_HASHES: u8 = 2;
const NIST_SIGNATURES: u8 = 3;
/// Before the coordinates of a point that isn't compressed (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// Writes SubjectPublicKeyInfo: TPM_RC_ASYMMETRIC for a key that isn't asymmetric.
pub fn public_key(writer: &mut DerWriter<'_>, public: &Public) -> Result<()> {
    match (&public.parameters, &public.unique) {
        (PublicParameters::Rsa(rsa), Unique::Rsa(modulus)) => {
            writer.nested(tag::SEQUENCE, |info| {
                info.nested(tag::SEQUENCE, |algorithm| {
                    pkcs_1(algorithm, RSA_ENCRYPTION)?;
                    algorithm.element(tag::NULL, &[])
                })?;
                info.nested(tag::BIT_STRING, |bits| {
                    bits.raw(&[0])?;
                    bits.nested(tag::SEQUENCE, |key| {
                        key.unsigned(modulus)?;
                        key.unsigned(&rsa.public_exponent().to_be_bytes())
                    })
                })
            })
        }
        (PublicParameters::Ecc(ecc), Unique::Ecc(point)) => {
            // The coordinates of a key from outside may be shorter, or have zeros before them.
            let point = curve_point(ecc.curve, point)?;
            writer.nested(tag::SEQUENCE, |info| {
                info.nested(tag::SEQUENCE, |algorithm| {
                    algorithm.element(tag::OBJECT_IDENTIFIER, EC_PUBLIC_KEY)?;
                    algorithm.element(tag::OBJECT_IDENTIFIER, curve(ecc.curve))
                })?;
                info.nested(tag::BIT_STRING, |bits| {
                    bits.raw(&[0, UNCOMPRESSED])?;
                    bits.raw(point.x.as_bytes())?;
                    bits.raw(point.y.as_bytes())
                })
            })
        }
        _ => Err(ResponseCode::ASYMMETRIC),
    }
}

const fn curve(curve: EccCurve) -> &'static [u8] {
    match curve {
        EccCurve::NistP256 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        EccCurve::NistP384 => &[0x2b, 0x81, 0x04, 0x00, 0x22],
        EccCurve::NistP521 => &[0x2b, 0x81, 0x04, 0x00, 0x23],
        EccCurve::Sm2P256 => &[0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d],
    }
}

/// Writes the AlgorithmIdentifier of a signature by a key in a scheme: TPM_RC_SCHEME if
/// certificates have none for it. (SM2's digest covers the signer's identity, which a TPM doesn't
/// know; nobody verifies ECDAA or EC Schnorr in certificates.)
pub fn signature_algorithm(
    writer: &mut DerWriter<'_>,
    signer: &Public,
    scheme: SignatureScheme,
) -> Result<()> {
    let hash = scheme.hash();
    writer.nested(tag::SEQUENCE, |algorithm| match scheme {
        SignatureScheme::Rsassa(_) => {
            match hash {
                HashAlgorithm::Sha1 => pkcs_1(algorithm, 5),
                HashAlgorithm::Sha256 => pkcs_1(algorithm, 11),
                HashAlgorithm::Sha384 => pkcs_1(algorithm, 12),
                HashAlgorithm::Sha512 => pkcs_1(algorithm, 13),
                HashAlgorithm::Sha3_256 => nist(algorithm, NIST_SIGNATURES, 14),
                HashAlgorithm::Sha3_384 => nist(algorithm, NIST_SIGNATURES, 15),
                HashAlgorithm::Sha3_512 => nist(algorithm, NIST_SIGNATURES, 16),
                HashAlgorithm::Sm3_256 => Err(ResponseCode::SCHEME),
            }?;
            algorithm.element(tag::NULL, &[])
        }
        SignatureScheme::Rsapss(_) => {
            pkcs_1(algorithm, RSASSA_PSS)?;
            let Unique::Rsa(modulus) = &signer.unique else { return Err(ResponseCode::SCHEME) };
            let salt_size = pss_salt_size(hash, modulus.len()).ok_or(ResponseCode::SCHEME)?;
            pss_parameters(algorithm, hash, salt_size)
        }
        SignatureScheme::Ecdsa(_) => match hash {
            HashAlgorithm::Sha1 => ecdsa(algorithm, &[1]),
            HashAlgorithm::Sha256 => ecdsa(algorithm, &[3, 2]),
            HashAlgorithm::Sha384 => ecdsa(algorithm, &[3, 3]),
            HashAlgorithm::Sha512 => ecdsa(algorithm, &[3, 4]),
            HashAlgorithm::Sha3_256 => nist(algorithm, NIST_SIGNATURES, 10),
            HashAlgorithm::Sha3_384 => nist(algorithm, NIST_SIGNATURES, 11),
            HashAlgorithm::Sha3_512 => nist(algorithm, NIST_SIGNATURES, 12),
            HashAlgorithm::Sm3_256 => Err(ResponseCode::SCHEME),
        },
        SignatureScheme::Sm2(_)
        | SignatureScheme::EcSchnorr(_)
        | SignatureScheme::Ecdaa(..)
        | SignatureScheme::Hmac(_) => Err(ResponseCode::SCHEME),
    })
}

/// RSASSA-PSS-params (RFC 4055, 3.1).
fn pss_parameters(
    algorithm: &mut DerWriter<'_>,
    hash: HashAlgorithm,
    salt_size: usize,
) -> Result<()> {
    let salt_size = u32::try_from(salt_size).map_err(|_| ResponseCode::FAILURE)?;
    algorithm.nested(tag::SEQUENCE, |parameters| {
        parameters.nested(tag::EXPLICIT_0, |inner| hash_algorithm(inner, hash))?;
        parameters.nested(tag::EXPLICIT_1, |inner| {
            inner.nested(tag::SEQUENCE, |mask| {
                pkcs_1(mask, MGF1)?;
                hash_algorithm(mask, hash)
            })
        })?;
        parameters.nested(tag::EXPLICIT_2, |inner| inner.unsigned(&salt_size.to_be_bytes()))
    })
}

/// AlgorithmIdentifier of a hash, with NULL as RFC 4055, 2.1, wants it for RSA.
fn hash_algorithm(writer: &mut DerWriter<'_>, hash: HashAlgorithm) -> Result<()> {
    writer.nested(tag::SEQUENCE, |algorithm| {
        match hash {
            HashAlgorithm::Sha1 => {
                algorithm.element(tag::OBJECT_IDENTIFIER, &[0x2b, 0x0e, 0x03, 0x02, 0x1a])
            }
            HashAlgorithm::Sha256 => nist(algorithm, NIST_HASHES, 1),
            HashAlgorithm::Sha384 => nist(algorithm, NIST_HASHES, 2),
            HashAlgorithm::Sha512 => nist(algorithm, NIST_HASHES, 3),
            HashAlgorithm::Sha3_256 => nist(algorithm, NIST_HASHES, 8),
            HashAlgorithm::Sha3_384 => nist(algorithm, NIST_HASHES, 9),
            HashAlgorithm::Sha3_512 => nist(algorithm, NIST_HASHES, 10),
            HashAlgorithm::Sm3_256 => Err(ResponseCode::SCHEME),
        }?;
        algorithm.element(tag::NULL, &[])
    })
}

fn pkcs_1(writer: &mut DerWriter<'_>, last: u8) -> Result<()> {
    writer.nested(tag::OBJECT_IDENTIFIER, |identifier| {
        identifier.raw(&PKCS_1)?;
        identifier.raw(&[last])
    })
}

fn ecdsa(writer: &mut DerWriter<'_>, last: &[u8]) -> Result<()> {
    writer.nested(tag::OBJECT_IDENTIFIER, |identifier| {
        identifier.raw(&ECDSA)?;
        identifier.raw(last)
    })
}

fn nist(writer: &mut DerWriter<'_>, kind: u8, last: u8) -> Result<()> {
    writer.nested(tag::OBJECT_IDENTIFIER, |identifier| {
        identifier.raw(&NIST)?;
        identifier.raw(&[kind, last])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hash::Digest;
    use crate::structure::attributes::ObjectAttributes;
    use crate::structure::ecc::{EccParameter, EccPoint};
    use crate::structure::public::{EccParameters, RsaBuffer, RsaKeyBits, RsaParameters};
    use crate::structure::scheme::KdfScheme;
    use std::vec::Vec;

    fn signer() -> Public {
        Public {
            name_algorithm: Some(HashAlgorithm::Sha256),
            attributes: ObjectAttributes::SIGN_ENCRYPT,
            auth_policy: Digest::EMPTY,
            parameters: PublicParameters::Rsa(RsaParameters {
                symmetric: None,
                scheme: None,
                key_bits: RsaKeyBits::Bits4096,
                exponent: 0,
            }),
            unique: Unique::Rsa(RsaBuffer::new(&[0xc3; 512]).unwrap()),
        }
    }

    fn algorithm(scheme: SignatureScheme) -> Result<Vec<u8>> {
        let mut buffer = [0; 100];
        let mut writer = DerWriter::new(&mut buffer);
        signature_algorithm(&mut writer, &signer(), scheme)?;
        Ok(writer.written().to_vec())
    }

    #[test]
    fn what_certificates_have_no_name_for_is_refused() {
        for scheme in [
            SignatureScheme::Hmac(HashAlgorithm::Sha256),
            SignatureScheme::Sm2(HashAlgorithm::Sm3_256),
            SignatureScheme::EcSchnorr(HashAlgorithm::Sha256),
            SignatureScheme::Ecdaa(HashAlgorithm::Sha256, 0),
            SignatureScheme::Ecdsa(HashAlgorithm::Sm3_256),
            SignatureScheme::Rsassa(HashAlgorithm::Sm3_256),
            SignatureScheme::Rsapss(HashAlgorithm::Sm3_256),
        ] {
            assert_eq!(algorithm(scheme), Err(ResponseCode::SCHEME), "{scheme:?}");
        }
    }

    /// Appendices of RFC 4055 and RFC 5758: the whole identifiers.
    #[test]
    fn published_identifiers() {
        let sha384_with_rsa = algorithm(SignatureScheme::Rsassa(HashAlgorithm::Sha384)).unwrap();
        let expected = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0c, 5, 0];
        assert_eq!(sha384_with_rsa, expected);
        let ecdsa_with_sha1 = algorithm(SignatureScheme::Ecdsa(HashAlgorithm::Sha1)).unwrap();
        assert_eq!(ecdsa_with_sha1, [0x30, 9, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]);
        let sha3 = algorithm(SignatureScheme::Ecdsa(HashAlgorithm::Sha3_512)).unwrap();
        assert_eq!(sha3, [0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 12]);
        // rSASSA-PSS-SHA256-Identifier of RFC 4055, with the salt of 32 octets.
        let pss = algorithm(SignatureScheme::Rsapss(HashAlgorithm::Sha256)).unwrap();
        let sha256 = [0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0];
        let expected = [
            &[0x30, 0x41, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10, 0x30, 0x34][..],
            &[0xa0, 15],
            &sha256,
            &[0xa1, 28, 0x30, 26, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8],
            &sha256,
            &[0xa2, 3, 2, 1, 32],
        ];
        assert_eq!(pss, expected.concat());
    }

    /// SEC 1, 2.3.3: both coordinates are as long as the field, however long the caller wrote them.
    #[test]
    fn coordinates_have_the_width_of_the_curve() {
        let g = EccCurve::NistP256.parameters();
        let written = |x: &[u8], y: &[u8]| {
            let mut public = signer();
            public.parameters = PublicParameters::Ecc(EccParameters {
                symmetric: None,
                scheme: None,
                curve: EccCurve::NistP256,
                kdf: KdfScheme(None),
            });
            public.unique = Unique::Ecc(EccPoint {
                x: EccParameter::new(x).unwrap(),
                y: EccParameter::new(y).unwrap(),
            });
            let mut buffer = [0; 100];
            let mut writer = DerWriter::new(&mut buffer);
            public_key(&mut writer, &public).unwrap();
            writer.written().to_vec()
        };
        let usual = written(g.g_x, g.g_y);
        assert_eq!(usual[usual.len() - 65..], [&[4][..], g.g_x, g.g_y].concat());
        assert_eq!(written(&[&[0][..], g.g_x].concat(), g.g_y), usual);
        let short = written(&g.g_x[1..], &[&[0][..], g.g_y].concat());
        assert_eq!(short[short.len() - 65..], [&[4, 0][..], &g.g_x[1..], g.g_y].concat());
    }

    #[test]
    fn the_longest_key_has_room() {
        let mut buffer = [0; 600];
        let mut writer = DerWriter::new(&mut buffer);
        public_key(&mut writer, &signer()).unwrap();
        assert_eq!(writer.written()[..4], [0x30, 0x82, 2, 0x22]);
        assert_eq!(writer.len(), 4 + 0x222);
        assert_eq!(writer.written()[writer.len() - 5..], [2, 3, 1, 0, 1]);
    }
}
