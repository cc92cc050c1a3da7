// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ObjectChangeAuth (Part 3, 12.8).

use crate::crypto::hash::HashAlgorithm;
use crate::pipeline::Context;
use crate::protect::load::qualified_name;
use crate::protect::storage::wrap_child;
use crate::state::object::Transient;
use crate::structure::digest::Auth;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: objectHandle, parentHandle. Parameters: newAuth. The response: outPrivate. The loaded
/// object keeps its value.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (auth,): (Auth,) = parameters.read()?;
    let auth = auth.without_trailing_zeros();
    let (handle, parent) = (context.handle(1), context.handle(2));
    if let Some(Transient::Sequence(_)) = context.state.transients.get(handle) {
        return Err(ResponseCode::TYPE.in_handle(1));
    }
    let object = context.state.object(handle)?;
    let size = object.public.name_algorithm.map_or(0, HashAlgorithm::digest_size);
    if auth.len() > size {
        return Err(ResponseCode::SIZE.in_parameter(1));
    }
    // The Qualified Name tells whose child it is.
    let parent_object = context.state.find_object(parent);
    let parent_object = parent_object.ok_or(ResponseCode::TYPE.in_handle(2))?;
    let expected = qualified_name(&object.public, &parent_object.qualified_name, &object.name)?;
    if expected != object.qualified_name || !parent_object.is_parent() {
        return Err(ResponseCode::TYPE.in_handle(2));
    }
    let mut sensitive = object.sensitive.clone().ok_or(ResponseCode::TYPE.in_handle(1))?;
    sensitive.auth = auth;
    let name = object.name.clone();
    response.value(&wrap_child(context, parent, &sensitive, &name)?)
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests::{body, storage_key};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER};

    #[test]
    fn only_the_parent_wraps_it_anew() {
        let mut machine = Machine::started();
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        let created = machine.authorised(0x153, &[0x8000_0000], &body(b"a", b"", &storage_key()));
        let created = created.unwrap();
        let private = 2 + usize::from(u16::from_be_bytes([created[0], created[1]]));
        let public = created[private..private + 92].to_vec();
        let load = &created[..private + 92];
        machine.authorised(0x157, &[0x8000_0000], load).unwrap();
        let (child, parent) = (0x8000_0001, 0x8000_0000);
        let wrong = machine.with_password(0x150, &[child, child], b"a", &[0, 1, b'b']);
        assert_eq!(wrong, Err(ResponseCode::TYPE.in_handle(2)));
        let mut long = std::vec![1; 35];
        (long[0], long[1]) = (0, 33);
        let wrong = machine.with_password(0x150, &[child, parent], b"a", &long);
        assert_eq!(wrong, Err(ResponseCode::SIZE.in_parameter(1)));
        let changed = machine.with_password(0x150, &[child, parent], b"a", &[0, 1, b'b']).unwrap();
        machine.authorised(0x157, &[parent], &[changed, public].concat()).unwrap();
        let old = machine.with_password(0x150, &[0x8000_0002, parent], b"a", &[0, 0]);
        assert_eq!(old, Err(ResponseCode::AUTH_FAIL.in_session(1)));
        let new = machine.with_password(0x150, &[0x8000_0002, parent], b"b", &[0, 0]);
        assert!(new.is_ok());
    }
}
