// SPDX-License-Identifier: MIT OR Apache-2.0
//! The standard templates: of endorsement keys (TCG EK Credential Profile for TPM Family 2.0,
//! B.3.3 and B.3.4, the low range; B.4.4 and B.4.5, the high range) and of storage root keys (TCG
//! TPM v2.0 Provisioning Guidance, 7.5.1).

use crate::crypto::ecc::EccCurve;
use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::structure::attributes::ObjectAttributes as Bits;
use crate::structure::command_code::CommandCode;
use crate::structure::ecc::{EccParameter, EccPoint};
use crate::structure::handle::Handle;
use crate::structure::nv::{NvAttributes, NvPublic};
use crate::structure::public::{
    EccParameters, Public, PublicParameters, RsaBuffer, RsaKeyBits, RsaParameters, Unique,
};
use crate::structure::scheme::KdfScheme;
use crate::structure::symmetric::{BlockCipher, CipherDefinition, CipherMode};
use crate::wire::Result;

/// A template that everybody knows, by the name that its specification gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StandardTemplate {
    /// EK, RSA 2048, low range.
    L1,
    /// EK, NIST P-256, low range.
    L2,
    /// EK, RSA 2048, high range.
    H1,
    /// EK, NIST P-256, high range.
    H2,
    /// EK, NIST P-384.
    H3,
    /// EK, NIST P-521.
    H4,
    /// EK, SM2.
    H5,
    /// EK, RSA 3072.
    H6,
    /// EK, RSA 4096.
    H7,
    /// SRK, RSA 2048.
    StorageRsa2048,
    /// SRK, NIST P-256.
    StorageP256,
}

/// The algorithm of the key.
#[derive(Clone, Copy)]
enum Kind {
    Rsa(RsaKeyBits),
    Ecc(EccCurve),
}

/// Which policy a template has, and with it what of the profile it follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Range {
    Low,
    High,
    Storage,
}

const AES_128: (BlockCipher, u16) = (BlockCipher::Aes, 128);
const AES_256: (BlockCipher, u16) = (BlockCipher::Aes, 256);

impl StandardTemplate {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::L1,
        Self::L2,
        Self::H1,
        Self::H2,
        Self::H3,
        Self::H4,
        Self::H5,
        Self::H6,
        Self::H7,
        Self::StorageRsa2048,
        Self::StorageP256,
    ];

    /// The hierarchy whose primary key it makes.
    pub const fn hierarchy(self) -> Handle {
        match self {
            Self::StorageRsa2048 | Self::StorageP256 => Handle::OWNER,
            _ => Handle::ENDORSEMENT,
        }
    }

    /// The NV index of the key's certificate (EK Credential Profile, 2.2.1.4 and 2.2.1.5); `None`
    /// for storage keys, which have none.
    pub const fn certificate_index(self) -> Option<Handle> {
        Some(Handle(match self {
            Self::L1 => 0x01c0_0002,
            Self::L2 => 0x01c0_000a,
            Self::H1 => 0x01c0_0012,
            Self::H2 => 0x01c0_0014,
            Self::H3 => 0x01c0_0016,
            Self::H4 => 0x01c0_0018,
            Self::H5 => 0x01c0_001a,
            Self::H6 => 0x01c0_001c,
            Self::H7 => 0x01c0_001e,
            Self::StorageRsa2048 | Self::StorageP256 => return None,
        }))
    }

    /// The template as TPM2_CreatePrimary takes it, unique value included.
    ///
    /// # Errors
    /// None: every part fits its buffer.
    pub fn public(self) -> Result<Public> {
        let (kind, name_algorithm, cipher) = self.algorithms();
        let range = self.range();
        let symmetric = {
            let (cipher, key_bits) = cipher;
            Some(CipherDefinition { cipher, key_bits, mode: Some(CipherMode::Cfb) })
        };
        let parameters = match kind {
            Kind::Rsa(key_bits) => PublicParameters::Rsa(RsaParameters {
                symmetric,
                scheme: None,
                key_bits,
                exponent: 0,
            }),
            Kind::Ecc(curve) => PublicParameters::Ecc(EccParameters {
                symmetric,
                scheme: None,
                curve,
                kdf: KdfScheme(None),
            }),
        };
        Ok(Public {
            name_algorithm: Some(name_algorithm),
            attributes: range.attributes(),
            auth_policy: range.policy(name_algorithm)?,
            parameters,
            unique: kind.unique(range)?,
        })
    }

    const fn algorithms(self) -> (Kind, HashAlgorithm, (BlockCipher, u16)) {
        match self {
            Self::L1 | Self::H1 | Self::StorageRsa2048 => {
                (Kind::Rsa(RsaKeyBits::Bits2048), HashAlgorithm::Sha256, AES_128)
            }
            Self::L2 | Self::H2 | Self::StorageP256 => {
                (Kind::Ecc(EccCurve::NistP256), HashAlgorithm::Sha256, AES_128)
            }
            Self::H3 => (Kind::Ecc(EccCurve::NistP384), HashAlgorithm::Sha384, AES_256),
            Self::H4 => (Kind::Ecc(EccCurve::NistP521), HashAlgorithm::Sha512, AES_256),
            Self::H5 => {
                (Kind::Ecc(EccCurve::Sm2P256), HashAlgorithm::Sm3_256, (BlockCipher::Sm4, 128))
            }
            Self::H6 => (Kind::Rsa(RsaKeyBits::Bits3072), HashAlgorithm::Sha384, AES_256),
            Self::H7 => (Kind::Rsa(RsaKeyBits::Bits4096), HashAlgorithm::Sha512, AES_256),
        }
    }

    const fn range(self) -> Range {
        match self {
            Self::L1 | Self::L2 => Range::Low,
            Self::StorageRsa2048 | Self::StorageP256 => Range::Storage,
            _ => Range::High,
        }
    }
}

impl Kind {
    /// Zeros as long as the key in the low range (and so in storage keys), nothing in the high one.
    fn unique(self, range: Range) -> Result<Unique> {
        let is_empty = range == Range::High;
        Ok(match self {
            Self::Rsa(key_bits) => {
                let size = usize::from(key_bits.raw()) / 8;
                Unique::Rsa(RsaBuffer::zeroed(if is_empty { 0 } else { size })?)
            }
            Self::Ecc(curve) => {
                let size = if is_empty { 0 } else { curve.size() };
                Unique::Ecc(EccPoint {
                    x: EccParameter::zeroed(size)?,
                    y: EccParameter::zeroed(size)?,
                })
            }
        })
    }
}

impl Range {
    fn attributes(self) -> Bits {
        let parent = Bits::FIXED_TPM
            .with(Bits::FIXED_PARENT)
            .with(Bits::SENSITIVE_DATA_ORIGIN)
            .with(Bits::RESTRICTED)
            .with(Bits::DECRYPT);
        match self {
            Self::Low => parent.with(Bits::ADMIN_WITH_POLICY),
            Self::High => parent.with(Bits::ADMIN_WITH_POLICY).with(Bits::USER_WITH_AUTH),
            Self::Storage => parent.with(Bits::USER_WITH_AUTH).with(Bits::NO_DA),
        }
    }

    fn policy(self, algorithm: HashAlgorithm) -> Result<Digest> {
        match self {
            Self::Low => Ok(policy_a(algorithm)),
            Self::High => policy_b(algorithm),
            Self::Storage => Ok(Digest::EMPTY),
        }
    }
}

/// PolicyA: TPM2_PolicySecret of the endorsement hierarchy, with an empty policyRef.
fn policy_a(algorithm: HashAlgorithm) -> Digest {
    let code = CommandCode::POLICY_SECRET.0.to_be_bytes();
    let name = Handle::ENDORSEMENT.0.to_be_bytes();
    let asserted = algorithm.digest(&[&Digest::zero(algorithm), &code, &name]);
    algorithm.digest(&[&asserted])
}

/// PolicyB: TPM2_PolicyOR of PolicyA and PolicyC.
fn policy_b(algorithm: HashAlgorithm) -> Result<Digest> {
    let code = CommandCode::POLICY_OR.0.to_be_bytes();
    let branches: [&[u8]; 2] = [&policy_a(algorithm), &policy_c(algorithm)?];
    let [a, c] = branches;
    Ok(algorithm.digest(&[&Digest::zero(algorithm), &code, a, c]))
}

/// PolicyC: TPM2_PolicyAuthorizeNV of the index that the profile sets aside for a policy in this
/// algorithm (B.5.2, index I-1 and the following), once it is written.
fn policy_c(algorithm: HashAlgorithm) -> Result<Digest> {
    let number: u32 = match algorithm {
        HashAlgorithm::Sha384 => 2,
        HashAlgorithm::Sha512 => 3,
        HashAlgorithm::Sm3_256 => 4,
        _ => 1,
    };
    let hash_and_digest = algorithm.digest_size().saturating_add(2);
    let index = NvPublic {
        index: Handle(0x01c0_7f00 | number),
        name_algorithm: algorithm,
        attributes: NvAttributes::POLICY_WRITE
            .with(NvAttributes::WRITE_ALL)
            .with(NvAttributes::PP_READ)
            .with(NvAttributes::OWNER_READ)
            .with(NvAttributes::AUTH_READ)
            .with(NvAttributes::POLICY_READ)
            .with(NvAttributes::NO_DA)
            .with(NvAttributes::WRITTEN),
        auth_policy: policy_a(algorithm),
        data_size: u16::try_from(hash_and_digest).unwrap_or(u16::MAX),
    };
    let code = CommandCode::POLICY_AUTHORIZE_NV.0.to_be_bytes();
    Ok(algorithm.digest(&[&Digest::zero(algorithm), &code, &index.name()?]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parameters;
    use std::string::String;
    use std::vec::Vec;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|octet| std::format!("{octet:02x}")).collect()
    }

    /// The digests that the profile prints (B.6).
    #[test]
    fn policies_are_those_of_the_profile() {
        let a = |algorithm| hex(&policy_a(algorithm));
        let b = |algorithm| hex(&policy_b(algorithm).unwrap());
        assert_eq!(
            a(HashAlgorithm::Sha256),
            "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa"
        );
        assert_eq!(
            a(HashAlgorithm::Sha384),
            "8bbf2266537c171cb56e403c4dc1d4b64f432611dc386e6f532050c3278c930e\
             143e8bb1133824ccb431053871c6db53"
        );
        assert_eq!(
            b(HashAlgorithm::Sha256),
            "ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0"
        );
        assert_eq!(
            b(HashAlgorithm::Sha384),
            "b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419ca\
             cb47ba09699646150f9fc000f3f80e12"
        );
        assert_eq!(
            b(HashAlgorithm::Sha512),
            "b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a4\
             29c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea"
        );
    }

    fn words(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// Octet by octet, as the profile's tables say.
    #[test]
    fn templates_are_those_of_the_profile() {
        let template = |standard: StandardTemplate| {
            parameters(|writer| writer.value(&standard.public().unwrap()))
        };
        let low = policy_a(HashAlgorithm::Sha256);
        let expected = [
            &words(&[1, 0x0b, 3, 0x00b2, 32])[..],
            &low,
            &words(&[6, 128, 0x43, 0x10, 2048, 0, 0, 256]),
            &[0; 256],
        ];
        assert_eq!(template(StandardTemplate::L1), expected.concat());
        let expected = [
            &words(&[0x23, 0x0b, 3, 0x00b2, 32])[..],
            &low,
            &words(&[6, 128, 0x43, 0x10, 3, 0x10, 32]),
            &[0; 32],
            &[0, 32],
            &[0; 32],
        ];
        assert_eq!(template(StandardTemplate::L2), expected.concat());
        let high = policy_b(HashAlgorithm::Sha384).unwrap();
        let expected = [
            &words(&[0x23, 0x0c, 3, 0x00f2, 48])[..],
            &high,
            &words(&[6, 256, 0x43, 0x10, 4, 0x10, 0, 0]),
        ];
        assert_eq!(template(StandardTemplate::H3), expected.concat());
        let expected =
            [&words(&[1, 0x0b, 3, 0x0472, 0, 6, 128, 0x43, 0x10, 2048, 0, 0, 256])[..], &[0; 256]];
        assert_eq!(template(StandardTemplate::StorageRsa2048), expected.concat());
    }
}
