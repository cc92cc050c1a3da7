// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_NV_UndefineSpaceSpecial (Part 3, 31.5).

use crate::pipeline::Context;
use crate::structure::nv::NvAttributes;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: nvIndex, with a policy for this command; platform.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    let index = context.handle(1);
    if !context.state.nv_attributes(index)?.contains(NvAttributes::POLICY_DELETE) {
        return Err(ResponseCode::ATTRIBUTES.in_handle(1));
    }
    context.state.remove_indices(|found| found.public.index == index);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::nv::scene::{AUTH, INDEX, command_policy, definition, with_policy};
    use crate::structure::nv::NvAttributes as Bits;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, PLATFORM, parameters};

    const SPECIAL: u32 = 0x11f;

    fn define(machine: &mut Machine, attributes: Bits) {
        let attributes = AUTH.with(Bits::PLATFORM_CREATE).with(attributes);
        let body = definition(INDEX, attributes.raw(), b"", &command_policy(SPECIAL), 4);
        machine.authorised(0x12a, &[PLATFORM], &body).unwrap();
    }

    #[test]
    fn only_what_was_defined_so_and_only_with_its_policy() {
        let mut machine = Machine::started();
        define(&mut machine, Bits::empty());
        let refused = with_policy(&mut machine, SPECIAL, &[INDEX, PLATFORM], &[]);
        assert_eq!(refused, Err(ResponseCode::ATTRIBUTES.in_handle(1)));
        machine.authorised(0x122, &[PLATFORM, INDEX], &[]).unwrap();
        define(&mut machine, Bits::POLICY_DELETE);
        let refused = machine.authorised(SPECIAL, &[INDEX, PLATFORM], &[]);
        assert_eq!(refused, Err(ResponseCode::AUTH_TYPE.in_session(1)));
        let deleted = with_policy(&mut machine, SPECIAL, &[INDEX, PLATFORM], &[]);
        assert_eq!(deleted, Ok(std::vec![]));
        let gone = machine.command(0x169, &INDEX.to_be_bytes());
        assert_eq!(gone, Err(ResponseCode::HANDLE.in_handle(1)));
    }

    /// The platform authorises the second handle here, the first one in every other command.
    #[test]
    fn physical_presence_can_be_demanded() {
        let mut machine = Machine::started();
        define(&mut machine, Bits::POLICY_DELETE);
        machine.platform.physical_presence = true;
        let lists = parameters(|writer| {
            [1, SPECIAL, 0].iter().try_for_each(|word: &u32| writer.value(word))
        });
        machine.authorised(0x12d, &[PLATFORM], &lists).unwrap();
        machine.platform.physical_presence = false;
        let refused = with_policy(&mut machine, SPECIAL, &[INDEX, PLATFORM], &[]);
        assert_eq!(refused, Err(ResponseCode::PP.in_session(2)));
        machine.platform.physical_presence = true;
        let deleted = with_policy(&mut machine, SPECIAL, &[INDEX, PLATFORM], &[]);
        assert_eq!(deleted, Ok(std::vec![]));
    }
}
