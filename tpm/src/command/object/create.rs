// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_Create (Part 3, 12.1).

use crate::pipeline::Context;
use crate::protect::creation::Circumstances;
use crate::protect::generate::{Source, generate};
use crate::protect::storage::wrap_child;
use crate::protect::template::{check_creation, is_storage_parent};
use crate::state::State;
use crate::structure::digest::Data;
use crate::structure::handle::Handle;
use crate::structure::pcr_selection::PcrSelectionList;
use crate::structure::public::SizedPublic;
use crate::structure::response_code::ResponseCode;
use crate::structure::sensitive::SensitiveCreate;
use crate::wire::{Parameters, Result, Writer};

/// Handles: parentHandle. Parameters: inSensitive, inPublic, outsideInfo, creationPCR. The
/// response: outPrivate, outPublic, creationData, creationHash, creationTicket.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (create, SizedPublic(mut public), outside_info, pcrs): (
        SensitiveCreate,
        SizedPublic,
        Data,
        PcrSelectionList,
    ) = parameters.read()?;
    let parent = context.handle(1);
    check_parent(context.state, parent)?;
    let parent_object = context.state.object(parent)?;
    check_creation(Some(parent_object), &public, create.data.len())
        .map_err(|code| code.in_parameter(2))?;
    let sensitive = generate(context.state, context.platform, &mut public, &create, Source::Random)
        .map_err(|code| code.in_parameter(2))?;
    let algorithm = public.name_algorithm.ok_or(ResponseCode::HASH)?;
    let name = public.name()?;
    response.value(&wrap_child(context, parent, &sensitive, &name)?)?;
    response.sized_value(&public)?;
    let circumstances = Circumstances { parent, outside_info, pcrs };
    circumstances.write(context, algorithm, &name, response)
}

/// TPM_RC_TYPE if the first handle is no parent that wraps its children.
pub(in crate::command) fn check_parent(state: &State, parent: Handle) -> Result<()> {
    let object = state.find_object(parent);
    if object.is_some_and(|object| object.is_parent() && is_storage_parent(&object.public)) {
        Ok(())
    } else {
        Err(ResponseCode::TYPE.in_handle(1))
    }
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests::{body, storage_key};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER};
    use std::vec::Vec;

    const PARENT: u32 = 0x8000_0000;

    fn machine() -> Machine {
        let mut machine = Machine::started();
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        machine
    }

    /// Sealed data: fixedTPM, fixedParent, userWithAuth.
    fn sealed() -> Vec<u8> {
        let words: [u16; 7] = [8, 0x0b, 0, 0x0052, 0, 0x10, 0];
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn needs_a_parent() {
        let mut machine = machine();
        machine.command(0x186, &[0, 0, 0, 0x0b]).unwrap();
        let refused = machine.authorised(0x153, &[PARENT + 1], &body(b"", b"x", &sealed()));
        assert_eq!(refused, Err(ResponseCode::TYPE.in_handle(1)));
        let refused = machine.authorised(0x153, &[OWNER], &body(b"", b"x", &sealed()));
        assert_eq!(refused, Err(ResponseCode::VALUE.in_handle(1)));
    }

    #[test]
    fn sealed_data_come_from_the_caller() {
        let mut machine = machine();
        let mut create = |body: &[u8]| machine.authorised(0x153, &[PARENT], body);
        let refused = create(&body(b"", b"", &sealed()));
        assert_eq!(refused, Err(ResponseCode::ATTRIBUTES.in_parameter(2)));
        let refused = create(&body(b"", &[1; 129], &sealed()));
        assert_eq!(refused, Err(ResponseCode::SIZE.in_parameter(1)));
        assert!(create(&body(b"", &[1; 128], &sealed())).is_ok());
    }

    #[test]
    fn what_was_created_can_be_loaded_and_unsealed() {
        let mut machine = machine();
        let created = machine.authorised(0x153, &[PARENT], &body(b"pw", b"secret", &sealed()));
        let created = created.unwrap();
        let private = 2 + usize::from(u16::from_be_bytes([created[0], created[1]]));
        let rest = &created[private..];
        let public = 2 + usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        let both = &created[..private + public];
        let loaded = machine.authorised(0x157, &[PARENT], both).unwrap();
        assert_eq!(loaded[..6], [0x80, 0, 0, 1, 0, 34]);
        let refused = machine.authorised(0x15e, &[PARENT + 1], &[]);
        assert_eq!(refused, Err(ResponseCode::AUTH_FAIL.in_session(1)));
        let unsealed = machine.with_password(0x15e, &[PARENT + 1], b"pw", &[]).unwrap();
        assert_eq!(unsealed, [&[0, 6][..], b"secret"].concat());
        // One changed octet anywhere in the private area is noticed.
        for place in 2..private {
            let mut changed = both.to_vec();
            changed[place] ^= 1;
            let refused = machine.authorised(0x157, &[PARENT], &changed).unwrap_err();
            let kinds = [ResponseCode::INTEGRITY, ResponseCode::SIZE, ResponseCode::INSUFFICIENT];
            assert!(kinds.contains(&refused.kind()), "{place}: {refused:?}");
        }
    }
}
