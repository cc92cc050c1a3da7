// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_DictionaryAttackLockReset (Part 3, 25.2).

use crate::pipeline::Context;
use crate::wire::{Parameters, Result, Writer};

/// Handles: lockHandle.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    context.state.permanent.change().dictionary_attack.failed_tries = 0;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{LOCKOUT, Machine, OWNER};

    #[test]
    fn only_lockout_may() {
        let mut machine = Machine::started();
        let refused = machine.authorised(0x139, &[OWNER], &[]);
        assert_eq!(refused, Err(ResponseCode::VALUE.in_handle(1)));
        assert_eq!(machine.authorised(0x139, &[LOCKOUT], &[]), Ok(std::vec![]));
        assert_eq!(machine.property(0x20e), 0);
    }
}
