// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ReadOnlyControl (Part 3, 24.9): what persists cannot be changed until the next start or
//! until the platform ends it.

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
}
