// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_Load (Part 3, 12.2).

use super::create::check_parent;
use crate::pipeline::Context;
use crate::protect::binding::{self, Blame};
use crate::protect::storage::unwrap_child;
use crate::protect::template::check_public;
use crate::state::object::Transient;
use crate::structure::attributes::ObjectAttributes;
use crate::structure::public::SizedPublic;
use crate::structure::response_code::ResponseCode;
use crate::structure::sensitive::Private;
use crate::wire::{Parameters, Result, Writer};

/// Handles: parentHandle. Parameters: inPrivate, inPublic. The response: objectHandle; name.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (private, SizedPublic(public)): (Private, SizedPublic) = parameters.read()?;
    context.state.transients.check_room()?;
    if private.is_empty() {
        return Err(ResponseCode::SIZE.in_parameter(1));
    }
    let parent = context.handle(1);
    check_parent(context.state, parent)?;
    let parent_object = context.state.object(parent)?;
    check_public(Some(parent_object), &public).map_err(|code| code.in_parameter(2))?;
    let name = public.name()?;
    let mut sensitive =
        unwrap_child(parent_object, &private, &name).map_err(|code| code.in_parameter(1))?;
    // What a parent wrapped that never leaves this TPM was checked when it was made or imported.
    if !parent_object.has(ObjectAttributes::FIXED_TPM) {
        binding::check(&public, Some(&sensitive), Blame { public: 2, sensitive: 1 })?;
    }
    sensitive.auth = sensitive.auth.clone().without_trailing_zeros();
    let object = context.state.child(parent, public, Some(sensitive))?;
    response.value(&object.name)?;
    context.response_handle = Some(context.state.transients.insert(Transient::Object(object))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests::{body, storage_key};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, parameters};

    #[test]
    fn refuses_what_is_not_the_parents() {
        let mut machine = Machine::started();
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        let load = |private: &[u8]| {
            parameters(|writer| {
                writer.sized_bytes(private)?;
                writer.sized_bytes(&storage_key())
            })
        };
        let mut refused =
            |private: &[u8]| machine.authorised(0x157, &[0x8000_0000], &load(private)).unwrap_err();
        assert_eq!(refused(&[]), ResponseCode::SIZE.in_parameter(1));
        assert_eq!(refused(&[0; 1]), ResponseCode::INSUFFICIENT.in_parameter(1));
        assert_eq!(refused(&[0; 64]), ResponseCode::INTEGRITY.in_parameter(1));
    }
}
