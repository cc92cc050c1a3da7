// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_SetAlgorithmSet (Part 3, 26.3).

use crate::pipeline::Context;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle. Parameters: algorithmSet: a number of the platform's, without any effect
/// on which algorithms there are.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (set,): (u32,) = parameters.read()?;
    context.state.permanent.change().algorithm_set = set;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, PLATFORM};

    #[test]
    fn the_number_shows() {
        let mut machine = Machine::started();
        let refused = machine.authorised(0x13f, &[OWNER], &[0, 0, 0, 7]);
        assert_eq!(refused, Err(ResponseCode::VALUE.in_handle(1)));
        machine.authorised(0x13f, &[PLATFORM], &[0, 0, 0, 7]).unwrap();
        assert_eq!(machine.property(0x20c), 7);
    }
}
