// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_CreateLoaded (Part 3, 12.9): a primary, an ordinary or a derived object, by its parent.

use crate::crypto::kdf::KdfaGenerator;
use crate::pipeline::Context;
use crate::protect::generate::{Primary, Source, generate};
use crate::protect::storage::wrap_child;
use crate::protect::template::{check_creation, check_derivation, is_derivation_parent};
use crate::state::object::Transient;
use crate::structure::buffer::Buffer;
use crate::structure::handle::{Handle, HandleKind};
use crate::structure::public::{ObjectType, Public, PublicParameters, Template};
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::KeyedHashScheme;
use crate::structure::sensitive::{Private, SensitiveCreate};
use crate::wire::{Parameters, Reader, Result, Writer};

/// Octets of a label or a context (LABEL_MAX_BUFFER).
const LABEL_SIZE_MAX: usize = 32;

/// TPMS_DERIVE: what the derivation of an object depends on.
struct Derive {
    label: Buffer<LABEL_SIZE_MAX>,
    context: Buffer<LABEL_SIZE_MAX>,
}

impl Derive {
    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let label = reader.value()?;
        Ok(Self { label, context: reader.value()? })
    }

    const EMPTY: Self = Self { label: Buffer::EMPTY, context: Buffer::EMPTY };
}

/// Handles: parentHandle. Parameters: inSensitive, inPublic. The response: objectHandle;
/// outPrivate, outPublic, name.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (create, template): (SensitiveCreate, Template) = parameters.read()?;
    let parent = context.handle(1);
    context.state.transients.check_room()?;
    let is_derived = check_parent(context, parent)?;
    let (mut public, derive) =
        read_template(&template, is_derived).map_err(|code| code.in_parameter(2))?;
    let parent_object = context.state.find_object(parent);
    let checked = match parent_object {
        Some(parent) if is_derived => check_derivation(parent, &public),
        parent => check_creation(parent, &public, create.data.len()),
    };
    checked.map_err(|code| code.in_parameter(2))?;
    let is_primary = parent_object.is_none();
    let sensitive = if is_derived {
        let (label, usage) = derivation(&create, &derive)?;
        let (hash, key) = derivation_key(context, parent)?;
        let source = KdfaGenerator::new(hash, &key, &label, &usage);
        generate(context.state, context.platform, &mut public, &create, Source::Derived(source))
    } else if is_primary {
        let source = Source::Primary(Primary::new(context.state, parent, &public, &create.data)?);
        generate(context.state, context.platform, &mut public, &create, source)
    } else {
        generate(context.state, context.platform, &mut public, &create, Source::Random)
    };
    let sensitive = sensitive.map_err(|code| code.in_parameter(2))?;
    let name = public.name()?;
    let private = if is_primary || is_derived {
        Private::EMPTY
    } else {
        wrap_child(context, parent, &sensitive, &name)?
    };
    let object = context.state.child(parent, public, Some(sensitive))?;
    response.value(&private)?;
    response.sized_value(&object.public)?;
    response.value(&object.name)?;
    context.response_handle = Some(context.state.transients.insert(Transient::Object(object))?);
    Ok(())
}

/// Whether the parent derives; TPM_RC_TYPE if it is no parent at all.
fn check_parent(context: &Context<'_>, parent: Handle) -> Result<bool> {
    if parent.kind() == Some(HandleKind::Permanent) {
        return Ok(false);
    }
    let object = context.state.find_object(parent).filter(|object| object.is_parent());
    let object = object.ok_or(ResponseCode::TYPE.in_handle(1))?;
    Ok(is_derivation_parent(&object.public))
}

/// The public area of a template. Under a derivation parent its unique value is a TPMS_DERIVE.
fn read_template(template: &Template, is_derived: bool) -> Result<(Public, Derive)> {
    let mut reader = Reader::new(template);
    let (public, derive) = if is_derived {
        let public = Public::read_without_unique(&mut reader)?;
        if public.object_type() == ObjectType::Rsa {
            return Err(ResponseCode::TYPE);
        }
        (public, Derive::read(&mut reader)?)
    } else {
        (reader.value()?, Derive::EMPTY)
    };
    reader.finish()?;
    if public.name_algorithm.is_none() {
        return Err(ResponseCode::HASH);
    }
    Ok((public, derive))
}

/// Label and context: those of the template, where it has them, before the sensitive area's.
fn derivation(
    create: &SensitiveCreate,
    template: &Derive,
) -> Result<(Buffer<LABEL_SIZE_MAX>, Buffer<LABEL_SIZE_MAX>)> {
    let given = if create.data.is_empty() {
        Derive::EMPTY
    } else {
        let mut reader = Reader::new(&create.data);
        let given = Derive::read(&mut reader).map_err(|code| code.in_parameter(1))?;
        reader.finish().map_err(|code| code.in_parameter(1))?;
        given
    };
    let either = |first: &Buffer<LABEL_SIZE_MAX>, second: Buffer<LABEL_SIZE_MAX>| {
        if first.is_empty() { second } else { first.clone() }
    };
    let Derive { label, context } = given;
    Ok((either(&template.label, label), either(&template.context, context)))
}

/// The hash and the key of a derivation parent.
fn derivation_key(
    context: &Context<'_>,
    parent: Handle,
) -> Result<(crate::crypto::hash::HashAlgorithm, Buffer<256>)> {
    let object = context.state.object(parent)?;
    let sensitive = object.sensitive.as_ref().ok_or(ResponseCode::TYPE.in_handle(1))?;
    match object.public.parameters {
        PublicParameters::KeyedHash(Some(KeyedHashScheme::Xor(hash, _))) => {
            Ok((hash, sensitive.secret.clone()))
        }
        _ => Err(ResponseCode::TYPE.in_handle(1)),
    }
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests::storage_key;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, parameters};
    use std::vec::Vec;

    fn body(data: &[u8], template: &[u8]) -> Vec<u8> {
        parameters(|writer| {
            writer.sized(|inner| {
                inner.sized_bytes(b"")?;
                inner.sized_bytes(data)
            })?;
            writer.sized_bytes(template)
        })
    }

    fn words(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// A derivation parent: restricted, decrypt, XOR with SHA-256 and KDF of SP 800-108.
    fn derivation_parent() -> Vec<u8> {
        words(&[8, 0x0b, 3, 0x0072, 0, 0x0a, 0x0b, 0x22, 0])
    }

    /// An ECDSA key below it, with a label.
    fn derived(label: &[u8]) -> Vec<u8> {
        let mut template = words(&[0x23, 0x0b, 4, 0x0052, 0, 0x10, 0x18, 0x0b, 3, 0x10]);
        template.extend(parameters(|writer| {
            writer.sized_bytes(label)?;
            writer.sized_bytes(b"context")
        }));
        template
    }

    #[test]
    fn refuses_wrong_parents_and_templates() {
        let mut machine = Machine::started();
        machine.command(0x186, &[0, 0, 0, 0x0b]).unwrap();
        let wrong = machine.authorised(0x191, &[0x8000_0000], &body(b"", &storage_key()));
        assert_eq!(wrong, Err(ResponseCode::TYPE.in_handle(1)));
        let wrong = machine.authorised(0x191, &[OWNER], &body(b"", &[0, 0x23]));
        assert_eq!(wrong, Err(ResponseCode::INSUFFICIENT.in_parameter(2)));
        let wrong = machine.authorised(0x191, &[OWNER], &body(b"", &[]));
        assert_eq!(wrong, Err(ResponseCode::INSUFFICIENT.in_parameter(2)));
    }

    #[test]
    fn a_primary_is_that_of_create_primary() {
        let mut machine = Machine::started();
        let loaded = machine.authorised(0x191, &[OWNER], &body(b"", &storage_key())).unwrap();
        let primary = crate::command::object::create_primary::tests::body;
        let created = machine.authorised(0x131, &[OWNER], &primary(b"", b"", &storage_key()));
        let created = created.unwrap();
        assert_eq!(loaded[4..6], [0, 0], "a primary object has no private area");
        assert_eq!(loaded[loaded.len() - 34..], created[created.len() - 34..]);
    }

    #[test]
    fn derived_objects_depend_on_their_label() {
        let mut machine = Machine::started();
        machine.authorised(0x191, &[OWNER], &body(b"", &derivation_parent())).unwrap();
        let mut derive = |data: &[u8], label: &[u8]| {
            let template = body(data, &derived(label));
            let response = machine.authorised(0x191, &[0x8000_0000], &template).unwrap();
            machine.command(0x165, &response[..4]).unwrap();
            response[response.len() - 34..].to_vec()
        };
        let first = derive(b"", b"one");
        assert_eq!(first, derive(b"", b"one"));
        let second = derive(b"", b"two");
        assert_ne!(first, second);
        // The label of the sensitive area is used where the template has none.
        assert_eq!(derive(&[0, 3, b't', b'w', b'o', 0, 0], b""), second);
        assert_eq!(derive(&[0, 3, b't', b'w', b'o', 0, 0], b"one"), first);
        let mut own = derived(b"one");
        own[7] |= 0x20; // sensitiveDataOrigin
        let refused = machine.authorised(0x191, &[0x8000_0000], &body(b"", &own));
        assert_eq!(refused, Err(ResponseCode::ATTRIBUTES.in_parameter(2)));
        let mut rsa = words(&[1, 0x0b, 4, 0x0052, 0, 0x10, 0x14, 0x0b, 2048, 0, 0]);
        rsa.extend([0; 4]);
        let refused = machine.authorised(0x191, &[0x8000_0000], &body(b"", &rsa));
        assert_eq!(refused, Err(ResponseCode::TYPE.in_parameter(2)));
    }
}
