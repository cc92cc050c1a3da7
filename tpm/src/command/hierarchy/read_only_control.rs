// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ReadOnlyControl (Part 3, 24.9): until the next start, or until the platform ends it, what
//! persists cannot be changed and no object be made. Only NV indices that the next start forgets
//! can still be written.

use crate::pipeline::Context;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle. Parameters: state.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (is_read_only,): (bool,) = parameters.read()?;
    context.state.clear.change().is_read_only = is_read_only;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::nv::scene::{BOTH, INDEX, define, read, write};
    use crate::command::object::create_primary::tests::{body, storage_key};
    use crate::structure::nv::NvAttributes as Bits;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, PLATFORM};

    #[test]
    fn changes_of_what_persists_are_denied() {
        let mut machine = Machine::started();
        machine.authorised(0x1a0, &[PLATFORM], &[1]).unwrap();
        assert_eq!(machine.property(0x201) & 0x10, 0x10);
        let denied = machine.authorised(0x129, &[OWNER], &[0, 1, 1]);
        assert_eq!(denied, Err(ResponseCode::READ_ONLY));
        assert!(machine.command(0x17b, &[0, 4]).is_ok());
        machine.extend_pcr(1, &[1; 32]);
        assert_ne!(machine.read_pcr(1), [0; 32]);
        machine.authorised(0x1a0, &[PLATFORM], &[0]).unwrap();
        assert_eq!(machine.authorised(0x129, &[OWNER], &[0, 0]), Ok(std::vec![]));
    }

    #[test]
    fn no_object_is_made_and_no_clock_or_hierarchy_changed() {
        let mut machine = Machine::started();
        machine.authorised(0x1a0, &[PLATFORM], &[1]).unwrap();
        let denied = Err(ResponseCode::READ_ONLY);
        let primary = body(b"", b"", &storage_key());
        assert_eq!(machine.authorised(0x131, &[OWNER], &primary), denied);
        assert_eq!(machine.authorised(0x128, &[OWNER], &[0, 0, 0, 0, 0xff, 0, 0, 0]), denied);
        assert_eq!(machine.authorised(0x130, &[OWNER], &[1]), denied);
        let disable = [&OWNER.to_be_bytes()[..], &[0]].concat();
        assert_eq!(machine.authorised(0x121, &[OWNER], &disable), denied);
        assert_eq!(machine.authorised(0x183, &[20], &[0, 1, 7]), denied);
    }

    #[test]
    fn only_what_the_next_start_forgets_is_written() {
        let volatile = Bits::ORDERLY.with(Bits::CLEAR_ST_CLEAR);
        let lockable = BOTH.with(Bits::WRITE_ST_CLEAR).with(Bits::READ_ST_CLEAR);
        for (attributes, is_allowed) in [
            (lockable, false),
            (lockable.with(Bits::ORDERLY), false),
            (lockable.with(Bits::CLEAR_ST_CLEAR), false),
            (lockable.with(volatile), true),
        ] {
            let mut machine = Machine::started();
            define(&mut machine, OWNER, INDEX, attributes, 4);
            write(&mut machine, INDEX, INDEX, &[1; 4], 0).unwrap();
            machine.authorised(0x1a0, &[PLATFORM], &[1]).unwrap();
            let expected = if is_allowed { Ok(std::vec![]) } else { Err(ResponseCode::READ_ONLY) };
            assert_eq!(write(&mut machine, INDEX, INDEX, &[2; 4], 0), expected);
            assert_eq!(read(&mut machine, INDEX, INDEX, 4, 0).unwrap()[0] == 2, is_allowed);
            for lock in [0x138, 0x14f] {
                assert_eq!(machine.authorised(lock, &[INDEX; 2], &[]), expected);
            }
        }
    }
}
