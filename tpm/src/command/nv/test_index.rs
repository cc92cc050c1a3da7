// SPDX-License-Identifier: MIT OR Apache-2.0
//! Short forms of the [`scene`] for tests of one index that everybody may use: it is defined by the
//! owner and used with its own authorisation.

use std::vec::Vec;

use super::scene;
use crate::testing::{Machine, OWNER};
use crate::wire::Result;

pub(in crate::command) use scene::INDEX;

/// AUTHREAD, AUTHWRITE, OWNERREAD, OWNERWRITE, NO_DA.
pub(in crate::command) const OPEN: u32 = 0x0206_0006;

/// The parameters of TPM2_NV_DefineSpace without an authorisation value and a policy.
pub(super) fn definition(index: u32, attributes: u32, size: u16) -> Vec<u8> {
    scene::definition(index, attributes, b"", b"", size)
}

/// Defines the index.
pub(in crate::command) fn define(machine: &mut Machine, attributes: u32, size: u16) -> Result<()> {
    machine.authorised(0x12a, &[OWNER], &definition(INDEX, attributes, size)).map(|_| ())
}

/// Writes.
pub(in crate::command) fn write(machine: &mut Machine, data: &[u8], offset: u16) -> Result<()> {
    scene::write(machine, INDEX, INDEX, data, offset).map(|_| ())
}

/// Reads.
pub(in crate::command) fn read(machine: &mut Machine, size: u16, offset: u16) -> Result<Vec<u8>> {
    scene::read(machine, INDEX, INDEX, size, offset)
}

/// Loses power after TPM2_Shutdown(CLEAR) or without, and starts again.
pub(super) fn restart(machine: &mut Machine, is_orderly: bool) {
    scene::restart(machine, is_orderly.then_some(0), 0);
}
