// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_NV_DefineSpace (Part 3, 31.3).

use crate::pipeline::Context;
use crate::structure::digest::Auth;
use crate::structure::handle::Handle;
use crate::structure::nv::{
    NV_BUFFER_SIZE_MAX, NvAttributes as Bits, NvPublic, NvType, SizedNvPublic,
};
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Octets of a counter, of bits, and of a PIN's count and limit.
const NUMBER_SIZE: u16 = 8;

/// Handles: authHandle. Parameters: auth, publicInfo.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (auth, SizedNvPublic(public)): (Auth, SizedNvPublic) = parameters.read()?;
    define(context, auth, public)
}

/// Checks and defines an index; what is wrong is in the first or second parameter.
pub(super) fn define(context: &mut Context<'_>, auth: Auth, public: NvPublic) -> Result<()> {
    let auth = auth.without_trailing_zeros();
    let digest_size = public.name_algorithm.digest_size();
    if auth.len() > digest_size {
        return Err(ResponseCode::SIZE.in_parameter(1));
    }
    if !public.auth_policy.is_empty() && public.auth_policy.len() != digest_size {
        return Err(ResponseCode::SIZE.in_parameter(2));
    }
    let is_disabled = !context.state.clear.is_platform_nv_enabled;
    if context.handle(1) == Handle::PLATFORM && is_disabled {
        return Err(ResponseCode::HIERARCHY.in_handle(1));
    }
    check_type(&public).map_err(|code| code.in_parameter(2))?;
    check_attributes(public.attributes).map_err(|code| code.in_parameter(2))?;
    check_creator(context.handle(1), public.attributes)?;
    let is_long = usize::from(public.data_size) > NV_BUFFER_SIZE_MAX;
    if public.attributes.contains(Bits::WRITE_ALL) && is_long {
        // No command could write it.
        return Err(ResponseCode::SIZE.in_parameter(2));
    }
    context.state.nv.define(public, auth)
}

/// The size that the type demands, and what doesn't go with it.
fn check_type(public: &NvPublic) -> Result<()> {
    let attributes = public.attributes;
    let nv_type = attributes.nv_type().ok_or(ResponseCode::ATTRIBUTES)?;
    let digest_size = u16::try_from(public.name_algorithm.digest_size());
    let size = match nv_type {
        NvType::Ordinary => public.data_size,
        NvType::Extend => digest_size.map_err(|_| ResponseCode::FAILURE)?,
        NvType::Counter | NvType::Bits | NvType::PinFail | NvType::PinPass => NUMBER_SIZE,
    };
    if public.data_size != size {
        return Err(ResponseCode::SIZE);
    }
    let is_wrong = match nv_type {
        // A counter never starts anew.
        NvType::Counter => attributes.contains(Bits::CLEAR_ST_CLEAR),
        NvType::PinFail | NvType::PinPass => {
            let denied = Bits::AUTH_WRITE.with(Bits::GLOBAL_LOCK).with(Bits::WRITE_DEFINE);
            // The PIN counts its own failures.
            attributes.intersects(denied)
                || nv_type == NvType::PinFail && !attributes.contains(Bits::NO_DA)
        }
        NvType::Ordinary | NvType::Bits | NvType::Extend => false,
    };
    if is_wrong { Err(ResponseCode::ATTRIBUTES) } else { Ok(()) }
}

fn check_attributes(attributes: Bits) -> Result<()> {
    let readable =
        Bits::PP_READ.with(Bits::OWNER_READ).with(Bits::AUTH_READ).with(Bits::POLICY_READ);
    let writable =
        Bits::PP_WRITE.with(Bits::OWNER_WRITE).with(Bits::AUTH_WRITE).with(Bits::POLICY_WRITE);
    // What is forgotten cannot be locked for good.
    let is_contradictory = attributes.contains(Bits::WRITE_DEFINE.with(Bits::CLEAR_ST_CLEAR));
    if attributes.intersects(Bits::VOLATILE)
        || !attributes.intersects(readable)
        || !attributes.intersects(writable)
        || is_contradictory
    {
        return Err(ResponseCode::ATTRIBUTES);
    }
    Ok(())
}

/// Who defines an index must be able to delete it.
fn check_creator(auth: Handle, attributes: Bits) -> Result<()> {
    let is_platform = auth == Handle::PLATFORM;
    if attributes.contains(Bits::PLATFORM_CREATE) != is_platform {
        return Err(ResponseCode::ATTRIBUTES.in_handle(1));
    }
    if attributes.contains(Bits::POLICY_DELETE) && !is_platform {
        return Err(ResponseCode::ATTRIBUTES.in_parameter(2));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::nv::test_index::{INDEX, OPEN, define, definition};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, PLATFORM};

    #[test]
    fn attributes_and_sizes_go_together() {
        let mut machine = Machine::started();
        let size = Err(ResponseCode::SIZE.in_parameter(2));
        let attributes = Err(ResponseCode::ATTRIBUTES.in_parameter(2));
        for (bits, octets, expected) in [
            (OPEN, 2049, size),
            (OPEN | 0x10, 7, size),                 // counter
            (OPEN | 0x20, 9, size),                 // bits
            (OPEN | 0x40, 31, size),                // extend, SHA-256
            (OPEN | 0x1000, 1025, size),            // WRITEALL
            (OPEN | 0x30, 8, attributes),           // no type
            (OPEN | 0x10 | 1 << 27, 8, attributes), // counter with CLEAR_STCLEAR
            (OPEN | 0x90, 8, attributes),           // PIN with AUTHWRITE
            (0x0004_0082, 8, attributes),           // PIN-fail without NO_DA
            (OPEN | 1 << 29, 8, attributes),        // written already
            (0x0000_0006, 8, attributes),           // cannot be read
            (0x0006_0000, 8, attributes),           // cannot be written
            (OPEN | 1 << 10, 8, attributes),        // POLICY_DELETE by the owner
            (OPEN | 1 << 13 | 1 << 27, 8, attributes),
        ] {
            assert_eq!(define(&mut machine, bits, octets), expected, "{bits:#x} {octets}");
        }
        let creator = Err(ResponseCode::ATTRIBUTES.in_handle(1));
        assert_eq!(define(&mut machine, OPEN | 1 << 30, 8), creator);
        let platform = machine.authorised(0x12a, &[PLATFORM], &definition(INDEX, OPEN, 8));
        assert_eq!(platform, Err(ResponseCode::ATTRIBUTES.in_handle(1)));
    }

    #[test]
    fn an_index_is_defined_once_and_outlives_power() {
        let mut machine = Machine::started();
        assert_eq!(define(&mut machine, OPEN, 2048), Ok(()));
        assert_eq!(define(&mut machine, OPEN, 8), Err(ResponseCode::NV_DEFINED));
        machine.power_cycle();
        machine.command(0x144, &[0, 0]).unwrap();
        assert_eq!(define(&mut machine, OPEN, 8), Err(ResponseCode::NV_DEFINED));
    }

    #[test]
    fn space_is_bounded() {
        let mut machine = Machine::started();
        let mut define = |number: u32, size: u16| {
            let body = definition(0x0100_0100 + number, OPEN, size);
            machine.authorised(0x12a, &[OWNER], &body).map(|_| ())
        };
        for number in 0..64 {
            assert_eq!(define(number, 2048), Ok(()));
        }
        assert_eq!(define(64, 1), Err(ResponseCode::NV_SPACE));
        for number in 64..256 {
            assert_eq!(define(number, 0), Ok(()));
        }
        assert_eq!(define(256, 0), Err(ResponseCode::NV_SPACE));
    }
}
