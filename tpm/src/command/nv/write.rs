// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_NV_Write (Part 3, 31.7).

use crate::pipeline::Context;
use crate::structure::nv::{NvAttributes, NvBuffer, NvType};
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle, nvIndex. Parameters: data, offset.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (data, offset): (NvBuffer, u16) = parameters.read()?;
    let (auth, index) = (context.handle(1), context.handle(2));
    context.state.check_nv_write(auth, index)?;
    let attributes = context.state.nv_attributes(index)?;
    if matches!(attributes.nv_type(), Some(NvType::Counter | NvType::Bits | NvType::Extend)) {
        return Err(ResponseCode::ATTRIBUTES);
    }
    let size = context.state.nv.data(index).len();
    let start = usize::from(offset);
    if start > size {
        return Err(ResponseCode::VALUE.in_parameter(2));
    }
    let end = start.saturating_add(data.len());
    let is_partial = attributes.contains(NvAttributes::WRITE_ALL) && data.len() < size;
    if end > size || is_partial {
        return Err(ResponseCode::NV_RANGE);
    }
    context.state.write_nv(index, start, &data)
}

#[cfg(test)]
mod tests {
    use crate::command::nv::test_index::{INDEX, OPEN, define, read, restart, write};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, PLATFORM};

    #[test]
    fn stays_within_the_index() {
        let mut machine = Machine::started();
        define(&mut machine, OPEN, 8).unwrap();
        assert_eq!(write(&mut machine, &[1; 9], 0), Err(ResponseCode::NV_RANGE));
        assert_eq!(write(&mut machine, &[1; 1], 8), Err(ResponseCode::NV_RANGE));
        assert_eq!(write(&mut machine, &[1; 1], 9), Err(ResponseCode::VALUE.in_parameter(2)));
        assert_eq!(read(&mut machine, 8, 0), Err(ResponseCode::NV_UNINITIALIZED));
        assert_eq!(write(&mut machine, &[1; 2], 3), Ok(()));
        let ff = 0xff;
        assert_eq!(read(&mut machine, 8, 0).unwrap(), [ff, ff, ff, 1, 1, ff, ff, ff]);
    }

    #[test]
    fn needs_the_attribute_of_the_authorisation() {
        let mut machine = Machine::started();
        define(&mut machine, 0x0204_0004, 8).unwrap(); // AUTHREAD, AUTHWRITE
        let body = [0, 1, 7, 0, 0];
        let refused = machine.authorised(0x137, &[OWNER, INDEX], &body);
        assert_eq!(refused, Err(ResponseCode::NV_AUTHORIZATION));
        let refused = machine.authorised(0x137, &[PLATFORM, INDEX], &body);
        assert_eq!(refused, Err(ResponseCode::NV_AUTHORIZATION));
        assert_eq!(write(&mut machine, &[7], 0), Ok(()));
        machine.authorised(0x122, &[OWNER, INDEX], &[]).unwrap();
        define(&mut machine, 0x0002_0002, 8).unwrap(); // OWNERREAD, OWNERWRITE
        assert_eq!(write(&mut machine, &[7], 0), Err(ResponseCode::AUTH_UNAVAILABLE));
    }

    #[test]
    fn a_whole_write_is_whole() {
        let mut machine = Machine::started();
        define(&mut machine, OPEN | 0x1000, 4).unwrap();
        assert_eq!(write(&mut machine, &[1; 3], 0), Err(ResponseCode::NV_RANGE));
        assert_eq!(write(&mut machine, &[1; 4], 0), Ok(()));
    }

    #[test]
    fn data_outlives_power_unless_orderly() {
        for (attributes, outlives) in [(OPEN, true), (OPEN | 1 << 26, false)] {
            let mut machine = Machine::started();
            define(&mut machine, attributes, 4).unwrap();
            write(&mut machine, b"data", 0).unwrap();
            restart(&mut machine, false);
            assert_eq!(read(&mut machine, 4, 0).is_ok(), outlives);
        }
    }
}
