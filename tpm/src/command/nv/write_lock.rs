// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_NV_WriteLock (Part 3, 31.11).

use crate::pipeline::Context;
use crate::structure::nv::NvAttributes;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

const LOCKABLE: NvAttributes = NvAttributes::WRITE_DEFINE.with(NvAttributes::WRITE_ST_CLEAR);

/// Handles: authHandle, nvIndex. An index that is locked already is no error.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    let (auth, index) = (context.handle(1), context.handle(2));
    let state = &mut *context.state;
    match state.check_nv_write(auth, index) {
        Err(ResponseCode::NV_LOCKED) => return Ok(()),
        checked => checked?,
    }
    if !state.nv_attributes(index)?.intersects(LOCKABLE) {
        return Err(ResponseCode::ATTRIBUTES.in_handle(2));
    }
    state.set_nv_attribute(index, NvAttributes::WRITE_LOCKED)
}

#[cfg(test)]
mod tests {
    use crate::command::nv::scene::{AUTH, BOTH, INDEX, define, restart, write};
    use crate::structure::nv::NvAttributes as Bits;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER};

    const WRITE_LOCK: u32 = 0x138;

    #[test]
    fn only_what_was_defined_so_can_be_locked() {
        let mut machine = Machine::started();
        define(&mut machine, OWNER, INDEX, AUTH.with(Bits::GLOBAL_LOCK), 4);
        let refused = machine.authorised(WRITE_LOCK, &[INDEX, INDEX], &[]);
        assert_eq!(refused, Err(ResponseCode::ATTRIBUTES.in_handle(2)));
        let refused = machine.authorised(WRITE_LOCK, &[OWNER, INDEX], &[]);
        assert_eq!(refused, Err(ResponseCode::NV_AUTHORIZATION));
    }

    #[test]
    fn a_lock_lasts_as_long_as_its_attribute_says() {
        let mut machine = Machine::started();
        let (volatile, lasting) = (INDEX, INDEX + 1);
        define(&mut machine, OWNER, volatile, BOTH.with(Bits::WRITE_ST_CLEAR), 4);
        define(&mut machine, OWNER, lasting, BOTH.with(Bits::WRITE_DEFINE), 4);
        for index in [volatile, lasting] {
            write(&mut machine, OWNER, index, &[1; 4], 0).unwrap();
            for _ in 0..2 {
                let locked = machine.authorised(WRITE_LOCK, &[OWNER, index], &[]);
                assert_eq!(locked, Ok(std::vec![]));
            }
        }
        let outcome = |machine: &mut Machine| {
            [volatile, lasting].map(|index| write(machine, OWNER, index, &[2; 4], 0).err())
        };
        let locked = Some(ResponseCode::NV_LOCKED);
        assert_eq!(outcome(&mut machine), [locked, locked]);
        restart(&mut machine, Some(1), 1);
        assert_eq!(outcome(&mut machine), [locked, locked]);
        restart(&mut machine, None, 0);
        assert_eq!(outcome(&mut machine), [None, locked]);
    }
}
