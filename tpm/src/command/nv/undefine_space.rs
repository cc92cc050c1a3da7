// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_NV_UndefineSpace (Part 3, 31.4).

use crate::pipeline::Context;
use crate::structure::handle::Handle;
use crate::structure::nv::NvAttributes;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle, nvIndex.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    let (auth, index) = (context.handle(1), context.handle(2));
    let attributes = context.state.nv_attributes(index)?;
    if attributes.contains(NvAttributes::POLICY_DELETE) {
        return Err(ResponseCode::ATTRIBUTES.in_handle(2));
    }
    if auth == Handle::OWNER && attributes.contains(NvAttributes::PLATFORM_CREATE) {
        return Err(ResponseCode::NV_AUTHORIZATION);
    }
    context.state.remove_indices(|found| found.public.index == index);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::nv::test_index::{INDEX, OPEN, define, definition, read, write};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, PLATFORM};

    #[test]
    fn the_owner_cannot_delete_what_the_platform_defined() {
        let mut machine = Machine::started();
        let missing = machine.authorised(0x122, &[OWNER, INDEX], &[]);
        assert_eq!(missing, Err(ResponseCode::HANDLE.in_handle(2)));
        let body = definition(INDEX, OPEN | 1 << 30, 8);
        machine.authorised(0x12a, &[PLATFORM], &body).unwrap();
        let refused = machine.authorised(0x122, &[OWNER, INDEX], &[]);
        assert_eq!(refused, Err(ResponseCode::NV_AUTHORIZATION));
        assert_eq!(machine.authorised(0x122, &[PLATFORM, INDEX], &[]), Ok(std::vec![]));
    }

    #[test]
    fn other_indices_keep_their_data() {
        let mut machine = Machine::started();
        let first = definition(0x0100_0000, OPEN, 100);
        machine.authorised(0x12a, &[OWNER], &first).unwrap();
        define(&mut machine, OPEN, 4).unwrap();
        write(&mut machine, b"data", 0).unwrap();
        machine.authorised(0x122, &[OWNER, 0x0100_0000], &[]).unwrap();
        assert_eq!(read(&mut machine, 4, 0).unwrap(), b"data");
        machine.power_cycle();
        machine.command(0x144, &[0, 0]).unwrap();
        assert_eq!(read(&mut machine, 4, 0).unwrap(), b"data");
        let gone = machine.authorised(0x122, &[OWNER, 0x0100_0000], &[]);
        assert_eq!(gone, Err(ResponseCode::HANDLE.in_handle(2)));
    }
}
