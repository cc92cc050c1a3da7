// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PCR_Reset (Part 3, 22.8).

use crate::pipeline::Context;
use crate::state::pcr::pcr_attributes;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: pcrHandle.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    let handle = context.handle(1);
    if !pcr_attributes(handle.index()).reset.allows(context.locality) {
        return Err(ResponseCode::LOCALITY);
    }
    context.state.pcrs.fill(handle.index(), 0);
    context.state.count_pcr_change(handle.index());
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn only_some_pcrs_from_some_localities() {
        let mut machine = Machine::started();
        machine.extend_pcr(16, &[1; 32]);
        assert_ne!(machine.read_pcr(16), [0; 32]);
        assert_eq!(machine.authorised(0x13d, &[16], &[]), Ok(std::vec![]));
        assert_eq!(machine.read_pcr(16), [0; 32]);
        assert_eq!(machine.authorised(0x13d, &[0], &[]), Err(ResponseCode::LOCALITY));
        assert_eq!(machine.authorised(0x13d, &[20], &[]), Err(ResponseCode::LOCALITY));
        let null = machine.authorised(0x13d, &[0x4000_0007], &[]);
        assert_eq!(null, Err(ResponseCode::VALUE.in_handle(1)));
        machine.locality = 4;
        assert_eq!(machine.authorised(0x13d, &[20], &[]), Ok(std::vec![]));
        assert_eq!(machine.read_pcr(20), [0; 32]);
        assert_eq!(machine.authorised(0x13d, &[16], &[]), Err(ResponseCode::LOCALITY));
    }
}
