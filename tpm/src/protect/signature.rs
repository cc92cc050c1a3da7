// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signatures by objects (Part 1, annexes B.7 and C.4; Part 3, 20): which scheme is used, making
//! them, verifying them.
//!
//! The scheme is always one that belongs to the kind of the key, whatever the wire says
//! (CVE-2025-2884, CVE-2025-49133: a keyed hash key with an asymmetric scheme).

use super::key::{ecc_private, ecc_public, rsa_private, rsa_public};
use crate::crypto::CryptoError;
use crate::crypto::ecc::{self, EccSignature};
use crate::crypto::hash::Digest;
use crate::crypto::hmac::Hmac;
use crate::crypto::rsa::{pss_sign, pss_verify, rsassa_sign, rsassa_verify};
use crate::pipeline::Context;
use crate::state::object::Object;
use crate::structure::attributes::ObjectAttributes;
use crate::structure::digest::TaggedDigest;
use crate::structure::ecc::EccParameter;
use crate::structure::handle::Handle;
use crate::structure::public::{ObjectType, Public, PublicParameters, RsaBuffer};
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::{KeyedHashScheme, SignatureScheme};
use crate::structure::signature::Signature;
use crate::wire::Result;

/// Whether a key may sign: not a block cipher's, whose attribute means that it encrypts.
pub const fn is_signing_key(public: &Public) -> bool {
    public.has(ObjectAttributes::SIGN_ENCRYPT)
        && !matches!(public.object_type(), ObjectType::SymmetricCipher)
}

/// The scheme that a key signs with when the caller asks for `wanted`: the key's own, or the
/// caller's if the key has none. TPM_RC_SCHEME when they differ, when there is none at all, or
/// when it doesn't belong to the kind of the key.
pub fn select_scheme(public: &Public, wanted: Option<SignatureScheme>) -> Result<SignatureScheme> {
    let own = match &public.parameters {
        PublicParameters::Rsa(rsa) => rsa.scheme.and_then(|scheme| scheme.signature()),
        PublicParameters::Ecc(ecc) => ecc.scheme.and_then(|scheme| scheme.signature()),
        PublicParameters::KeyedHash(Some(KeyedHashScheme::Hmac(hash))) => {
            Some(SignatureScheme::Hmac(*hash))
        }
        PublicParameters::KeyedHash(_) => None,
        PublicParameters::SymmetricCipher(_) => return Err(ResponseCode::SCHEME),
    };
    let selected = match (own, wanted) {
        // The caller must say which commitment is to be used.
        (None, None) | (Some(SignatureScheme::Ecdaa(..)), None) => {
            return Err(ResponseCode::SCHEME);
        }
        (Some(own), None) => own,
        (None, Some(wanted)) => wanted,
        // The counter of ECDAA is the caller's, everything else the key's.
        (Some(SignatureScheme::Ecdaa(own, _)), Some(SignatureScheme::Ecdaa(wanted, count)))
            if own == wanted =>
        {
            SignatureScheme::Ecdaa(own, count)
        }
        (Some(own), Some(wanted)) if own == wanted => own,
        (Some(_), Some(_)) => return Err(ResponseCode::SCHEME),
    };
    if belongs(public.object_type(), selected) { Ok(selected) } else { Err(ResponseCode::SCHEME) }
}

/// Whether a scheme is one of this kind of key.
const fn belongs(object_type: ObjectType, scheme: SignatureScheme) -> bool {
    match scheme {
        SignatureScheme::Hmac(_) => matches!(object_type, ObjectType::KeyedHash),
        SignatureScheme::Rsassa(_) | SignatureScheme::Rsapss(_) => {
            matches!(object_type, ObjectType::Rsa)
        }
        SignatureScheme::Ecdsa(_)
        | SignatureScheme::Ecdaa(..)
        | SignatureScheme::Sm2(_)
        | SignatureScheme::EcSchnorr(_) => matches!(object_type, ObjectType::Ecc),
    }
}

/// Signs a digest with a loaded key, in a scheme from [`select_scheme`]. The digest must be one of
/// the scheme's hash.
pub fn sign(
    context: &mut Context<'_>,
    key: Handle,
    scheme: SignatureScheme,
    digest: &Digest,
) -> Result<Signature> {
    let object = context.state.object(key)?;
    if !belongs(object.public.object_type(), scheme) {
        return Err(ResponseCode::SCHEME);
    }
    let algorithm = scheme.algorithm();
    let hash = scheme.hash();
    match scheme {
        SignatureScheme::Hmac(_) => {
            let sensitive = object.sensitive.as_ref().ok_or(ResponseCode::KEY)?;
            let digest = Hmac::mac(hash, &sensitive.secret, &[digest]);
            Ok(Signature::Hmac(TaggedDigest { algorithm: hash, digest }))
        }
        SignatureScheme::Rsassa(_) | SignatureScheme::Rsapss(_) => {
            let power = context.platform.power();
            let (private, random) = rsa_private(context.state, key)?;
            let signed = match scheme {
                SignatureScheme::Rsassa(_) => rsassa_sign(private, power, random, hash, digest),
                _ => pss_sign(private, power, random, hash, digest),
            };
            let signed = signed.map_err(|error| match error {
                // The key is too short for the hash.
                CryptoError::Size => ResponseCode::SIZE,
                other => other.into(),
            })?;
            Ok(Signature::Rsa(algorithm, hash, RsaBuffer::new(signed.as_bytes())?))
        }
        SignatureScheme::Ecdsa(_) | SignatureScheme::Sm2(_) | SignatureScheme::EcSchnorr(_) => {
            let (curve, private) = ecc_private(object)?;
            let random = context.state.random()?;
            let EccSignature { r, s } = match scheme {
                SignatureScheme::Ecdsa(_) => ecc::ecdsa_sign(curve, &private, digest, random),
                SignatureScheme::Sm2(_) => ecc::sm2_sign(curve, &private, digest, random),
                _ => ecc::schnorr_sign(curve, &private, hash, digest, random),
            }?;
            ecc_signature(scheme, &r, &s)
        }
        SignatureScheme::Ecdaa(_, count) => sign_anonymously(context, key, scheme, count, digest),
    }
}

fn ecc_signature(
    scheme: SignatureScheme,
    r: &ecc::EccParameter,
    s: &ecc::EccParameter,
) -> Result<Signature> {
    let r = EccParameter::new(r.as_bytes())?;
    let s = EccParameter::new(s.as_bytes())?;
    Ok(Signature::Ecc(scheme.algorithm(), scheme.hash(), r, s))
}

/// ECDAA with the commitment of a TPM2_Commit, which is used up by it (Part 1, C.4.2).
fn sign_anonymously(
    context: &mut Context<'_>,
    key: Handle,
    scheme: SignatureScheme,
    count: u16,
    digest: &Digest,
) -> Result<Signature> {
    let state = &mut *context.state;
    let counter = state.reset.commit.counter_of(count).ok_or(ResponseCode::VALUE)?;
    let object = state.object(key)?;
    let (curve, private) = ecc_private(object)?;
    let name = object.name.clone();
    let scalar = ecc::commit_scalar(curve, &state.reset.commit.random, &name, counter)?;
    let random = state.random()?;
    let EccSignature { r, s } =
        ecc::ecdaa_sign(curve, &private, &scalar, scheme.hash(), digest, random)?;
    state.reset.change().commit.end(count);
    ecc_signature(scheme, &r, &s)
}

/// Verifies a signature of a digest. TPM_RC_SCHEME when the scheme isn't one of the kind of the
/// key; TPM_RC_SIGNATURE when the signature isn't right, or an HMAC of another hash than the key is
/// for; TPM_RC_HANDLE for an HMAC by a key whose secret isn't here.
pub fn verify(
    context: &Context<'_>,
    key: &Object,
    digest: &Digest,
    signature: &Signature,
) -> Result<()> {
    let scheme = signature.scheme();
    if !belongs(key.public.object_type(), scheme) {
        return Err(ResponseCode::SCHEME);
    }
    let wrong = |_: CryptoError| ResponseCode::SIGNATURE;
    match signature {
        Signature::Hmac(claimed) => {
            let sensitive = key.sensitive.as_ref().ok_or(ResponseCode::HANDLE)?;
            if let PublicParameters::KeyedHash(Some(own)) = key.public.parameters
                && own != KeyedHashScheme::Hmac(claimed.algorithm)
            {
                return Err(ResponseCode::SIGNATURE);
            }
            let mac = Hmac::mac(claimed.algorithm, &sensitive.secret, &[digest]);
            if mac == claimed.digest { Ok(()) } else { Err(ResponseCode::SIGNATURE) }
        }
        Signature::Rsa(_, hash, octets) => {
            let public = rsa_public(&key.public)?;
            let power = context.platform.power();
            match scheme {
                SignatureScheme::Rsapss(_) => pss_verify(&public, power, *hash, digest, octets),
                _ => rsassa_verify(&public, power, *hash, digest, octets),
            }
            .map_err(wrong)
        }
        Signature::Ecc(_, hash, r, s) => {
            let (curve, public) = ecc_public(&key.public)?;
            let signature = EccSignature {
                r: ecc::EccParameter::new(curve, r).map_err(wrong)?,
                s: ecc::EccParameter::new(curve, s).map_err(wrong)?,
            };
            match scheme {
                SignatureScheme::Ecdsa(_) => ecc::ecdsa_verify(curve, &public, digest, &signature),
                SignatureScheme::Sm2(_) => ecc::sm2_verify(curve, &public, digest, &signature),
                SignatureScheme::EcSchnorr(_) => {
                    ecc::schnorr_verify(curve, &public, *hash, digest, &signature)
                }
                // Nobody can verify an anonymous signature by a public point alone.
                _ => return Err(ResponseCode::SCHEME),
            }
            .map_err(wrong)
        }
    }
}
