// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PolicyCapability (Part 3, 23.23): what TPM2_GetCapability says compares to something.

use super::comparison::Comparison;
use crate::command::capability::get_capability::one_entry;
use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::session::SessionKind;
use crate::structure::capability::Capability;
use crate::structure::command_code::CommandCode;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: policySession. Parameters: operandB, offset, operation, capability, property.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (operand, offset, operation, capability, property): (
        Digest,
        u16,
        Comparison,
        Capability,
        u32,
    ) = parameters.read()?;
    let handle = context.handle(1);
    let kind = context.state.sessions.policy_mut(handle)?.kind;
    if kind != SessionKind::Trial {
        let mut buffer = [0; 128];
        let mut writer = Writer::new(&mut buffer);
        let vendor = context.platform.vendor();
        one_entry(context.state, &vendor, capability, property, &mut writer)?;
        if !holds(writer.written(), &operand, offset, operation)? {
            return Err(ResponseCode::POLICY);
        }
    }
    let session = context.state.sessions.policy_mut(handle)?;
    let hash = session.hash;
    let arguments = hash.digest(&[
        &operand,
        &offset.to_be_bytes(),
        &operation.raw().to_be_bytes(),
        &capability.raw().to_be_bytes(),
        &property.to_be_bytes(),
    ]);
    session.policy.extend(hash, CommandCode::POLICY_CAPABILITY, &[&arguments]);
    Ok(())
}

/// Whether what stands in the entry at the offset compares so. What there is not differs from
/// everything, and is in no other relation to anything.
fn holds(entry: &[u8], operand: &[u8], offset: u16, operation: Comparison) -> Result<bool> {
    if entry.is_empty() {
        return Ok(operation == Comparison::NotEqual);
    }
    let rest = entry.get(usize::from(offset)..).ok_or(ResponseCode::VALUE.in_parameter(2))?;
    let compared = rest.get(..operand.len()).ok_or(ResponseCode::SIZE.in_parameter(1))?;
    Ok(operation.holds(compared, operand))
}

#[cfg(test)]
mod tests {
    use crate::command::policy::test_session::step;
    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, parameters};

    #[test]
    fn compares_one_entry() {
        let mut machine = Machine::started();
        let session = machine.start_session(SessionKind::Policy);
        let body = |operand: &[u8], offset: u16, capability: u32, property: u32| {
            parameters(|writer| {
                writer.sized_bytes(operand)?;
                writer.value(&offset)?;
                writer.value(&0_u16)?;
                writer.value(&capability)?;
                writer.value(&property)
            })
        };
        let mut compare = |body: &[u8]| step(&mut machine, 0x19b, session, body);
        // TPM_PT_PCR_COUNT is 24.
        assert_eq!(compare(&body(&[0, 0, 0, 24], 4, 6, 0x112)), Ok(()));
        assert_eq!(compare(&body(&[0, 0, 0, 25], 4, 6, 0x112)), Err(ResponseCode::POLICY));
        let offset = Err(ResponseCode::VALUE.in_parameter(2));
        assert_eq!(compare(&body(&[0], 9, 6, 0x112)), offset);
        let size = Err(ResponseCode::SIZE.in_parameter(1));
        assert_eq!(compare(&body(&[0; 5], 4, 6, 0x112)), size);
        // There is no property with this number.
        let mut absent = body(&[0; 8], 9, 6, 0x115);
        assert_eq!(compare(&absent), Err(ResponseCode::POLICY));
        // Behind operand and offset is the operation: different is what there is not.
        absent[13] = 1;
        assert_eq!(compare(&absent), Ok(()));
        let group = Err(ResponseCode::VALUE.in_parameter(4));
        assert_eq!(compare(&body(&[0], 0, 5, 0)), group);
    }
}
