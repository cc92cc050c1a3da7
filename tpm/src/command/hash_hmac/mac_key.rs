// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keys of TPM2_MAC and TPM2_MAC_Start, and the algorithm that they are used with (Part 3,
//! 15.5, 15.6, 17.2 and 17.3; TPM2_HMAC and TPM2_HMAC_Start are the same commands).

use crate::crypto::cmac::CmacState;
use crate::crypto::hash::HashAlgorithm;
use crate::crypto::hmac::Hmac;
use crate::pipeline::Context;
use crate::state::object::{CmacSequence, Object, Sequence, SequenceKind};
use crate::structure::algorithm::AlgorithmId;
use crate::structure::attributes::ObjectAttributes as Bits;
use crate::structure::buffer::Buffer;
use crate::structure::digest::Auth;
use crate::structure::public::{Public, PublicParameters};
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::KeyedHashScheme;
use crate::structure::symmetric::{CipherDefinition, CipherMode};
use crate::wire::{Reader, Result, Unmarshal};

/// TPMI_ALG_MAC_SCHEME: a hash, for HMAC, or CMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MacScheme {
    Hmac(HashAlgorithm),
    Cmac,
}

/// TPMI_ALG_MAC_SCHEME+: any other algorithm is TPM_RC_SYMMETRIC.
pub(super) struct WantedScheme(Option<MacScheme>);

impl Unmarshal for WantedScheme {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        match reader.value()? {
            AlgorithmId::NULL => Ok(Self(None)),
            AlgorithmId::CMAC => Ok(Self(Some(MacScheme::Cmac))),
            AlgorithmId(id) => {
                let hash = HashAlgorithm::from_id(id).ok_or(ResponseCode::SYMMETRIC)?;
                Ok(Self(Some(MacScheme::Hmac(hash))))
            }
        }
    }
}

/// Starts a MAC with the key of the command's first handle, in the scheme of its second parameter.
pub(super) fn start(context: &Context<'_>, wanted: &WantedScheme, auth: Auth) -> Result<Sequence> {
    let object = context.state.object(context.handle(1))?;
    let scheme = select(&object.public, wanted.0)?;
    if object.has(Bits::RESTRICTED) {
        return Err(ResponseCode::ATTRIBUTES.in_handle(1));
    }
    if !object.has(Bits::SIGN_ENCRYPT) {
        return Err(ResponseCode::KEY.in_handle(1));
    }
    Ok(Sequence::new(auth, computation(object, scheme)?))
}

/// The key's own scheme, or the caller's if the key leaves it open: TPM_RC_TYPE for a key that
/// makes no MACs, TPM_RC_VALUE for a scheme that isn't the key's.
fn select(public: &Public, wanted: Option<MacScheme>) -> Result<MacScheme> {
    let wrong = ResponseCode::VALUE.in_parameter(2);
    let own = match &public.parameters {
        PublicParameters::KeyedHash(None)
        | PublicParameters::SymmetricCipher(CipherDefinition { mode: None, .. }) => None,
        PublicParameters::KeyedHash(Some(KeyedHashScheme::Hmac(hash))) => {
            Some(MacScheme::Hmac(*hash))
        }
        PublicParameters::SymmetricCipher(CipherDefinition {
            mode: Some(CipherMode::Cmac),
            ..
        }) => Some(MacScheme::Cmac),
        PublicParameters::KeyedHash(Some(_)) | PublicParameters::SymmetricCipher(_) => {
            return Err(wrong);
        }
        PublicParameters::Rsa(_) | PublicParameters::Ecc(_) => {
            return Err(ResponseCode::TYPE.in_handle(1));
        }
    };
    let selected = match (own, wanted) {
        (Some(own), None) => own,
        (Some(own), Some(wanted)) if own == wanted => own,
        (None, Some(wanted)) => wanted,
        _ => return Err(wrong),
    };
    // A key of hashes has no CMAC and one of a cipher no HMAC, though the wire may say so.
    match (&public.parameters, selected) {
        (PublicParameters::KeyedHash(_), MacScheme::Hmac(_))
        | (PublicParameters::SymmetricCipher(_), MacScheme::Cmac) => Ok(selected),
        _ => Err(wrong),
    }
}

fn computation(object: &Object, scheme: MacScheme) -> Result<SequenceKind> {
    let sensitive = object.sensitive.as_ref().ok_or(ResponseCode::KEY.in_handle(1))?;
    match (scheme, &object.public.parameters) {
        (MacScheme::Cmac, PublicParameters::SymmetricCipher(definition)) => {
            Ok(SequenceKind::Cmac(CmacSequence {
                definition: *definition,
                key: Buffer::new(&sensitive.secret)?,
                state: CmacState::new(),
            }))
        }
        (MacScheme::Hmac(hash), PublicParameters::KeyedHash(_)) => {
            Ok(SequenceKind::Hmac(Hmac::new(hash, &sensitive.secret)))
        }
        _ => Err(ResponseCode::VALUE.in_parameter(2)),
    }
}
