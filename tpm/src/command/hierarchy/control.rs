// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_HierarchyControl (Part 3, 24.2).

use crate::pipeline::Context;
use crate::state::State;
use crate::state::object::Transient;
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Reader, Result, Unmarshal, Writer};

/// TPMI_RH_ENABLES: any other handle is TPM_RC_VALUE.
struct Enable(Handle);

impl Unmarshal for Enable {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        match reader.value()? {
            known @ (Handle::OWNER
            | Handle::ENDORSEMENT
            | Handle::PLATFORM
            | Handle::PLATFORM_NV) => Ok(Self(known)),
            _ => Err(ResponseCode::VALUE),
        }
    }
}

/// Handles: authHandle. Parameters: enable, state.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (Enable(hierarchy), is_enabled): (Enable, bool) = parameters.read()?;
    let auth = context.handle(1);
    // A hierarchy can disable itself. Only the platform enables another one; nothing but a start
    // enables the platform, since its authorisation is disabled with it.
    let was_enabled = is_on(context.state, hierarchy);
    let is_own = auth == hierarchy && (was_enabled || !is_enabled);
    if auth != Handle::PLATFORM && !is_own {
        return Err(ResponseCode::AUTH_TYPE);
    }
    if was_enabled == is_enabled {
        return Ok(());
    }
    let clear = context.state.clear.change();
    match hierarchy {
        Handle::OWNER => clear.is_owner_enabled = is_enabled,
        Handle::ENDORSEMENT => clear.is_endorsement_enabled = is_enabled,
        Handle::PLATFORM => clear.is_platform_enabled = is_enabled,
        _ => clear.is_platform_nv_enabled = is_enabled,
    }
    if !is_enabled {
        flush(context.state, hierarchy);
    }
    Ok(())
}

fn is_on(state: &State, hierarchy: Handle) -> bool {
    match hierarchy {
        Handle::PLATFORM_NV => state.clear.is_platform_nv_enabled,
        other => state.is_hierarchy_enabled(other),
    }
}

/// Flushes the loaded objects of a hierarchy.
pub(super) fn flush(state: &mut State, hierarchy: Handle) {
    state.transients.remove_if(|transient| match transient {
        Transient::Object(object) => object.hierarchy == hierarchy,
        Transient::Sequence(_) => false,
    });
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests::{body, storage_key};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{ENDORSEMENT, Machine, OWNER, PLATFORM};

    fn control(
        machine: &mut Machine,
        auth: u32,
        hierarchy: u32,
        is_enabled: u8,
    ) -> crate::wire::Result<()> {
        let body = [&hierarchy.to_be_bytes()[..], &[is_enabled]].concat();
        machine.authorised(0x121, &[auth], &body).map(|_| ())
    }

    #[test]
    fn only_the_platform_enables() {
        let mut machine = Machine::started();
        let wrong = Err(ResponseCode::VALUE.in_parameter(1));
        assert_eq!(control(&mut machine, PLATFORM, 0x4000_0007, 0), wrong);
        let refused = Err(ResponseCode::AUTH_TYPE);
        assert_eq!(control(&mut machine, OWNER, ENDORSEMENT, 0), refused);
        assert_eq!(control(&mut machine, OWNER, PLATFORM, 0), refused);
        assert_eq!(control(&mut machine, OWNER, 0x4000_000d, 0), refused);
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        assert_eq!(control(&mut machine, OWNER, OWNER, 0), Ok(()));
        let flushed = machine.command(0x173, &[0x80, 0, 0, 0]);
        assert_eq!(flushed, Err(ResponseCode::REFERENCE_H0));
        let disabled = Err(ResponseCode::HIERARCHY.in_handle(1));
        assert_eq!(control(&mut machine, OWNER, OWNER, 1), disabled);
        assert_eq!(control(&mut machine, PLATFORM, OWNER, 1), Ok(()));
        assert_eq!(control(&mut machine, PLATFORM, PLATFORM, 0), Ok(()));
        assert_eq!(control(&mut machine, PLATFORM, PLATFORM, 1), disabled);
        machine.power_cycle();
        machine.command(0x144, &[0, 0]).unwrap();
        assert_eq!(control(&mut machine, PLATFORM, PLATFORM, 1), Ok(()));
    }
}
