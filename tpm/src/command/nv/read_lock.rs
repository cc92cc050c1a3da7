// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_NV_ReadLock (Part 3, 31.14).

use crate::pipeline::Context;
use crate::structure::nv::NvAttributes;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle, nvIndex. An index that is locked already is no error, and one that was
/// never written can be locked too.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    let (auth, index) = (context.handle(1), context.handle(2));
    let state = &mut *context.state;
    state.check_nv_read_only(index)?;
    match state.check_nv_read(auth, index) {
        Err(ResponseCode::NV_LOCKED) => return Ok(()),
        Err(ResponseCode::NV_UNINITIALIZED) => {}
        checked => checked?,
    }
    if !state.nv_attributes(index)?.contains(NvAttributes::READ_ST_CLEAR) {
        return Err(ResponseCode::ATTRIBUTES.in_handle(2));
    }
    state.set_nv_attribute(index, NvAttributes::READ_LOCKED)
}

#[cfg(test)]
mod tests {
    use crate::command::nv::scene::{AUTH, BOTH, INDEX, define, read, restart, write};
    use crate::structure::nv::NvAttributes as Bits;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER};

    const READ_LOCK: u32 = 0x14f;

    #[test]
    fn only_what_was_defined_so_can_be_locked() {
        let mut machine = Machine::started();
        define(&mut machine, OWNER, INDEX, AUTH, 4);
        let refused = machine.authorised(READ_LOCK, &[INDEX, INDEX], &[]);
        assert_eq!(refused, Err(ResponseCode::ATTRIBUTES.in_handle(2)));
        let refused = machine.authorised(READ_LOCK, &[OWNER, INDEX], &[]);
        assert_eq!(refused, Err(ResponseCode::NV_AUTHORIZATION));
    }

    #[test]
    fn a_lock_lasts_until_the_next_restart() {
        let mut machine = Machine::started();
        define(&mut machine, OWNER, INDEX, BOTH.with(Bits::READ_ST_CLEAR), 4);
        write(&mut machine, OWNER, INDEX, &[1; 4], 0).unwrap();
        for _ in 0..2 {
            let locked = machine.authorised(READ_LOCK, &[OWNER, INDEX], &[]);
            assert_eq!(locked, Ok(std::vec![]));
        }
        restart(&mut machine, Some(1), 1);
        let refused = read(&mut machine, OWNER, INDEX, 4, 0);
        assert_eq!(refused, Err(ResponseCode::NV_LOCKED));
        restart(&mut machine, Some(1), 0);
        assert_eq!(read(&mut machine, OWNER, INDEX, 4, 0), Ok(std::vec![1; 4]));
    }
}
