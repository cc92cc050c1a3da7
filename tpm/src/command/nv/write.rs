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

    #[test]
    fn a_write_that_changes_nothing_costs_no_commit() {
        let mut machine = Machine::started();
        define(&mut machine, OPEN, 4).unwrap();
        write(&mut machine, &[9, 8], 1).unwrap();
        let commits = machine.platform.storage.commits;
        write(&mut machine, &[9, 8], 1).unwrap();
        assert_eq!(machine.platform.storage.commits, commits);
        write(&mut machine, &[9, 9], 1).unwrap();
        assert_eq!(machine.platform.storage.commits, commits + 1);
    }

    #[test]
    fn an_index_that_is_forgotten_shows_nothing_of_what_it_held() {
        let mut machine = Machine::started();
        define(&mut machine, OPEN | 1 << 27, 4).unwrap(); // CLEAR_STCLEAR
        write(&mut machine, &[1; 4], 0).unwrap();
        machine.command(0x145, &[0, 1]).unwrap();
        machine.power_cycle();
        machine.command(0x144, &[0, 1]).unwrap();
        assert_eq!(read(&mut machine, 4, 0).unwrap(), [1; 4], "a Resume forgets nothing");
        restart(&mut machine, true);
        assert_eq!(read(&mut machine, 4, 0), Err(ResponseCode::NV_UNINITIALIZED));
        write(&mut machine, &[2], 0).unwrap();
        assert_eq!(read(&mut machine, 4, 0).unwrap(), [2, 255, 255, 255]);
    }

    #[test]
    fn an_orderly_write_makes_an_earlier_shutdown_useless() {
        let mut machine = Machine::started();
        define(&mut machine, OPEN | 1 << 26, 4).unwrap(); // ORDERLY
        write(&mut machine, &[1; 4], 0).unwrap();
        let commits = machine.platform.storage.commits;
        write(&mut machine, &[2; 4], 0).unwrap();
        assert_eq!(machine.platform.storage.commits, commits, "it waits for the shutdown");
        machine.command(0x145, &[0, 1]).unwrap();
        machine.power_cycle();
        machine.command(0x144, &[0, 1]).unwrap();
        assert_eq!(read(&mut machine, 4, 0).unwrap(), [2; 4]);
        machine.command(0x145, &[0, 1]).unwrap();
        write(&mut machine, &[3; 4], 0).unwrap();
        machine.power_cycle();
        let resumed = machine.command(0x144, &[0, 1]);
        assert_eq!(resumed, Err(ResponseCode::VALUE.in_parameter(1)));
    }
}
