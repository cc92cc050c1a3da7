// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_NV_Increment (Part 3, 31.8).

use crate::pipeline::Context;
use crate::structure::nv::{NvAttributes, NvType};
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle, nvIndex. A new counter begins behind every count that any counter had.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    let (auth, index) = (context.handle(1), context.handle(2));
    context.state.check_nv_write(auth, index)?;
    let attributes = context.state.nv_attributes(index)?;
    if attributes.nv_type() != Some(NvType::Counter) {
        return Err(ResponseCode::ATTRIBUTES.in_handle(2));
    }
    let state = &mut *context.state;
    let before = if attributes.contains(NvAttributes::WRITTEN) {
        state.nv.number(index)
    } else {
        state.greatest_nv_count()
    };
    state.write_nv(index, 0, &before.saturating_add(1).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use crate::command::nv::test_index::{INDEX, OPEN, define, read, restart, write};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER};

    fn increment(machine: &mut Machine) -> u64 {
        machine.authorised(0x134, &[INDEX, INDEX], &[]).unwrap();
        u64::from_be_bytes(read(machine, 8, 0).unwrap().try_into().unwrap())
    }

    #[test]
    fn only_counters_count_and_only_that_way() {
        let mut machine = Machine::started();
        define(&mut machine, OPEN, 8).unwrap();
        let refused = machine.authorised(0x134, &[INDEX, INDEX], &[]);
        assert_eq!(refused, Err(ResponseCode::ATTRIBUTES.in_handle(2)));
        machine.authorised(0x122, &[OWNER, INDEX], &[]).unwrap();
        define(&mut machine, OPEN | 0x10, 8).unwrap();
        assert_eq!(write(&mut machine, &[0; 8], 0), Err(ResponseCode::ATTRIBUTES));
        assert_eq!(increment(&mut machine), 1);
        assert_eq!(increment(&mut machine), 2);
    }

    #[test]
    fn no_count_comes_twice() {
        let mut machine = Machine::started();
        define(&mut machine, OPEN | 0x10, 8).unwrap();
        (0..5).for_each(|_| assert!(increment(&mut machine) > 0));
        machine.authorised(0x122, &[OWNER, INDEX], &[]).unwrap();
        define(&mut machine, OPEN | 0x10, 8).unwrap();
        assert_eq!(increment(&mut machine), 6);
    }

    #[test]
    fn an_orderly_counter_jumps_over_what_may_be_lost() {
        let mut machine = Machine::started();
        define(&mut machine, OPEN | 0x10 | 1 << 26, 8).unwrap();
        assert_eq!(increment(&mut machine), 1);
        restart(&mut machine, true);
        assert_eq!(increment(&mut machine), 2);
        (0..300).for_each(|_| assert!(increment(&mut machine) > 2));
        let last = increment(&mut machine);
        restart(&mut machine, false);
        let next = increment(&mut machine);
        assert!(next > last && next <= last + 256, "{last} {next}");
    }
}
