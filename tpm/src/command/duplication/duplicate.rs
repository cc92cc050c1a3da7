// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_Duplicate (Part 3, 13.1; Part 1, 23.3).

use crate::pipeline::Context;
use crate::protect::secret::{EncryptedSecret, encrypt_secret};
use crate::protect::storage::{Protection, sized_sensitive, wrap_inner};
use crate::structure::attributes::ObjectAttributes as Bits;
use crate::structure::digest::Data;
use crate::structure::handle::Handle;
use crate::structure::public::{ObjectType, Public};
use crate::structure::response_code::ResponseCode;
use crate::structure::symmetric::CipherDefinition;
use crate::wire::{Parameters, Result, Writer};

/// Handles: objectHandle, newParentHandle. Parameters: encryptionKeyIn, symmetricAlg. The
/// response: encryptionKeyOut, duplicate, outSymSeed.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (key_in, symmetric): (Data, Option<CipherDefinition>) = parameters.read()?;
    let (handle, new_parent) = (context.handle(1), context.handle(2));
    let object = context.state.object(handle)?;
    if object.has(Bits::FIXED_PARENT) {
        return Err(ResponseCode::ATTRIBUTES.in_handle(1));
    }
    let hash = object.public.name_algorithm.ok_or(ResponseCode::TYPE.in_handle(1))?;
    let new_parent = match new_parent {
        Handle::NULL => None,
        handle => Some(wrapping_key(&context.state.object(handle)?.public, 2)?),
    };
    let object = context.state.object(handle)?;
    if object.has(Bits::ENCRYPTED_DUPLICATION) {
        if symmetric.is_none() {
            return Err(ResponseCode::SYMMETRIC.in_parameter(2));
        }
        if new_parent.is_none() {
            return Err(ResponseCode::HIERARCHY.in_handle(2));
        }
    }
    check_key_size(&key_in, symmetric, true)?;

    let name = object.name.clone();
    let sensitive = object.sensitive.as_ref().ok_or(ResponseCode::TYPE.in_handle(1))?;
    let mut duplicate = sized_sensitive(sensitive, &name)?;
    let mut key_out = Data::EMPTY;
    if let Some(definition) = symmetric {
        let mut key = key_in;
        if key.is_empty() {
            key = Data::zeroed(definition.key_size())?;
            context.state.fill_random(key.as_mut_slice())?;
            key_out = key.clone();
        }
        duplicate = wrap_inner(definition, &key, hash, &name, &duplicate)?;
    }
    let mut sent = EncryptedSecret::EMPTY;
    if let Some(public) = &new_parent {
        let (seed, encrypted) =
            encrypt_secret(context, public, b"DUPLICATE").map_err(|code| code.in_handle(2))?;
        duplicate = Protection::new(public, &seed)?.wrap(&name, &duplicate)?;
        sent = encrypted;
    }
    response.value(&key_out)?;
    response.value(&duplicate)?;
    response.value(&sent)
}

/// The public area of a parent that an outer wrapper is for, which is the command's handle `place`:
/// an asymmetric storage key, or TPM_RC_TYPE.
pub(super) fn wrapping_key(public: &Public, place: u8) -> Result<Public> {
    let is_asymmetric = matches!(public.object_type(), ObjectType::Rsa | ObjectType::Ecc);
    if public.is_parent() && is_asymmetric {
        Ok(public.clone())
    } else {
        Err(ResponseCode::TYPE.in_handle(place))
    }
}

/// The key of an inner wrapper is as long as its cipher wants; without a cipher there is none.
pub(super) fn check_key_size(
    key: &Data,
    symmetric: Option<CipherDefinition>,
    may_be_missing: bool,
) -> Result<()> {
    let size = symmetric.map_or(0, CipherDefinition::key_size);
    if key.len() == size || may_be_missing && key.is_empty() {
        Ok(())
    } else {
        Err(ResponseCode::SIZE.in_parameter(1))
    }
}
