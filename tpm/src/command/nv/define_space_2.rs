// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_NV_DefineSpace2 (Part 3, 31.17).

use crate::command::nv::define_space;
use crate::pipeline::Context;
use crate::structure::digest::Auth;
use crate::structure::nv::NvPublic2;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle. Parameters: auth, publicInfo with the type of the handle in front.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (auth, NvPublic2(public)): (Auth, NvPublic2) = parameters.read()?;
    define_space::define(context, auth, public)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use crate::command::nv::scene::{AUTH, INDEX, definition};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER};

    fn tagged(handle_type: u8, size: u16) -> Vec<u8> {
        let plain = definition(INDEX, AUTH.raw(), b"", b"", size);
        let [auth_0, auth_1, size_0, size_1, public @ ..] = &plain[..] else { unreachable!() };
        [&[*auth_0, *auth_1, *size_0, *size_1 + 1, handle_type], public].concat()
    }

    #[test]
    fn only_ordinary_indices_and_only_valid_ones() {
        let mut machine = Machine::started();
        for handle_type in [0x00, 0x11, 0x12, 0x81] {
            let refused = machine.authorised(0x19d, &[OWNER], &tagged(handle_type, 4));
            assert_eq!(refused, Err(ResponseCode::SELECTOR.in_parameter(2)));
        }
        let refused = machine.authorised(0x19d, &[OWNER], &tagged(1, 2049));
        assert_eq!(refused, Err(ResponseCode::SIZE.in_parameter(2)));
    }

    #[test]
    fn what_it_defines_is_an_index_like_any_other() {
        let mut machine = Machine::started();
        machine.authorised(0x19d, &[OWNER], &tagged(1, 4)).unwrap();
        let plain = machine.command(0x169, &INDEX.to_be_bytes()).unwrap();
        let tagged = machine.command(0x19e, &INDEX.to_be_bytes()).unwrap();
        assert_eq!(tagged[..3], [0, plain[1] + 1, 1]);
        assert_eq!(tagged[3..], plain[2..], "the same public area and Name");
    }
}
