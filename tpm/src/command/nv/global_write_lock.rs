// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_NV_GlobalWriteLock (Part 3, 31.12).

use crate::pipeline::Context;
use crate::structure::nv::NvAttributes;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle. Locks every index that was defined with TPMA_NV_GLOBALLOCK.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    context.state.nv.change_each(|index| {
        let before = index.public.attributes;
        let is_to_lock = before.contains(NvAttributes::GLOBAL_LOCK);
        index.public.attributes =
            if is_to_lock { before.with(NvAttributes::WRITE_LOCKED) } else { before };
        index.public.attributes != before
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::nv::scene::{BOTH, INDEX, define, restart, write};
    use crate::structure::nv::NvAttributes as Bits;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{LOCKOUT, Machine, OWNER};

    #[test]
    fn locks_what_was_defined_so_and_nothing_else() {
        let mut machine = Machine::started();
        let refused = machine.authorised(0x132, &[LOCKOUT], &[]);
        assert_eq!(refused, Err(ResponseCode::VALUE.in_handle(1)));
        define(&mut machine, OWNER, INDEX, BOTH.with(Bits::GLOBAL_LOCK), 4);
        define(&mut machine, OWNER, INDEX + 1, BOTH, 4);
        machine.authorised(0x132, &[OWNER], &[]).unwrap();
        let refused = write(&mut machine, OWNER, INDEX, &[1; 4], 0);
        assert_eq!(refused, Err(ResponseCode::NV_LOCKED));
        write(&mut machine, OWNER, INDEX + 1, &[1; 4], 0).unwrap();
        restart(&mut machine, None, 0);
        write(&mut machine, OWNER, INDEX, &[1; 4], 0).unwrap();
    }
}
