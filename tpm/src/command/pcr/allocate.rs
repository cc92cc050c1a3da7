// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PCR_Allocate (Part 3, 22.5).

use crate::pipeline::Context;
use crate::state::pcr::{BANKS, bank_index};
use crate::structure::pcr_selection::{PCR_COUNT, PcrSelectionList};
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// A PCR of the static root of trust, and the first of the dynamic one: some bank must have both.
const HCRTM_PCR: usize = 0;
const DRTM_PCR: usize = 17;

/// Handles: authHandle. Parameters: pcrAllocation; a bank that it doesn't name stays as it is.
/// The response: allocationSuccess, maxPCR, sizeNeeded, sizeAvailable. In force at the next
/// Startup(CLEAR).
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (selection,): (PcrSelectionList,) = parameters.read()?;
    // Of several allocations before a Startup the last one counts.
    let mut allocation = context.state.pcrs.allocation;
    for entry in selection.iter() {
        let place = bank_index(entry.bank).and_then(|index| allocation.0.get_mut(index));
        *place.ok_or(ResponseCode::VALUE.in_parameter(1))? = entry.pcrs;
    }
    let has_both = |pcrs: &crate::structure::pcr_selection::PcrBitmap| {
        pcrs.contains(HCRTM_PCR) && pcrs.contains(DRTM_PCR)
    };
    if !allocation.0.iter().any(has_both) {
        return Err(ResponseCode::PCR);
    }
    let mut needed: u32 = 0;
    let mut available: u32 = 0;
    for (bank, pcrs) in BANKS.iter().zip(&allocation.0) {
        let size = u32::try_from(bank.digest_size()).unwrap_or_default();
        let count = u32::try_from(pcrs.iter().count()).unwrap_or_default();
        needed = needed.saturating_add(size.saturating_mul(count));
        let all = u32::try_from(PCR_COUNT).unwrap_or_default();
        available = available.saturating_add(size.saturating_mul(all));
    }
    response.value(&true)?;
    response.value(&u32::try_from(PCR_COUNT).unwrap_or_default())?;
    response.value(&needed)?;
    response.value(&available)?;
    context.state.permanent.change().pcr_allocation = allocation;
    // A state that was saved before has the values of other banks (Part 3, 22.5, note on
    // TPM2_Shutdown); so would one that is saved now, also if the allocation is what it was.
    context.state.pcrs.is_allocated_anew = true;
    context.state.pcrs.values.change();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, PLATFORM};

    const NONE_OF_SHA1: &[u8] = &[0, 0, 0, 1, 0, 4, 3, 0, 0, 0];

    #[test]
    fn a_bank_for_measurements_must_stay() {
        let mut machine = Machine::started();
        let none = [
            0, 0, 0, 4, 0, 4, 3, 0, 0, 0, 0, 0x0b, 3, 0, 0, 0, 0, 0x0c, 3, 1, 0, 0, 0, 0x0d, 3, 0,
            0, 0,
        ];
        assert_eq!(machine.authorised(0x12b, &[PLATFORM], &none), Err(ResponseCode::PCR));
        let sm3 = [0, 0, 0, 1, 0, 0x12, 3, 1, 0, 0];
        let refused = machine.authorised(0x12b, &[PLATFORM], &sm3);
        assert_eq!(refused, Err(ResponseCode::VALUE.in_parameter(1)));
        let owner = machine.authorised(0x12b, &[crate::testing::OWNER], NONE_OF_SHA1);
        assert_eq!(owner, Err(ResponseCode::VALUE.in_handle(1)));
    }

    #[test]
    fn takes_effect_at_the_next_start() {
        let mut machine = Machine::started();
        let response = machine.authorised(0x12b, &[PLATFORM], NONE_OF_SHA1).unwrap();
        assert_eq!(response[..5], [1, 0, 0, 0, 24]);
        let needed = u32::from_be_bytes([response[5], response[6], response[7], response[8]]);
        assert_eq!(needed, 24 * (32 + 48 + 64));
        let state = machine.command(0x145, &[0, 1]);
        assert_eq!(state, Err(ResponseCode::TYPE.in_parameter(1)));
        machine.command(0x145, &[0, 0]).unwrap();
        machine.power_cycle();
        machine.command(0x144, &[0, 0]).unwrap();
        // All banks are still listed, the SHA-1 bank with an empty bit map.
        let banks = machine.command(0x17a, &[0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1]).unwrap();
        assert_eq!(banks[..15], [0, 0, 0, 0, 5, 0, 0, 0, 4, 0, 4, 3, 0, 0, 0]);
    }
}
