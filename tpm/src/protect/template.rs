// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a public area must be like (Part 1, 25 and 27; Part 2, 8.3.3 and 12.2.3): attributes,
//! policy and schemes that go together, and that go with the parent's.

use crate::state::object::Object;
use crate::structure::attributes::ObjectAttributes as Bits;
use crate::structure::public::{ObjectType, Public, PublicParameters};
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::{AsymmetricScheme, KeyDerivation, KeyedHashScheme};
use crate::structure::symmetric::{CipherDefinition, CipherMode};
use crate::wire::Result;

/// Checks the public area of an object that is to be made: `data_size` octets of its secret come
/// from the caller. `parent` is `None` below a hierarchy.
pub fn check_creation(parent: Option<&Object>, public: &Public, data_size: usize) -> Result<()> {
    let is_made_here = public.has(Bits::SENSITIVE_DATA_ORIGIN);
    let is_derived = parent.is_some_and(|parent| is_derivation_parent(&parent.public));
    // Derived objects take nothing from the caller but what enters the derivation.
    if !is_derived && is_made_here != (data_size == 0) {
        return Err(ResponseCode::ATTRIBUTES);
    }
    match public.object_type() {
        ObjectType::KeyedHash => {
            if is_sealed_data(public) && is_made_here {
                return Err(ResponseCode::ATTRIBUTES);
            }
            check_restricted_origin(public, is_derived)?;
        }
        ObjectType::SymmetricCipher => check_restricted_origin(public, is_derived)?,
        ObjectType::Rsa | ObjectType::Ecc => {
            if !is_derived && !is_made_here {
                return Err(ResponseCode::ATTRIBUTES);
            }
        }
    }
    check_public(parent, public)
}

/// A restricted symmetric key is made by the TPM, unless it can be duplicated.
fn check_restricted_origin(public: &Public, is_derived: bool) -> Result<()> {
    let is_bound = public.attributes.intersects(Bits::FIXED_PARENT.with(Bits::FIXED_TPM));
    if !is_derived
        && public.has(Bits::RESTRICTED)
        && !public.has(Bits::SENSITIVE_DATA_ORIGIN)
        && is_bound
    {
        return Err(ResponseCode::ATTRIBUTES);
    }
    Ok(())
}

/// Whether it is data without any use as a key.
pub fn is_sealed_data(public: &Public) -> bool {
    public.object_type() == ObjectType::KeyedHash
        && !public.attributes.intersects(Bits::SIGN_ENCRYPT.with(Bits::DECRYPT))
}

/// Whether objects are derived from it instead of being wrapped by it.
pub fn is_derivation_parent(public: &Public) -> bool {
    public.is_parent() && public.object_type() == ObjectType::KeyedHash
}

/// Whether objects can be wrapped by it.
pub fn is_storage_parent(public: &Public) -> bool {
    public.is_parent() && public.object_type() != ObjectType::KeyedHash
}

/// Checks the public area of any object of this TPM. `parent` is `None` below a hierarchy.
pub fn check_public(parent: Option<&Object>, public: &Public) -> Result<()> {
    let algorithm = public.name_algorithm.ok_or(ResponseCode::HASH)?;
    let policy_size = public.auth_policy.len();
    if policy_size != 0 && policy_size != algorithm.digest_size() {
        return Err(ResponseCode::SIZE);
    }
    check_attributes(parent.map(|parent| &parent.public), public)?;
    check_schemes(parent.map(|parent| &parent.public), public)
}

/// Checks the public area of an object from outside the TPM, with secrets or without.
pub fn check_external(public: &Public, has_sensitive: bool) -> Result<()> {
    let Some(algorithm) = public.name_algorithm else {
        // Without a Name there is nothing that a policy could be part of.
        return if public.auth_policy.is_empty() { Ok(()) } else { Err(ResponseCode::SIZE) };
    };
    let policy_size = public.auth_policy.len();
    if policy_size != 0 && policy_size != algorithm.digest_size() {
        return Err(ResponseCode::SIZE);
    }
    if !has_sensitive {
        // It may be the public part of a key that another TPM has, whose parent isn't known.
        return Ok(());
    }
    check_schemes(None, public)
}

fn check_attributes(parent: Option<&Public>, public: &Public) -> Result<()> {
    let wrong = Err(ResponseCode::ATTRIBUTES);
    let is_parent_fixed = parent.is_none_or(|parent| parent.has(Bits::FIXED_TPM));
    let is_fixed_tpm = public.has(Bits::FIXED_TPM);
    if is_parent_fixed {
        if is_fixed_tpm != public.has(Bits::FIXED_PARENT) {
            return wrong;
        }
    } else if is_fixed_tpm {
        return wrong;
    }
    let is_signing = public.has(Bits::SIGN_ENCRYPT);
    if is_signing == public.has(Bits::DECRYPT) {
        let is_useless = !is_signing && public.object_type() != ObjectType::KeyedHash;
        if public.has(Bits::RESTRICTED) || is_useless {
            return wrong;
        }
    }
    let is_encrypted = public.has(Bits::ENCRYPTED_DUPLICATION);
    if is_fixed_tpm && is_encrypted {
        return wrong;
    }
    let Some(parent) = parent else { return Ok(()) };
    if !is_parent_fixed && is_encrypted != parent.has(Bits::ENCRYPTED_DUPLICATION) {
        return wrong;
    }
    if is_derivation_parent(parent)
        && (is_fixed_tpm != is_parent_fixed || !public.has(Bits::FIXED_PARENT))
    {
        return wrong;
    }
    Ok(())
}

fn check_schemes(parent: Option<&Public>, public: &Public) -> Result<()> {
    match &public.parameters {
        PublicParameters::KeyedHash(scheme) => check_keyed_hash(public, *scheme),
        PublicParameters::SymmetricCipher(definition) => {
            if public.is_parent() {
                check_protection(parent, public, Some(*definition))
            } else if definition.mode == Some(CipherMode::Cmac) && public.has(Bits::DECRYPT) {
                Err(ResponseCode::SCHEME)
            } else {
                Ok(())
            }
        }
        PublicParameters::Rsa(rsa) => {
            check_asymmetric(public, rsa.scheme)?;
            check_protection(parent, public, rsa.symmetric)
        }
        PublicParameters::Ecc(ecc) => {
            check_asymmetric(public, ecc.scheme)?;
            if ecc.kdf.0.is_some() {
                return Err(ResponseCode::KDF);
            }
            check_protection(parent, public, ecc.symmetric)
        }
    }
}

fn check_keyed_hash(public: &Public, scheme: Option<KeyedHashScheme>) -> Result<()> {
    let is_restricted = public.has(Bits::RESTRICTED);
    let is_right = match (public.has(Bits::SIGN_ENCRYPT), public.has(Bits::DECRYPT), scheme) {
        (false, false, scheme) | (true, true, scheme) => scheme.is_none(),
        (true, false, Some(KeyedHashScheme::Hmac(_))) => true,
        (true, false, None) => !is_restricted,
        (false, true, Some(KeyedHashScheme::Xor(_, derivation))) => {
            !is_restricted || derivation == KeyDerivation::Sp800_108
        }
        _ => false,
    };
    if is_right { Ok(()) } else { Err(ResponseCode::SCHEME) }
}

fn check_asymmetric(public: &Public, scheme: Option<AsymmetricScheme>) -> Result<()> {
    let is_restricted = public.has(Bits::RESTRICTED);
    let is_right = match (public.has(Bits::SIGN_ENCRYPT), public.has(Bits::DECRYPT), scheme) {
        (true, true, scheme) => scheme.is_none(),
        (true, false, Some(AsymmetricScheme::Signature(_))) => true,
        (true, false, None) => !is_restricted,
        (true, false, Some(_)) => false,
        (false, true, None) => true,
        (false, true, Some(AsymmetricScheme::Signature(signature))) => {
            // SM2 is a key exchange as well.
            !is_restricted && signature.algorithm() == crate::structure::algorithm::AlgorithmId::SM2
        }
        (false, true, Some(_)) => !is_restricted,
        (false, false, _) => true,
    };
    if is_right { Ok(()) } else { Err(ResponseCode::SCHEME) }
}

/// The cipher by which a parent protects its children: it has one, others don't; a child that
/// cannot be duplicated protects as its parent does.
fn check_protection(
    parent: Option<&Public>,
    public: &Public,
    symmetric: Option<CipherDefinition>,
) -> Result<()> {
    if !public.is_parent() {
        return if symmetric.is_some() { Err(ResponseCode::SYMMETRIC) } else { Ok(()) };
    }
    let definition = symmetric.ok_or(ResponseCode::SYMMETRIC)?;
    if definition.mode != Some(CipherMode::Cfb) {
        return Err(ResponseCode::MODE);
    }
    let Some(parent) = parent.filter(|_| public.has(Bits::FIXED_PARENT)) else { return Ok(()) };
    if public.name_algorithm != parent.name_algorithm {
        return Err(ResponseCode::HASH);
    }
    if parent.parameters.symmetric() != Some(definition) {
        return Err(ResponseCode::SYMMETRIC);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hash::{Digest, HashAlgorithm};
    use crate::structure::public::{RsaKeyBits, RsaParameters, Unique};
    use crate::structure::symmetric::BlockCipher;

    const AES_CFB: CipherDefinition =
        CipherDefinition { cipher: BlockCipher::Aes, key_bits: 128, mode: Some(CipherMode::Cfb) };

    fn storage() -> Public {
        Public {
            name_algorithm: Some(HashAlgorithm::Sha256),
            attributes: Bits::FIXED_TPM
                .with(Bits::FIXED_PARENT)
                .with(Bits::SENSITIVE_DATA_ORIGIN)
                .with(Bits::USER_WITH_AUTH)
                .with(Bits::RESTRICTED)
                .with(Bits::DECRYPT),
            auth_policy: Digest::EMPTY,
            parameters: PublicParameters::Rsa(RsaParameters {
                symmetric: Some(AES_CFB),
                scheme: None,
                key_bits: RsaKeyBits::Bits2048,
                exponent: 0,
            }),
            unique: Unique::Digest(Digest::EMPTY),
        }
    }

    fn check_with(change: impl FnOnce(&mut Public)) -> Result<()> {
        let mut public = storage();
        change(&mut public);
        check_creation(None, &public, 0)
    }

    #[test]
    fn attributes_go_together() {
        let wrong = Err(ResponseCode::ATTRIBUTES);
        for (added, removed) in [
            (Bits::empty(), Bits::FIXED_PARENT),
            (Bits::empty(), Bits::FIXED_TPM),
            (Bits::SIGN_ENCRYPT, Bits::empty()),
            (Bits::empty(), Bits::DECRYPT),
            (Bits::ENCRYPTED_DUPLICATION, Bits::empty()),
            (Bits::empty(), Bits::SENSITIVE_DATA_ORIGIN),
            (Bits::empty(), Bits::DECRYPT.with(Bits::RESTRICTED)),
        ] {
            let checked = check_with(|public| {
                public.attributes = public.attributes.without(removed).with(added);
            });
            assert_eq!(checked, wrong, "{added:?} {removed:?}");
        }
        assert_eq!(check_creation(None, &storage(), 1), wrong);
        assert_eq!(check_with(|_| {}), Ok(()));
    }

    #[test]
    fn a_parent_protects_by_a_cipher_in_cfb() {
        let mode = |mode| CipherDefinition { mode, ..AES_CFB };
        for (symmetric, expected) in [
            (None, Err(ResponseCode::SYMMETRIC)),
            (Some(mode(None)), Err(ResponseCode::MODE)),
            (Some(mode(Some(CipherMode::Cbc))), Err(ResponseCode::MODE)),
            (Some(AES_CFB), Ok(())),
        ] {
            let checked = check_with(|public| {
                if let PublicParameters::Rsa(rsa) = &mut public.parameters {
                    rsa.symmetric = symmetric;
                }
            });
            assert_eq!(checked, expected);
        }
    }

    #[test]
    fn the_policy_is_a_digest_of_the_name_algorithm() {
        let checked = check_with(|public| public.auth_policy = Digest::zero(HashAlgorithm::Sha1));
        assert_eq!(checked, Err(ResponseCode::SIZE));
        let checked = check_with(|public| public.name_algorithm = None);
        assert_eq!(checked, Err(ResponseCode::HASH));
    }
}
