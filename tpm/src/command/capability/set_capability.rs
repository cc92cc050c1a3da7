// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_SetCapability (Part 3, 30.4). No capability of this TPM is a setting: what could be set is
//! fixed by what the TPM is, or has a command of its own.

use crate::pipeline::Context;
use crate::structure::capability::Capability;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Reader, Result, Unmarshal, Writer};

/// TPM2B_SET_CAPABILITY_DATA (Part 2, 10.10.4): a capability, and data that only one that can be
/// set would give a form to. TPM_RC_SIZE without even a capability.
struct SetCapabilityData {
    _capability: Capability,
}

impl Unmarshal for SetCapabilityData {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let mut data = reader.sized(usize::from(u16::MAX))?;
        if data.is_empty() {
            return Err(ResponseCode::SIZE);
        }
        Ok(Self { _capability: data.value()? })
    }
}

/// Handles: authHandle. Parameters: setCapabilityData. TPM_RC_VALUE for every capability.
pub fn execute(
    _context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (_data,): (SetCapabilityData,) = parameters.read()?;
    Err(ResponseCode::VALUE.in_parameter(1))
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{LOCKOUT, Machine, OWNER};

    #[test]
    fn nothing_can_be_set() {
        let mut machine = Machine::started();
        let mut set = |auth: u32, body: &[u8]| machine.authorised(0x19f, &[auth], body);
        let value = Err(ResponseCode::VALUE.in_parameter(1));
        assert_eq!(set(LOCKOUT, &[0, 4, 0, 0, 0, 0]), Err(ResponseCode::VALUE.in_handle(1)));
        assert_eq!(set(OWNER, &[0, 0]), Err(ResponseCode::SIZE.in_parameter(1)));
        assert_eq!(set(OWNER, &[0, 3, 0, 0, 0]), Err(ResponseCode::INSUFFICIENT.in_parameter(1)));
        assert_eq!(set(OWNER, &[0, 4, 0, 0, 0, 0, 1]), Err(ResponseCode::SIZE));
        assert_eq!(set(OWNER, &[0, 4, 0, 0, 0, 0x0d]), value, "no capability");
        for capability in [0, 1, 5, 8] {
            assert_eq!(set(OWNER, &[0, 5, 0, 0, 0, capability, 7]), value, "{capability}");
        }
    }
}
