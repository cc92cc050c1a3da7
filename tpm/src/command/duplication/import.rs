// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_Import (Part 3, 13.3; Part 1, 23.3).

use super::duplicate::check_key_size;
use crate::command::object::create::check_parent;
use crate::pipeline::Context;
use crate::protect::binding::{self, Blame};
use crate::protect::secret::{EncryptedSecret, decrypt_secret};
use crate::protect::storage::{Protection, read_sized_sensitive, unwrap_inner, wrap_child};
use crate::protect::template::check_public;
use crate::structure::attributes::ObjectAttributes as Bits;
use crate::structure::digest::Data;
use crate::structure::public::{ObjectType, SizedPublic};
use crate::structure::response_code::ResponseCode;
use crate::structure::sensitive::Private;
use crate::structure::symmetric::CipherDefinition;
use crate::wire::{Parameters, Result, Writer};

/// Handles: parentHandle. Parameters: encryptionKey, objectPublic, duplicate, inSymSeed,
/// symmetricAlg. The response: outPrivate.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (key, SizedPublic(public), duplicate, secret, symmetric): (
        Data,
        SizedPublic,
        Private,
        EncryptedSecret,
        Option<CipherDefinition>,
    ) = parameters.read()?;
    if public.attributes.intersects(Bits::FIXED_TPM.with(Bits::FIXED_PARENT)) {
        return Err(ResponseCode::ATTRIBUTES.in_parameter(2));
    }
    let parent = context.handle(1);
    check_parent(context.state, parent)?;
    check_key_size(&key, symmetric, false)?;
    if public.has(Bits::ENCRYPTED_DUPLICATION) {
        // It has both wrappers.
        if symmetric.is_none() {
            return Err(ResponseCode::ATTRIBUTES.in_parameter(1));
        }
        if secret.is_empty() {
            return Err(ResponseCode::ATTRIBUTES.in_parameter(4));
        }
    }
    let hash = public.name_algorithm.ok_or(ResponseCode::HASH.in_parameter(2))?;
    let parent_public = context.state.object(parent)?.public.clone();
    let name = public.name()?;

    let mut inner = duplicate;
    if !secret.is_empty() {
        // A symmetric parent cannot receive a seed.
        if !matches!(parent_public.object_type(), ObjectType::Rsa | ObjectType::Ecc) {
            return Err(ResponseCode::TYPE.in_handle(1));
        }
        let seed = decrypt_secret(context, parent, b"DUPLICATE", &secret)
            .map_err(|code| code.in_parameter(4))?;
        inner = Protection::new(&parent_public, &seed)?
            .unwrap(&name, &inner)
            .map_err(|code| code.in_parameter(3))?;
    }
    if let Some(definition) = symmetric {
        inner = unwrap_inner(definition, &key, hash, &name, &inner)
            .map_err(|code| code.in_parameter(3))?;
    }
    let sensitive = read_sized_sensitive(&inner).map_err(|code| code.in_parameter(3))?;
    // Under a parent that can be duplicated itself, TPM2_Load checks.
    if parent_public.has(Bits::FIXED_TPM) {
        check_public(None, &public).map_err(|code| code.in_parameter(2))?;
        binding::check(&public, Some(&sensitive), Blame { public: 2, sensitive: 3 })?;
    }
    response.value(&wrap_child(context, parent, &sensitive, &name)?)
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests::{body, storage_key};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, PASSWORD, frame, parameters, split};
    use std::vec::Vec;

    const PARENT: u32 = 0x8000_0000;
    const CHILD: u32 = 0x8000_0001;

    /// A P-256 signing key that can be duplicated: its policy is PolicyCommandCode(Duplicate).
    fn signing_key() -> Vec<u8> {
        let policy = crate::crypto::hash::HashAlgorithm::Sha256.digest(&[
            &[0; 32],
            &0x16c_u32.to_be_bytes(),
            &0x14b_u32.to_be_bytes(),
        ]);
        parameters(|writer| {
            let words: [u16; 4] = [0x23, 0x0b, 4, 0x0060];
            words.iter().try_for_each(|word| writer.value(word))?;
            writer.sized_bytes(&policy)?;
            let words: [u16; 7] = [0x10, 0x18, 0x0b, 3, 0x10, 0, 0];
            words.iter().try_for_each(|word| writer.value(word))
        })
    }

    fn machine() -> Machine {
        let mut machine = Machine::started();
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        machine
    }

    /// Private and public area of a new child.
    fn create(machine: &mut Machine) -> (Vec<u8>, Vec<u8>) {
        let created =
            machine.authorised(0x153, &[PARENT], &body(b"", b"", &signing_key())).unwrap();
        let private = 2 + usize::from(u16::from_be_bytes([created[0], created[1]]));
        let rest = &created[private..];
        let public = 2 + usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        (created[..private].to_vec(), rest[..public].to_vec())
    }

    #[test]
    fn duplication_needs_a_policy() {
        let mut machine = machine();
        let (private, public) = create(&mut machine);
        machine.authorised(0x157, &[PARENT], &[private, public].concat()).unwrap();
        let refused = machine.authorised(0x14b, &[CHILD, PARENT], &[0, 0, 0, 0x10]);
        assert_eq!(refused, Err(ResponseCode::AUTH_TYPE));
    }

    /// A duplicate for another TPM, made here as an independent reading of Part 1, 23.3 would.
    #[test]
    fn a_wrapped_key_is_imported_and_loaded() {
        let mut machine = machine();
        let secret = [0x31; 32];
        let curve = crate::crypto::ecc::EccCurve::NistP256;
        let scalar = crate::crypto::ecc::EccParameter::new(curve, &secret).unwrap();
        let point = crate::crypto::ecc::public_point(curve, &scalar).unwrap();
        let mut public = signing_key();
        public.truncate(public.len() - 4);
        public.extend(parameters(|writer| {
            writer.sized_bytes(point.x.as_bytes())?;
            writer.sized_bytes(point.y.as_bytes())
        }));
        let sensitive = parameters(|writer| {
            writer.sized(|inner| {
                inner.value(&0x23_u16)?;
                inner.sized_bytes(b"pw")?;
                inner.sized_bytes(&[])?;
                inner.sized_bytes(&secret)
            })
        });
        let import = |public: &[u8], sensitive: &[u8]| {
            parameters(|writer| {
                writer.sized_bytes(&[])?;
                writer.sized_bytes(public)?;
                writer.sized_bytes(sensitive)?;
                writer.sized_bytes(&[])?;
                writer.value(&0x10_u16)
            })
        };
        let private = machine.authorised(0x156, &[PARENT], &import(&public, &sensitive)).unwrap();
        let sized = parameters(|writer| writer.sized_bytes(&public));
        let loaded = machine.authorised(0x157, &[PARENT], &[private, sized].concat());
        assert!(loaded.is_ok());
        let mut fixed = public.clone();
        fixed[7] |= 0x10;
        let refused = machine.authorised(0x156, &[PARENT], &import(&fixed, &sensitive));
        assert_eq!(refused, Err(ResponseCode::ATTRIBUTES.in_parameter(2)));
        let mut other = sensitive.clone();
        *other.last_mut().unwrap() ^= 1;
        let refused = machine.authorised(0x156, &[PARENT], &import(&public, &other));
        assert_eq!(refused, Err(ResponseCode::BINDING.in_parameter(2)));
    }

    #[test]
    fn a_policy_session_is_what_frame_and_area_say() {
        let mut machine = machine();
        let area = parameters(|writer| {
            writer.value(&PARENT)?;
            writer.value(&9_u32)?;
            writer.value(&PASSWORD)?;
            writer.sized_bytes(&[])?;
            writer.value(&1_u8)?;
            writer.sized_bytes(&[])
        });
        let response = machine.raw(&frame(0x8002, 0x156, &area));
        assert_eq!(split(&response), Err(ResponseCode::INSUFFICIENT.in_parameter(1)));
    }
}
