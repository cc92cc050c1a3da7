// SPDX-License-Identifier: MIT OR Apache-2.0
//! What TPM2_RSA_Encrypt and TPM2_RSA_Decrypt have in common: the choice of the padding and the
//! form of the label (Part 3, 14.2; Part 1, B.4).

use crate::crypto::hash::HashAlgorithm;
use crate::structure::public::{Public, PublicParameters};
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::AsymmetricScheme;
use crate::wire::Result;

/// How a message is padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    /// Not at all: the message is a number.
    None,
    /// RSAES-PKCS1-v1_5.
    Pkcs1,
    /// RSAES-OAEP.
    Oaep(HashAlgorithm),
}

impl Padding {
    /// The key's own scheme, or the caller's if the key has none; TPM_RC_SCHEME when they differ,
    /// TPM_RC_KEY when it is no RSA key.
    pub(super) fn select(public: &Public, wanted: Option<AsymmetricScheme>) -> Result<Self> {
        let PublicParameters::Rsa(rsa) = &public.parameters else {
            return Err(ResponseCode::KEY.in_handle(1));
        };
        let selected = match (rsa.scheme, wanted) {
            (None, wanted) => wanted,
            (own, None) => own,
            (own, wanted) if own == wanted => own,
            _ => return Err(ResponseCode::SCHEME.in_parameter(2)),
        };
        match selected {
            None => Ok(Self::None),
            Some(AsymmetricScheme::Rsaes) => Ok(Self::Pkcs1),
            Some(AsymmetricScheme::Oaep(hash)) => Ok(Self::Oaep(hash)),
            Some(_) => Err(ResponseCode::SCHEME.in_parameter(2)),
        }
    }
}

/// A label is empty or ends with a zero octet, which counts (TPM_RC_VALUE).
pub(super) fn check_label(label: &[u8]) -> Result<()> {
    match label.last() {
        None | Some(0) => Ok(()),
        Some(_) => Err(ResponseCode::VALUE.in_parameter(3)),
    }
}
