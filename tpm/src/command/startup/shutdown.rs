// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_Shutdown (Part 3, 9.4): prepares for a loss of power.

use crate::pipeline::Context;
use crate::state::groups::Shutdown;
use crate::state::save_state;
use crate::structure::nv::NvAttributes;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer, wire_enum};

wire_enum! {
    /// TPM_SU (Part 2, 6.10). Any other value is TPM_RC_VALUE.
    StartupType: u16, else VALUE {
        /// Without saved state.
        Clear = 0,
        /// With saved state.
        State = 1,
    }
}

/// shutdownType.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (shutdown_type,): (StartupType,) = parameters.read()?;
    if shutdown_type == StartupType::State && context.state.pcrs.is_allocated_anew {
        // The saved values would be those of other banks.
        return Err(ResponseCode::TYPE.in_parameter(1));
    }
    let shutdown = match shutdown_type {
        StartupType::Clear => Shutdown::Clear,
        StartupType::State => {
            save_state(context.state, context.platform)?;
            Shutdown::State
        }
    };
    let state = &mut *context.state;
    state.nv.mark_if(|index| index.public.attributes.contains(NvAttributes::ORDERLY));
    let (clock_ms, is_clock_safe) = (state.clock.clock_ms(), state.clock.is_safe);
    let orderly = state.orderly.change();
    orderly.clock_ms = clock_ms;
    orderly.is_clock_safe = is_clock_safe;
    orderly.shutdown = shutdown;
    state.is_shutting_down = true;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn refuses_other_types() {
        let mut machine = Machine::started();
        assert_eq!(machine.command(0x145, &[0, 2]), Err(ResponseCode::VALUE.in_parameter(1)));
        assert_eq!(machine.command(0x145, &[]), Err(ResponseCode::INSUFFICIENT.in_parameter(1)));
    }

    #[test]
    fn an_orderly_shutdown_shows_after_the_start() {
        let mut machine = Machine::started();
        assert_eq!(machine.property(0x201) >> 31, 1, "a new TPM was never off");
        machine.power_cycle();
        machine.command(0x144, &[0, 0]).unwrap();
        assert_eq!(machine.property(0x201) >> 31, 0);
        machine.command(0x145, &[0, 0]).unwrap();
        machine.power_cycle();
        machine.command(0x144, &[0, 0]).unwrap();
        assert_eq!(machine.property(0x201) >> 31, 1);
    }
}
