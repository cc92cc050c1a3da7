// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the tests of NV commands begin with: indices, and short forms of the commands.

use std::vec::Vec;

use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::session::SessionKind;
use crate::structure::command_code::CommandCode;
use crate::structure::nv::NvAttributes as Bits;
use crate::testing::{Machine, OWNER, PASSWORD, frame, parameters, split};
use crate::wire::Result;

/// An index of the owner.
pub(crate) const INDEX: u32 = 0x0180_0001;
/// Read and written with the index's own authorisation value.
pub(crate) const AUTH: Bits = Bits::AUTH_READ.with(Bits::AUTH_WRITE);
/// Read and written with the owner's authorisation value, too.
pub(crate) const BOTH: Bits = AUTH.with(Bits::OWNER_READ).with(Bits::OWNER_WRITE);

/// The parameters of TPM2_NV_DefineSpace, with SHA-256.
pub(crate) fn definition(
    index: u32,
    attributes: u32,
    value: &[u8],
    policy: &[u8],
    size: u16,
) -> Vec<u8> {
    parameters(|writer| {
        writer.sized_bytes(value)?;
        writer.sized(|writer| {
            writer.value(&index)?;
            writer.value(&0x0b_u16)?;
            writer.value(&attributes)?;
            writer.sized_bytes(policy)?;
            writer.value(&size)
        })
    })
}

/// Defines an index with an empty authorisation value.
pub(crate) fn define(machine: &mut Machine, auth: u32, index: u32, attributes: Bits, size: u16) {
    let body = definition(index, attributes.raw(), b"", b"", size);
    machine.authorised(0x12a, &[auth], &body).unwrap();
}

/// An index of the owner with a number of a type's (TPM_NT) attributes.
pub(crate) fn define_type(machine: &mut Machine, nv_type: u32, attributes: Bits, size: u16) {
    let body = definition(INDEX, attributes.raw() | nv_type << 4, b"", b"", size);
    machine.authorised(0x12a, &[OWNER], &body).unwrap();
}

/// TPM2_NV_Write with an empty password.
pub(crate) fn write(
    machine: &mut Machine,
    auth: u32,
    index: u32,
    data: &[u8],
    offset: u16,
) -> Result<Vec<u8>> {
    let body = parameters(|writer| {
        writer.sized_bytes(data)?;
        writer.value(&offset)
    });
    machine.authorised(0x137, &[auth, index], &body)
}

/// TPM2_NV_Read with an empty password: the data.
pub(crate) fn read(
    machine: &mut Machine,
    auth: u32,
    index: u32,
    size: u16,
    offset: u16,
) -> Result<Vec<u8>> {
    let body = [size.to_be_bytes(), offset.to_be_bytes()].concat();
    let response = machine.authorised(0x14e, &[auth, index], &body)?;
    assert_eq!(response[..2], size.to_be_bytes());
    Ok(response[2..].to_vec())
}

/// Loses power without TPM2_Shutdown, or behind one of the type given, and starts anew.
pub(crate) fn restart(machine: &mut Machine, shutdown: Option<u8>, startup: u8) {
    if let Some(shutdown) = shutdown {
        machine.command(0x145, &[0, shutdown]).unwrap();
    }
    machine.power_cycle();
    machine.command(0x144, &[0, startup]).unwrap();
}

/// The digest of TPM2_PolicyCommandCode alone.
pub(crate) fn command_policy(code: u32) -> Digest {
    let bytes = [CommandCode::POLICY_COMMAND_CODE.0.to_be_bytes(), code.to_be_bytes()].concat();
    HashAlgorithm::Sha256.digest(&[&[0; 32], &bytes])
}

/// Executes a command whose first handle is authorised by [`command_policy`] and a second one, if
/// it needs that, by an empty password: its response parameters.
pub(crate) fn with_policy(
    machine: &mut Machine,
    code: u32,
    handles: &[u32],
    body: &[u8],
) -> Result<Vec<u8>> {
    let session = machine.start_session(SessionKind::Policy);
    let asserted = [session.0.to_be_bytes(), code.to_be_bytes()].concat();
    machine.command(CommandCode::POLICY_COMMAND_CODE.0, &asserted).unwrap();
    let command = crate::command::find(CommandCode(code)).unwrap();
    let places = [session.0, PASSWORD];
    let area = parameters(|writer| {
        places.iter().take(command.authorisations()).try_for_each(|session| {
            writer.value(session)?;
            writer.bytes(&[0, 0, 0, 0, 0])
        })
    });
    let octets = parameters(|writer| {
        handles.iter().try_for_each(|handle| writer.value(handle))?;
        writer.value(&u32::try_from(area.len()).unwrap())?;
        writer.bytes(&area)?;
        writer.bytes(body)
    });
    let response = machine.raw(&frame(0x8002, code, &octets));
    let rest = split(&response).map(<[u8]>::to_vec);
    if rest.is_err() {
        machine.command(CommandCode::FLUSH_CONTEXT.0, &session.0.to_be_bytes()).unwrap();
    }
    let rest = rest?;
    let size = usize::try_from(u32::from_be_bytes(*rest.first_chunk().unwrap())).unwrap();
    Ok(rest[4..4 + size].to_vec())
}
