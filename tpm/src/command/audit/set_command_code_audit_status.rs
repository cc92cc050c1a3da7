// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_SetCommandCodeAuditStatus (Part 3, 21.2).

use crate::command::{CommandSet, find};
use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::pipeline::Context;
use crate::structure::command_code::CommandCode;
use crate::structure::digest::List;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Reader, Result, Unmarshal, Writer};

/// Entries that a TPML_CC may have: MAX_CAP_CC (Part 2, 6.14).
const CODES_MAX: usize = 254;

/// TPML_CC.
struct CommandCodes(List<CommandCode, CODES_MAX>);

impl Unmarshal for CommandCodes {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        List::read(reader, CommandCode(0)).map(Self)
    }
}

/// Handles: auth. Parameters: auditAlg, setList, clearList. Either the algorithm changes, or the
/// lists; to name the algorithm that there is, is no change (tpm2-tools always names one). Codes of
/// commands that aren't there are passed over.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (algorithm, CommandCodes(added), CommandCodes(removed)): (
        Option<HashAlgorithm>,
        CommandCodes,
        CommandCodes,
    ) = parameters.read()?;
    let state = &mut *context.state;
    if let Some(algorithm) = algorithm
        && state.permanent.audit.algorithm != algorithm
    {
        if !added.is_empty() || !removed.is_empty() {
            return Err(ResponseCode::VALUE.in_parameter(1));
        }
        state.permanent.change().audit.algorithm = algorithm;
        state.reset.change().command_audit_digest = Digest::EMPTY;
        return Ok(());
    }
    let mut commands = state.permanent.audit.commands;
    added.iter().for_each(|code| include(&mut commands, *code, true));
    removed.iter().for_each(|code| include(&mut commands, *code, false));
    if commands != state.permanent.audit.commands {
        state.permanent.change().audit.commands = commands;
    }
    Ok(())
}

/// TPM2_Shutdown cannot be audited, since the digest is saved before it ends.
fn include(commands: &mut CommandSet, code: CommandCode, is_member: bool) {
    let is_there = find(code).is_some_and(super::super::Command::is_implemented);
    if is_there && code != CommandCode::SHUTDOWN {
        commands.set(code, is_member);
    }
}

#[cfg(test)]
mod tests {
    use crate::structure::command_code::CommandCode;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{ENDORSEMENT, Machine, OWNER, parameters};
    use std::vec::Vec;

    fn body(algorithm: u16, added: &[u32], removed: &[u32]) -> Vec<u8> {
        parameters(|writer| {
            writer.value(&algorithm)?;
            for list in [added, removed] {
                writer.value(&u32::try_from(list.len()).unwrap())?;
                list.iter().try_for_each(|code| writer.value(code))?;
            }
            Ok(())
        })
    }

    #[test]
    fn the_algorithm_and_the_lists_change_apart() {
        let mut machine = Machine::started();
        let mut set = |handle: u32, body: &[u8]| machine.authorised(0x140, &[handle], body);
        let refused = set(OWNER, &body(0x0c, &[0x17b], &[]));
        assert_eq!(refused, Err(ResponseCode::VALUE.in_parameter(1)));
        let refused = set(OWNER, &body(0x0c, &[], &[0x17b]));
        assert_eq!(refused, Err(ResponseCode::VALUE.in_parameter(1)));
        assert_eq!(set(OWNER, &body(0x0e, &[], &[])), Err(ResponseCode::HASH.in_parameter(1)));
        let refused = set(ENDORSEMENT, &body(0x0c, &[], &[]));
        assert_eq!(refused, Err(ResponseCode::VALUE.in_handle(1)));
        let long = body(0x10, &[0x17b; 255], &[]);
        assert_eq!(set(OWNER, &long), Err(ResponseCode::SIZE.in_parameter(2)));
        assert_eq!(set(OWNER, &body(0x0c, &[], &[])), Ok(std::vec![]));
        // The command that begins another digest is not part of it.
        assert!(machine.tpm.state().reset.command_audit_digest.is_empty());
    }

    #[test]
    fn the_algorithm_that_there_is_may_stand_beside_lists() {
        let mut machine = Machine::started();
        machine.authorised(0x140, &[OWNER], &body(0x0b, &[0x17b], &[])).unwrap();
        assert!(machine.tpm.state().permanent.audit.audits(CommandCode::GET_RANDOM));
        machine.authorised(0x140, &[OWNER], &body(0x0b, &[], &[0x17b])).unwrap();
        assert!(!machine.tpm.state().permanent.audit.audits(CommandCode::GET_RANDOM));
    }

    #[test]
    fn some_commands_are_always_audited_or_never() {
        let mut machine = Machine::started();
        let added = body(0x10, &[0x145, 0x17b, 0x2000_0000, 0x999], &[]);
        machine.authorised(0x140, &[OWNER], &added).unwrap();
        let audit = |machine: &Machine| machine.tpm.state().permanent.audit.clone();
        assert!(audit(&machine).audits(CommandCode::GET_RANDOM));
        assert!(!audit(&machine).audits(CommandCode::SHUTDOWN));
        machine.authorised(0x140, &[OWNER], &body(0x10, &[], &[0x140, 0x17b])).unwrap();
        assert!(audit(&machine).audits(CommandCode::SET_COMMAND_CODE_AUDIT_STATUS));
        assert!(!audit(&machine).audits(CommandCode::GET_RANDOM));
    }
}
