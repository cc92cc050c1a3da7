// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way of a command (Part 3, 5): frame, mode, handles, authorisation, decryption, action,
//! response, one commit.
//!
//! ```text
//! command ─► frame ─► mode ─► resolve ─► area ─► authorise ─► decrypt ─► action
//!                                                                          │
//! response ◄─ commit ◄─ nonces, HMACs, audit ◄─ encrypt ◄──────────────────┘
//! ```
//!
//! A command that fails changes only: the counters of failed authorisations (and pinCount of a
//! PIN-fail index), Clock and what time does by itself, and the random bit generator.

mod area;
mod audit;
mod authorise;
#[cfg(test)]
mod comparison_tests;
#[cfg(test)]
mod defect_tests;
mod frame;
mod hash;
#[cfg(test)]
mod number_tests;
mod policy;
#[cfg(test)]
mod policy_tests;
mod resolve;
mod respond;
#[cfg(test)]
mod retry_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod try_tests;
mod value;

use zeroize::Zeroize;

use crate::command::{Command, Traits};
use crate::platform::Platform;
use crate::state::capacity::{COMMAND_SIZE_MAX, HANDLES_MAX, SESSIONS_MAX};
use crate::state::groups::Shutdown;
use crate::state::{self, Mode, State};
use crate::structure::digest::Nonce;
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::structure::tag::StructureTag;
use crate::wire::{Parameters, Reader, Result, Writer};
use area::{SessionUse, SessionUses};
use frame::Frame;

/// A TPM: its state and the buffer that commands are worked on in. It is large: put it in a
/// `static` or on the heap, not on a stack.
#[derive(Debug)]
pub struct Tpm {
    state: State,
    buffer: Buffer,
}

struct Buffer([u8; COMMAND_SIZE_MAX]);

impl core::fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("Buffer")
    }
}

/// What an action works with.
pub struct Context<'a> {
    /// The state.
    pub state: &'a mut State,
    /// The machine.
    pub platform: &'a mut dyn Platform,
    /// The locality of the command: 0 to 4, or 32 to 255.
    pub locality: u8,
    /// The command's row in the table.
    pub command: &'static Command,
    /// The handle of the response; actions whose command has one set it.
    pub response_handle: Option<Handle>,
    handles: [Handle; HANDLES_MAX],
    /// The sessions of the command, checked.
    sessions: &'a SessionUses,
}

impl Context<'_> {
    /// Handle `number` of the command, from 1; it names an entity of the kind that the table says.
    pub fn handle(&self, number: usize) -> Handle {
        self.handles.get(number.wrapping_sub(1)).copied().unwrap_or(Handle::UNASSIGNED)
    }

    /// The session that audits this command, if there is one.
    pub fn audit_session(&self) -> Option<Handle> {
        self.sessions.audit().map(|session| session.handle)
    }

    /// The nonce of the caller and the handle of the first session that authorises with `handle`.
    pub fn first_session(&self) -> Option<(Handle, &Nonce)> {
        self.sessions.iter().next().map(|session| (session.handle, &session.nonce_caller))
    }
}

impl Tpm {
    /// A TPM without power.
    pub const fn new() -> Self {
        Self { state: State::new(), buffer: Buffer([0; COMMAND_SIZE_MAX]) }
    }

    /// _TPM_Init (Part 1, 12.2.2): reads what persists, or manufactures the TPM when there is
    /// nothing, and then waits for TPM2_Startup. A fault here is failure mode.
    pub fn power_on(&mut self, platform: &mut dyn Platform) {
        state::load(&mut self.state, platform, &mut self.buffer.0);
        self.buffer.0.zeroize();
    }

    /// Executes one command and writes its response; the octets of the response are returned.
    ///
    /// `locality` is 0 to 4 or an extended one. A command longer than 4096 octets is
    /// TPM_RC_COMMAND_SIZE. `response` should hold 4096 octets: a response that doesn't fit is
    /// replaced by TPM_RC_FAILURE, and less than 10 octets get nothing.
    pub fn execute(
        &mut self,
        platform: &mut dyn Platform,
        locality: u8,
        command: &[u8],
        response: &mut [u8],
    ) -> usize {
        let Self { state, buffer: Buffer(buffer) } = self;
        let outcome = match buffer.get_mut(..command.len()) {
            None => Err(ResponseCode::COMMAND_SIZE),
            Some(copy) => {
                copy.copy_from_slice(command);
                let outcome = run(state, platform, locality, copy, response);
                copy.zeroize();
                outcome
            }
        };
        let outcome = finish(state, platform, buffer, outcome);
        outcome.unwrap_or_else(|code| respond::error(code, response))
    }

    /// A number that changes when any primary seed does: what its platform keeps of derivations is
    /// of no use any more then. Differs from start to start.
    pub const fn seed_changes(&self) -> u64 {
        self.state.seed_changes
    }

    /// The state, for reports and validation; it holds secrets.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Changes the state outside of any command, for the platform's own use
    /// ([`provision`](crate::provision)), and writes what changed in one commit. As with a command,
    /// `change` leaves the state as it was when it fails.
    pub(crate) fn change<T>(
        &mut self,
        platform: &mut dyn Platform,
        change: impl FnOnce(&mut State, &mut dyn Platform) -> Result<T>,
    ) -> Result<T> {
        let Self { state, buffer: Buffer(buffer) } = self;
        if matches!(state.mode, Mode::Failure(_)) {
            return Err(ResponseCode::FAILURE);
        }
        let outcome = change(state, platform);
        finish(state, platform, buffer, outcome)
    }
}

impl Default for Tpm {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes what changed, in one commit. What cannot be written is failure mode, not a lost write.
fn finish<T>(
    state: &mut State,
    platform: &mut dyn Platform,
    scratch: &mut [u8],
    outcome: Result<T>,
) -> Result<T> {
    if matches!(state.mode, Mode::Failure(_)) {
        return outcome;
    }
    state.note_changes_since_shutdown();
    state.forget_keys_of_removed_objects();
    if !platform.is_storage_writable() {
        // No command that needs it has been executed; the rest is written when it is back.
        return outcome;
    }
    match state::commit(state, platform, scratch) {
        Ok(()) => outcome,
        Err(_) => Err(state.fail_storage(platform)),
    }
}

impl State {
    /// Whether nothing has changed since a TPM2_Shutdown.
    fn is_shut_down(&self) -> bool {
        matches!(self.orderly.shutdown, Shutdown::Clear | Shutdown::State)
    }

    /// A saved state is of no use any more once what it holds has changed.
    fn note_changes_since_shutdown(&mut self) {
        let is_changed =
            self.clear.is_changed() || self.reset.is_changed() || self.pcrs.values.is_changed();
        if is_changed && self.is_shut_down() && !self.is_shutting_down {
            self.orderly.change().shutdown = Shutdown::None;
        }
        self.is_shutting_down = false;
        self.clear.settle();
        self.reset.settle();
        self.pcrs.values.settle();
    }
}

fn run(
    state: &mut State,
    platform: &mut dyn Platform,
    locality: u8,
    bytes: &mut [u8],
    response: &mut [u8],
) -> Result<usize> {
    let frame = Frame::parse(bytes)?;
    let command = frame.command(state)?;
    if !matches!(state.mode, Mode::Failure(_)) {
        state.pass_time(platform);
        if state.wants_reseed() {
            state.seed_random(platform)?;
        }
    }
    let (_, body) = bytes.split_at_mut_checked(frame::HEADER_SIZE).unwrap_or_default();
    let handles = resolve::handles(state, command, body)?;
    let handles_size = command.handles.len().saturating_mul(4);
    let (_, body) = body.split_at_mut_checked(handles_size).ok_or(ResponseCode::INSUFFICIENT)?;
    let sessions = SessionUses::parse(state, command, frame.tag, body)?;
    let (_, parameters) = body.split_at_mut_checked(sessions.size).unwrap_or_default();

    let mut work = Work { state, platform, locality, command, handles, sessions };
    let audits = work.authorise(parameters)?;
    work.decrypt(parameters)?;
    work.act(frame.tag, parameters, response, &audits)
}

/// A command whose frame, handles and sessions are parsed.
struct Work<'a> {
    state: &'a mut State,
    platform: &'a mut dyn Platform,
    locality: u8,
    command: &'static Command,
    handles: [Handle; HANDLES_MAX],
    sessions: SessionUses,
}

impl Work<'_> {
    /// Executes the action with its response parameters written in place, then completes the
    /// response around them.
    fn act(
        self,
        tag: StructureTag,
        parameters: &[u8],
        response: &mut [u8],
        audits: &audit::Audits,
    ) -> Result<usize> {
        let Work { state, platform, locality, command, handles, sessions } = self;
        // After TPM2_Shutdown any command may make what it saved useless, which must be durable.
        let may_write = command.traits.contains(Traits::NV) || state.is_shut_down();
        if may_write && !platform.is_storage_writable() {
            return Err(ResponseCode::NV_UNAVAILABLE);
        }
        let has_handle = command.traits.contains(Traits::RESPONSE_HANDLE);
        let start = respond::parameters_start(tag, has_handle);
        let (_, place) = response.split_at_mut_checked(start).ok_or(ResponseCode::FAILURE)?;
        let mut writer = Writer::new(place);
        let flushed = value::Flushed::keep(state, command, &handles);
        let action = command.action.ok_or(ResponseCode::COMMAND_CODE)?;
        let mut context = Context {
            state: &mut *state,
            platform: &mut *platform,
            locality,
            command,
            response_handle: None,
            handles,
            sessions: &sessions,
        };
        action(&mut context, Parameters::new(parameters), &mut writer)?;
        let response_handle = context.response_handle;
        let size = writer.len();
        respond::success(
            state,
            &respond::Outcome { tag, command, handles, response_handle, size, audits, flushed },
            &sessions,
            response,
        )
    }

    /// Decrypts the first parameter in place, if a session says that it is encrypted.
    fn decrypt(&self, parameters: &mut [u8]) -> Result<()> {
        let Some(session_use) = self.sessions.decrypting() else { return Ok(()) };
        let mut reader = Reader::new(parameters);
        // CVE-2023-1017 and -1018: a size beyond the parameters, or not even a size.
        let size = reader.value::<u16>()?;
        let session = self.state.sessions.get(session_use.handle);
        let session = session.ok_or(ResponseCode::FAILURE)?;
        let (_, data) = parameters.split_at_mut_checked(2).ok_or(ResponseCode::INSUFFICIENT)?;
        let data = data.get_mut(..usize::from(size)).ok_or(ResponseCode::SIZE)?;
        let entities = value::Entities { state: self.state, flushed: &value::Flushed::NONE };
        let auth = entities.encryption_auth(session_use.entity(&self.handles));
        crate::session::decrypt_parameter(session, auth, &session_use.nonce_caller, data)
    }
}

impl SessionUse {
    /// Which handle of the command it authorises.
    fn entity(&self, handles: &[Handle; HANDLES_MAX]) -> Option<Handle> {
        self.authorises.and_then(|place| handles.get(place).copied())
    }
}

const _: () = assert!(SESSIONS_MAX >= HANDLES_MAX, "each handle can have its session");
