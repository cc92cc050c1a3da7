// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PP_Commands (Part 3, 26.2): which commands need physical presence with platformAuth.

use crate::command::{Traits, find};
use crate::pipeline::Context;
use crate::structure::command_code::CommandCode;
use crate::structure::digest::List;
use crate::wire::{Parameters, Reader, Result, Unmarshal, Writer};

/// Commands that a TPML_CC may have (MAX_CAP_CC).
const COMMAND_LIST_MAX: usize = 254;

/// TPML_CC.
pub(in crate::command) type CommandList = List<CommandCode, COMMAND_LIST_MAX>;

impl Unmarshal for CommandList {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        Self::read(reader, CommandCode::STARTUP)
    }
}

/// Handles: auth. Parameters: setList, clearList. Commands that cannot need it, or are not
/// implemented, are left as they are.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (set, clear): (CommandList, CommandList) = parameters.read()?;
    let mut commands = context.state.permanent.physical_presence_commands;
    for (list, is_member) in [(&set, true), (&clear, false)] {
        for code in list.iter() {
            let is_settable = find(*code).is_some_and(|command| {
                command.is_implemented() && command.traits.contains(Traits::PRESENCE_SETTABLE)
            });
            if is_settable {
                commands.set(*code, is_member);
            }
        }
    }
    context.state.permanent.change().physical_presence_commands = commands;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, PLATFORM, parameters};

    #[test]
    fn presence_is_needed_from_then_on() {
        let mut machine = Machine::started();
        let lists = |set: &[u32], clear: &[u32]| {
            parameters(|writer| {
                [set, clear].iter().try_for_each(|list| {
                    writer.value(&u32::try_from(list.len()).unwrap())?;
                    list.iter().try_for_each(|code| writer.value(code))
                })
            })
        };
        let set = lists(&[0x129, 0x17b, 0xffff], &[]);
        assert_eq!(
            machine.authorised(0x12d, &[PLATFORM], &set),
            Err(ResponseCode::PP.in_session(1))
        );
        machine.platform.physical_presence = true;
        assert_eq!(machine.authorised(0x12d, &[PLATFORM], &set), Ok(std::vec![]));
        machine.platform.physical_presence = false;
        let denied = machine.authorised(0x129, &[PLATFORM], &[0, 0]);
        assert_eq!(denied, Err(ResponseCode::PP.in_session(1)));
        assert_eq!(machine.authorised(0x129, &[OWNER], &[0, 0]), Ok(std::vec![]));
        let ask = [0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 99];
        let listed = machine.command(0x17a, &ask).unwrap();
        assert_eq!(listed[5..], [0, 0, 0, 2, 0, 0, 1, 0x29, 0, 0, 1, 0x2d]);
    }
}
