// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endorsement keys from the standard templates (TCG EK Credential Profile, annex B), which every
//! caller of TPM2_CreatePrimary gets alike.

use crate::command::sized;

/// Which endorsement key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EkKind {
    /// Template L-1: the one of manifest version 0.
    Rsa2048,
    /// Template L-2.
    P256,
    /// Template H-3.
    P384,
}

/// Templates L authorise by PolicySecret(TPM_RH_ENDORSEMENT): policy A with SHA-256.
const POLICY_A_SHA256: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];
/// Templates H have policy B, with SHA-384 here; an empty password does as well.
const POLICY_B_SHA384: [u8; 48] = [
    0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a,
    0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca,
    0xcb, 0x47, 0xba, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12,
];

impl EkKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Rsa2048, Self::P256, Self::P384];

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa2048",
            Self::P256 => "p256",
            Self::P384 => "p384",
        }
    }

    /// The NV index of its certificate (TCG EK Credential Profile, 2.2.1.4).
    #[must_use]
    pub const fn certificate_index(self) -> u32 {
        match self {
            Self::Rsa2048 => 0x01c0_0002,
            Self::P256 => 0x01c0_000a,
            Self::P384 => 0x01c0_0016,
        }
    }

    /// Whether it wants a policy session, and not a password.
    #[must_use]
    pub const fn wants_policy(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::P256)
    }

    /// The template: a TPMT_PUBLIC.
    #[must_use]
    pub fn template(self) -> Vec<u8> {
        /// No scheme; AES in CFB mode.
        const NULL: [u8; 2] = [0x00, 0x10];
        const AES_128_CFB: [u8; 6] = [0x00, 0x06, 0x00, 0x80, 0x00, 0x43];
        const AES_256_CFB: [u8; 6] = [0x00, 0x06, 0x01, 0x00, 0x00, 0x43];
        let (head, policy, cipher): (_, &[u8], _) = match self {
            Self::Rsa2048 => {
                ([0x00, 0x01, 0x00, 0x0b, 0x00, 0x03, 0x00, 0xb2], &POLICY_A_SHA256, AES_128_CFB)
            }
            Self::P256 => {
                ([0x00, 0x23, 0x00, 0x0b, 0x00, 0x03, 0x00, 0xb2], &POLICY_A_SHA256, AES_128_CFB)
            }
            Self::P384 => {
                ([0x00, 0x23, 0x00, 0x0c, 0x00, 0x03, 0x00, 0xf2], &POLICY_B_SHA384, AES_256_CFB)
            }
        };
        let mut template = [&head, sized(policy).as_slice(), &cipher, &NULL].concat();
        match self {
            Self::Rsa2048 => {
                template.extend([0x08, 0x00, 0, 0, 0, 0]);
                template.extend(sized(&[0; 256]));
            }
            Self::P256 => {
                template.extend([0x00, 0x03]);
                template.extend(NULL);
                template.extend(sized(&[0; 32]));
                template.extend(sized(&[0; 32]));
            }
            Self::P384 => {
                template.extend([0x00, 0x04]);
                template.extend(NULL);
                template.extend([0; 4]);
            }
        }
        template
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own() {
        assert_eq!(EkKind::from_name("p521"), None);
        for kind in EkKind::ALL {
            assert_eq!(EkKind::from_name(kind.name()), Some(kind));
        }
    }

    #[test]
    fn templates_are_as_long_as_the_profile_has_them() {
        assert_eq!(EkKind::Rsa2048.template().len(), 314);
        assert_eq!(EkKind::P256.template().len(), 122);
        assert_eq!(EkKind::P384.template().len(), 74);
    }
}
