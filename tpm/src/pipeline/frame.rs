// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command header (Part 3, 5.2) and what the TPM's mode allows (5.3).

use crate::command::{Command, Traits, find};
use crate::state::{Mode, State};
use crate::structure::command_code::CommandCode;
use crate::structure::response_code::ResponseCode;
use crate::structure::tag::StructureTag;
use crate::wire::{Reader, Result};

/// Octets of tag, size and code, in a command and in a response.
pub(super) const HEADER_SIZE: usize = 10;

/// A header that fits its command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// With or without an authorisation area.
    pub(super) tag: StructureTag,
    code: CommandCode,
}

impl Frame {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let too_short = |_: ResponseCode| ResponseCode::COMMAND_SIZE;
        let tag = reader.value::<u16>().map_err(too_short)?;
        let size = reader.value::<u32>().map_err(too_short)?;
        let code = reader.value().map_err(too_short)?;
        let tag = match StructureTag::from_raw(tag) {
            Some(tag @ (StructureTag::NoSessions | StructureTag::Sessions)) => tag,
            _ => return Err(ResponseCode::BAD_TAG),
        };
        if usize::try_from(size) != Ok(bytes.len()) {
            return Err(ResponseCode::COMMAND_SIZE);
        }
        Ok(Self { tag, code })
    }

    /// The command's row, if it is implemented and the TPM's mode allows it now.
    pub(super) fn command(&self, state: &State) -> Result<&'static Command> {
        let command = find(self.code).filter(|command| command.is_implemented());
        if let Mode::Failure(_) = state.mode {
            // In failure mode everything else has the same answer, implemented or not.
            return command
                .filter(|command| command.traits.contains(Traits::IN_FAILURE_MODE))
                .filter(|_| self.tag == StructureTag::NoSessions)
                .ok_or(ResponseCode::FAILURE);
        }
        let command = command.ok_or(ResponseCode::COMMAND_CODE)?;
        let is_startup = command.traits.contains(Traits::BEFORE_STARTUP);
        if is_startup != (state.mode == Mode::Initialized) {
            return Err(ResponseCode::INITIALIZE);
        }
        if state.clear.is_read_only && command.traits.contains(Traits::DENIED_READ_ONLY) {
            return Err(ResponseCode::READ_ONLY);
        }
        Ok(command)
    }
}
