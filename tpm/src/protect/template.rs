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
    let has_data = data_size != 0;
    // The caller's data enter the derivation of a primary object that the TPM makes; an ordinary
    // object has no use for them.
    let is_useless = is_made_here && has_data && parent.is_some();
    if is_useless || !is_made_here && !has_data {
        return Err(ResponseCode::ATTRIBUTES);
    }
    let is_right = match public.object_type() {
        ObjectType::KeyedHash => {
            !(is_sealed_data(public) && is_made_here) && has_right_origin(public)
        }
        ObjectType::SymmetricCipher => has_right_origin(public),
        ObjectType::Rsa | ObjectType::Ecc => is_made_here,
    };
    if !is_right {
        return Err(ResponseCode::ATTRIBUTES);
    }
    check_public(parent, public)
}

/// Checks the public area of an object that is to be derived: its secrets are not the TPM's own.
pub fn check_derivation(parent: &Object, public: &Public) -> Result<()> {
    if public.has(Bits::SENSITIVE_DATA_ORIGIN) {
        return Err(ResponseCode::ATTRIBUTES);
    }
    check_public(Some(parent), public)
}

/// A restricted symmetric key is made by the TPM, unless it can be duplicated.
fn has_right_origin(public: &Public) -> bool {
    !public.has(Bits::RESTRICTED)
        || public.has(Bits::SENSITIVE_DATA_ORIGIN)
        || !public.attributes.intersects(Bits::FIXED_PARENT.with(Bits::FIXED_TPM))
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

/// Checks the public area of an object from outside the TPM, with secrets or without. Without, it
/// may be the public part of a key that another TPM has, below any parent.
pub fn check_external(public: &Public, has_sensitive: bool) -> Result<()> {
    if has_sensitive && public.name_algorithm.is_some() {
        check_public(None, public)
    } else {
        check_schemes(None, public)
    }
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
    // No hierarchy here is limited to a firmware, and so no parent is.
    if public.attributes.intersects(Bits::FIRMWARE_LIMITED.with(Bits::SVN_LIMITED)) {
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
            if definition.mode == Some(CipherMode::Cmac) && public.has(Bits::DECRYPT) {
                Err(ResponseCode::SCHEME)
            } else if public.has(PROTECTS) {
                check_protection(parent, public, Some(*definition))
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
        (false, true, Some(KeyedHashScheme::Xor(_, derivation))) => {
            !is_restricted || derivation == Some(KeyDerivation::Sp800_108)
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
        (false, false, scheme) => scheme.is_none(),
    };
    if is_right { Ok(()) } else { Err(ResponseCode::SCHEME) }
}

/// What a key that protects others has.
const PROTECTS: Bits = Bits::RESTRICTED.with(Bits::DECRYPT);

/// The cipher by which a parent protects its children: it has one, others don't; a child that
/// cannot be duplicated protects as its parent does. The mode is not looked at: whatever a
/// template says, protected storage uses CFB (Part 1, 22.4).
fn check_protection(
    parent: Option<&Public>,
    public: &Public,
    symmetric: Option<CipherDefinition>,
) -> Result<()> {
    if !public.has(PROTECTS) {
        return if symmetric.is_some() { Err(ResponseCode::SYMMETRIC) } else { Ok(()) };
    }
    let definition = symmetric.ok_or(ResponseCode::SYMMETRIC)?;
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
            (Bits::FIRMWARE_LIMITED, Bits::empty()),
            (Bits::SVN_LIMITED, Bits::empty()),
        ] {
            let checked = check_with(|public| {
                public.attributes = public.attributes.without(removed).with(added);
            });
            assert_eq!(checked, wrong, "{added:?} {removed:?}");
        }
        assert_eq!(check_with(|_| {}), Ok(()));
    }

    fn set_symmetric(public: &mut Public, symmetric: Option<CipherDefinition>) {
        if let PublicParameters::Rsa(rsa) = &mut public.parameters {
            rsa.symmetric = symmetric;
        }
    }

    #[test]
    fn a_parent_has_a_cipher_and_others_have_none() {
        let checked = check_with(|public| set_symmetric(public, None));
        assert_eq!(checked, Err(ResponseCode::SYMMETRIC));
        let signing = |public: &mut Public| {
            public.attributes = public.attributes.without(PROTECTS).with(Bits::SIGN_ENCRYPT);
        };
        assert_eq!(check_with(signing), Err(ResponseCode::SYMMETRIC));
        let checked = check_with(|public| {
            signing(public);
            set_symmetric(public, None);
        });
        assert_eq!(checked, Ok(()));
    }

    #[test]
    fn a_child_that_stays_protects_as_its_parent() {
        let parent = Object {
            name: Default::default(),
            qualified_name: Default::default(),
            hierarchy: crate::structure::handle::Handle::OWNER,
            is_external: false,
            is_primary: true,
            is_st_clear: false,
            is_temporary: false,
            public: storage(),
            sensitive: None,
        };
        let check = |change: &dyn Fn(&mut Public), data_size| {
            let mut public = storage();
            change(&mut public);
            check_creation(Some(&parent), &public, data_size)
        };
        assert_eq!(check(&|_| {}, 1), Err(ResponseCode::ATTRIBUTES), "data without use");
        let other_hash = |public: &mut Public| public.name_algorithm = Some(HashAlgorithm::Sha384);
        assert_eq!(check(&other_hash, 0), Err(ResponseCode::HASH));
        let longer = Some(CipherDefinition { key_bits: 256, ..AES_CFB });
        let other_cipher = |public: &mut Public| set_symmetric(public, longer);
        assert_eq!(check(&other_cipher, 0), Err(ResponseCode::SYMMETRIC));
        assert_eq!(check(&|_| {}, 0), Ok(()));
        let movable = |public: &mut Public| {
            let fixed = Bits::FIXED_TPM.with(Bits::FIXED_PARENT);
            public.attributes = public.attributes.without(fixed);
            set_symmetric(public, longer);
        };
        assert_eq!(check(&movable, 0), Ok(()));
    }

    /// CVE-2025-2884 and CVE-2025-49133 need a keyed hash object whose scheme isn't its own.
    #[test]
    fn cve_2025_2884_and_49133_a_keyed_hash_key_has_the_scheme_of_its_use() {
        let hmac = Some(KeyedHashScheme::Hmac(HashAlgorithm::Sha256));
        let xor = |kdf| Some(KeyedHashScheme::Xor(HashAlgorithm::Sha256, kdf));
        let (sign, decrypt) = (Bits::SIGN_ENCRYPT, Bits::DECRYPT);
        let derives = PROTECTS;
        for (uses, scheme, is_right) in [
            (sign, None, false),
            (sign, xor(Some(KeyDerivation::Sp800_108)), false),
            (decrypt, hmac, false),
            (decrypt, None, false),
            (sign.with(decrypt), hmac, false),
            (derives, xor(Some(KeyDerivation::Mgf1)), false),
            (derives, xor(None), false),
            (sign, hmac, true),
            (decrypt, xor(Some(KeyDerivation::Mgf1)), true),
            (decrypt, xor(None), true),
            (derives, xor(Some(KeyDerivation::Sp800_108)), true),
            (sign.with(decrypt), None, true),
        ] {
            let checked = check_with(|public| {
                public.attributes = public.attributes.without(PROTECTS).with(uses);
                public.parameters = PublicParameters::KeyedHash(scheme);
            });
            let expected = if is_right { Ok(()) } else { Err(ResponseCode::SCHEME) };
            assert_eq!(checked, expected, "{uses:?} {scheme:?}");
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
