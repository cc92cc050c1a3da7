// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the tests of NV commands do with indices.

use std::vec::Vec;

use crate::testing::{Machine, OWNER, parameters};
use crate::wire::Result;

/// The index of the tests.
pub(super) const INDEX: u32 = 0x0100_0001;
/// AUTHREAD, AUTHWRITE, OWNERREAD, OWNERWRITE, NO_DA.
pub(super) const OPEN: u32 = 0x0206_0006;

/// The parameters of TPM2_NV_DefineSpace.
pub(super) fn definition(index: u32, attributes: u32, size: u16) -> Vec<u8> {
    parameters(|writer| {
        writer.sized_bytes(b"")?;
        writer.sized(|inner| {
            inner.value(&index)?;
            inner.value(&0x0b_u16)?;
            inner.value(&attributes)?;
            inner.sized_bytes(b"")?;
            inner.value(&size)
        })
    })
}

/// Defines the index by the owner.
pub(super) fn define(machine: &mut Machine, attributes: u32, size: u16) -> Result<()> {
    machine.authorised(0x12a, &[OWNER], &definition(INDEX, attributes, size)).map(|_| ())
}

/// Writes with the index's own authorisation.
pub(super) fn write(machine: &mut Machine, data: &[u8], offset: u16) -> Result<()> {
    let body = parameters(|writer| {
        writer.sized_bytes(data)?;
        writer.value(&offset)
    });
    machine.authorised(0x137, &[INDEX, INDEX], &body).map(|_| ())
}

/// Reads with the index's own authorisation.
pub(super) fn read(machine: &mut Machine, size: u16, offset: u16) -> Result<Vec<u8>> {
    let body = [size.to_be_bytes(), offset.to_be_bytes()].concat();
    machine.authorised(0x14e, &[INDEX, INDEX], &body).map(|response| response[2..].to_vec())
}

/// Loses power after TPM2_Shutdown(CLEAR) or without, and starts again.
pub(super) fn restart(machine: &mut Machine, is_orderly: bool) {
    if is_orderly {
        machine.command(0x145, &[0, 0]).unwrap();
    }
    machine.power_cycle();
    machine.command(0x144, &[0, 0]).unwrap();
}
