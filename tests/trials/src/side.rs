// SPDX-License-Identifier: MIT OR Apache-2.0
//! One TPM of a trial and what its caller keeps of it: handles, fields of responses, sessions. It
//! makes a command's octets out of a step, and an outcome out of the response.

use std::collections::BTreeMap;

use tpm::command::{Traits, find};
use tpm::structure::command_code::CommandCode;

use crate::layout;
use crate::octets::{Fields, Octets};
use crate::salt::Salt;
use crate::session::{DECRYPT, ENCRYPT, Session, command_hash, response_hash};
use crate::step::{Action, Command, Damage, Handle, Piece, Proof, Step, StepId};
use crate::transport::Transport;

const TAG_NO_SESSIONS: u16 = 0x8001;
const TAG_SESSIONS: u16 = 0x8002;
const HEADER_SIZE: usize = 10;
/// A handle that names nothing, for those that a failed step did not bring.
const NO_HANDLE: u32 = 0x8000_0100;

/// What came of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The response code.
    pub code: u32,
    /// The handle of the response.
    pub handle: Option<u32>,
    /// The parameters of the response, decrypted.
    pub parameters: Vec<u8>,
    /// What the sessions of the response say.
    pub sessions: Vec<SessionAnswer>,
}

/// A session of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionAnswer {
    /// Octets of its nonce.
    pub nonce_size: usize,
    /// TPMA_SESSION.
    pub attributes: u8,
    /// Octets of its HMAC.
    pub mac_size: usize,
    /// Whether the HMAC is right, as far as the caller can tell.
    pub is_proved: bool,
}

/// What a successful step brought.
#[derive(Clone, Debug, Default)]
struct Brought {
    handle: Option<u32>,
    fields: Vec<Vec<u8>>,
}

/// A TPM and its caller's memory.
pub struct Side<T> {
    /// The TPM.
    pub transport: T,
    brought: BTreeMap<StepId, Brought>,
    sessions: BTreeMap<StepId, Session>,
    /// The salt of the session that is being started.
    salt: Salt,
}

/// The octets of a command, and what is needed to understand the response.
struct Made {
    octets: Vec<u8>,
    has_sessions: bool,
}

impl<T: Transport> Side<T> {
    /// A caller that knows nothing yet.
    pub const fn new(transport: T) -> Self {
        Self { transport, brought: BTreeMap::new(), sessions: BTreeMap::new(), salt: Salt::NONE }
    }

    /// Does a step.
    pub fn perform(&mut self, step: &Step) -> Outcome {
        let command = match &step.action {
            Action::PowerCycle => {
                self.transport.power_cycle();
                return Outcome::default();
            }
            Action::Command(command) => command,
        };
        let made = self.make(command);
        let response = self.transport.execute(command.locality, &made.octets);
        let outcome = self
            .understand(command, &made, &response)
            .unwrap_or_else(|| Outcome { code: u32::MAX, ..Outcome::default() });
        if outcome.code == 0 {
            let parts = layout::split(command.code, &outcome.parameters);
            let fields = parts.into_iter().map(<[u8]>::to_vec).collect();
            self.brought.insert(step.id, Brought { handle: outcome.handle, fields });
            self.note_start(step.id, command, &outcome.parameters);
        }
        outcome
    }

    /// The handle that a step brought.
    pub fn handle(&self, handle: Handle) -> u32 {
        match handle {
            Handle::Fixed(handle) => handle,
            Handle::Of(step) => {
                self.brought.get(&step).and_then(|brought| brought.handle).unwrap_or(NO_HANDLE)
            }
        }
    }

    /// A field that a step brought; empty if it didn't.
    pub fn field(&self, step: StepId, field: usize) -> &[u8] {
        let brought = self.brought.get(&step);
        brought.and_then(|brought| brought.fields.get(field)).map_or(&[], Vec::as_slice)
    }

    fn note_start(&mut self, step: StepId, command: &Command, parameters: &[u8]) {
        let Some(start) = &command.starts else { return };
        let Some(nonce_tpm) = Fields(parameters).sized() else { return };
        let session = Session::started(start, &self.salt.secret, nonce_tpm);
        self.sessions.insert(step, session);
    }

    fn session(&self, handle: Handle) -> Option<&Session> {
        match handle {
            Handle::Of(step) => self.sessions.get(&step),
            Handle::Fixed(_) => None,
        }
    }

    fn session_mut(&mut self, handle: Handle) -> Option<&mut Session> {
        match handle {
            Handle::Of(step) => self.sessions.get_mut(&step),
            Handle::Fixed(_) => None,
        }
    }

    fn body(&self, pieces: &[Piece]) -> Vec<u8> {
        let mut octets = Octets::new();
        for piece in pieces {
            octets = match piece {
                Piece::Octets(bytes) => octets.bytes(bytes),
                Piece::Field(step, field) => octets.bytes(self.field(*step, *field)),
                Piece::Handle(handle) => octets.u32(self.handle(*handle)),
                Piece::Nonce(step) => {
                    let nonce = self.sessions.get(step).map_or(&[][..], |known| &known.nonce_tpm);
                    octets.sized(nonce)
                }
                Piece::Salt => octets.sized(&self.salt.encrypted),
                Piece::Content(piece) => {
                    let sized = self.body(std::slice::from_ref(&**piece));
                    octets.bytes(sized.get(2..).unwrap_or_default())
                }
                Piece::Sized(pieces) => octets.sized(&self.body(pieces)),
                Piece::Digest(hash, pieces) => {
                    octets.bytes(hash.digest(&[&self.body(pieces)]).as_bytes())
                }
            };
        }
        octets.0
    }

    fn make(&mut self, command: &Command) -> Made {
        for used in &command.sessions {
            if let Some(session) = self.session_mut(used.session) {
                session.renew_nonce();
            }
        }
        let salt_key = command.starts.as_ref().and_then(|start| start.salt_key);
        self.salt = salt_key.map_or(Salt::NONE, |key| self.new_salt(key));
        let mut body = self.body(&command.body);
        for used in command.sessions.iter().filter(|used| used.attributes & DECRYPT != 0) {
            if let Some(session) = self.session(used.session) {
                let (newer, older) = (&session.nonce_caller, &session.nonce_tpm);
                session.cipher(&used.entity_auth, &mut body, newer, older, true);
            }
        }
        let mut octets = Octets::new();
        for handle in &command.handles {
            octets = octets.u32(self.handle(*handle));
        }
        let has_sessions = !command.sessions.is_empty();
        if has_sessions {
            let area = self.area(command, &body);
            octets = octets.u32(u32::try_from(area.len()).expect("an area is short")).bytes(&area);
        }
        octets = octets.bytes(&body);
        let tag = if has_sessions { TAG_SESSIONS } else { TAG_NO_SESSIONS };
        let mut octets = frame(tag, command.code.0, &octets.0);
        if let Some(damage) = &command.damage {
            break_command(&mut octets, damage);
        }
        Made { octets, has_sessions }
    }

    /// The authorisation area.
    fn area(&mut self, command: &Command, body: &[u8]) -> Vec<u8> {
        let wants_hmac = command.sessions.iter().any(|used| matches!(used.proof, Proof::Hmac(_)));
        let names = if wants_hmac { self.names(&command.handles) } else { Vec::new() };
        let first_with = |bit| command.sessions.iter().position(|used| used.attributes & bit != 0);
        let (decrypting, encrypting) = (first_with(DECRYPT), first_with(ENCRYPT));
        let mut octets = Octets::new();
        for (place, used) in command.sessions.iter().enumerate() {
            let session = self.session(used.session);
            let nonce = session.map_or(&[][..], |session| &session.nonce_caller);
            let proof = match (&used.proof, session) {
                (Proof::Plain(bytes), _) => bytes.clone(),
                (Proof::Hmac(_), None) => Vec::new(),
                (Proof::Hmac(auth), Some(session)) => {
                    let cp_hash = command_hash(session.hash, command.code.0, &names, body);
                    let mut extra = Vec::new();
                    let others = [decrypting, encrypting.filter(|at| Some(*at) != decrypting)];
                    for at in others.into_iter().flatten().filter(|at| place == 0 && *at > 0) {
                        let other = self.session(command.sessions[at].session);
                        extra.extend(other.map_or(&[][..], |other| &other.nonce_tpm));
                    }
                    let parts: [&[u8]; 5] =
                        [&cp_hash, nonce, &session.nonce_tpm, &extra, &[used.attributes]];
                    session.mac(auth, &parts)
                }
            };
            let handle = self.handle(used.session);
            octets = octets.u32(handle).sized(nonce).u8(used.attributes).sized(&proof);
        }
        octets.0
    }

    /// The Names of the handles, as the TPM itself says.
    fn names(&mut self, handles: &[Handle]) -> Vec<u8> {
        let handles: Vec<u32> = handles.iter().map(|handle| self.handle(*handle)).collect();
        handles.into_iter().flat_map(|handle| self.name(handle)).collect()
    }

    fn name(&mut self, handle: u32) -> Vec<u8> {
        let code = match handle >> 24 {
            0x01 => CommandCode::NV_READ_PUBLIC,
            0x80 | 0x81 => CommandCode::READ_PUBLIC,
            _ => return handle.to_be_bytes().to_vec(),
        };
        self.public_and_name(code, handle).1
    }

    fn public_and_name(&mut self, code: CommandCode, handle: u32) -> (Vec<u8>, Vec<u8>) {
        let command = frame(TAG_NO_SESSIONS, code.0, &handle.to_be_bytes());
        let response = self.transport.execute(0, &command);
        let mut fields = Fields(response.get(HEADER_SIZE..).unwrap_or_default());
        let mut next = || fields.sized().unwrap_or_default().to_vec();
        (next(), next())
    }

    fn new_salt(&mut self, key: Handle) -> Salt {
        let (public, _) = self.public_and_name(CommandCode::READ_PUBLIC, self.handle(key));
        Salt::for_key(&public)
    }

    fn understand(&mut self, command: &Command, made: &Made, response: &[u8]) -> Option<Outcome> {
        let mut fields = Fields(response);
        let _tag = fields.u16()?;
        let _size = fields.u32()?;
        let mut outcome = Outcome { code: fields.u32()?, ..Outcome::default() };
        if outcome.code != 0 {
            return Some(outcome);
        }
        let row = find(command.code)?;
        if row.traits.contains(Traits::RESPONSE_HANDLE) {
            outcome.handle = Some(fields.u32()?);
        }
        let has_sessions = made.has_sessions && response.get(..2) == Some(&[0x80, 0x02]);
        if !has_sessions {
            outcome.parameters = fields.rest().to_vec();
            return Some(outcome);
        }
        let size = usize::try_from(fields.u32()?).ok()?;
        outcome.parameters = fields.take(size)?.to_vec();
        let sent = outcome.parameters.clone();
        for used in &command.sessions {
            let nonce = fields.sized()?;
            let attributes = fields.u8()?;
            let mac = fields.sized()?;
            let mut is_proved = mac.is_empty();
            if let Some(session) = self.session_mut(used.session) {
                session.nonce_tpm = nonce.to_vec();
                if let Proof::Hmac(auth) = &used.proof {
                    let rp_hash = response_hash(session.hash, command.code.0, &sent);
                    let parts: [&[u8]; 4] = [&rp_hash, nonce, &session.nonce_caller, &[attributes]];
                    is_proved = session.mac(auth, &parts) == mac;
                }
                if used.attributes & ENCRYPT != 0 {
                    let (newer, older) = (&session.nonce_tpm, &session.nonce_caller);
                    let octets = &mut outcome.parameters;
                    session.cipher(&used.entity_auth, octets, newer, older, false);
                }
            }
            let answer = SessionAnswer {
                nonce_size: nonce.len(),
                attributes,
                mac_size: mac.len(),
                is_proved,
            };
            outcome.sessions.push(answer);
        }
        fields.0.is_empty().then_some(outcome)
    }
}

/// A command with its header.
fn frame(tag: u16, code: u32, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(HEADER_SIZE + body.len()).expect("a command is short");
    Octets::new().u16(tag).u32(size).u32(code).bytes(body).0
}

fn set_size(octets: &mut [u8]) {
    let size = u32::try_from(octets.len()).expect("a command is short").to_be_bytes();
    octets[2..6].copy_from_slice(&size);
}

fn break_command(octets: &mut Vec<u8>, damage: &Damage) {
    // The code and the size are broken in other ways.
    let place = |at: usize, length: usize| match at % length.max(1) {
        place @ 2..HEADER_SIZE => (place + HEADER_SIZE) % length.max(1),
        place => place,
    };
    match damage {
        Damage::Change { at, pattern } => {
            let place = place(*at, octets.len());
            if !(2..HEADER_SIZE).contains(&place) {
                octets[place] ^= pattern;
            }
        }
        Damage::Set { at, octet } => {
            let place = place(*at, octets.len());
            if !(2..HEADER_SIZE).contains(&place) {
                octets[place] = *octet;
            }
        }
        Damage::Cut(count) => {
            octets.truncate(octets.len().saturating_sub(*count).max(HEADER_SIZE));
            set_size(octets);
        }
        Damage::Append(more) => {
            octets.extend_from_slice(more);
            set_size(octets);
        }
        Damage::Tag(tag) => octets[..2].copy_from_slice(&tag.to_be_bytes()),
        Damage::Code(code) => octets[6..HEADER_SIZE].copy_from_slice(&code.to_be_bytes()),
    }
}
