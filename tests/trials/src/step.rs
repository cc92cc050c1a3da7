// SPDX-License-Identifier: MIT OR Apache-2.0
//! A step of a trial, in words that hold for every TPM: what differs from one TPM to the next
//! (handles, keys, tickets, nonces) is named by the step whose response brought it.

use std::fmt;

use tpm::crypto::hash::HashAlgorithm;
use tpm::structure::command_code::CommandCode;

use crate::session::Encryption;

/// The number of a step; steps keep theirs when others are left out.
pub type StepId = u32;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub id: StepId,
    /// What happens.
    pub action: Action,
}

/// What happens in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The TPM loses its power and gets it back.
    PowerCycle,
    /// It gets a command.
    Command(Command),
}

/// A handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handle {
    /// The same for every TPM.
    Fixed(u32),
    /// That of the response to a step.
    Of(StepId),
}

/// A part of a command's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The same for every TPM.
    Octets(Vec<u8>),
    /// A field of the response to a step, as [`crate::layout`] divides it, with its size if it is a
    /// TPM2B.
    Field(StepId, usize),
    /// A handle among the parameters.
    Handle(Handle),
    /// The newest nonce of a session, as a TPM2B.
    Nonce(StepId),
}

/// A session with a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionUse {
    /// TPM_RS_PW, or the step that started it.
    pub session: Handle,
    /// TPMA_SESSION.
    pub attributes: u8,
    /// What it proves.
    pub proof: Proof,
    /// The authorisation value of what it authorises: part of the key of parameter encryption.
    pub entity_auth: Vec<u8>,
}

/// What stands in the place of a session's HMAC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// These octets: a password, or nothing.
    Plain(Vec<u8>),
    /// The HMAC with the session key and this authorisation value.
    Hmac(Vec<u8>),
}

/// How a command is broken after it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Octet `at % length` is changed by this pattern; the command code is left alone.
    Change {
        /// Which octet, if there are so many.
        at: usize,
        /// What is turned over.
        pattern: u8,
    },
    /// Octet `at % length` becomes this one; the command code is left alone.
    Set {
        /// Which octet, if there are so many.
        at: usize,
        /// What it becomes.
        octet: u8,
    },
    /// So many octets are missing at the end, and the size in the header says so.
    Cut(usize),
    /// These stand at the end, and the size in the header says so.
    Append(Vec<u8>),
    /// Another tag.
    Tag(u16),
    /// Another command code, of no command.
    Code(u32),
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// 0 to 4.
    pub locality: u8,
    /// Which one.
    pub code: CommandCode,
    /// Its handles.
    pub handles: Vec<Handle>,
    /// Its sessions.
    pub sessions: Vec<SessionUse>,
    /// Its parameters.
    pub body: Vec<Piece>,
    /// How it is broken.
    pub damage: Option<Damage>,
    /// The session that it starts.
    pub starts: Option<SessionStart>,
}

/// What the caller knows of a session that it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStart {
    /// Its hash.
    pub hash: HashAlgorithm,
    /// How it encrypts.
    pub encryption: Encryption,
    /// The authorisation value of the entity that it is bound to.
    pub bind_auth: Option<Vec<u8>>,
    /// The caller's nonce.
    pub nonce_caller: Vec<u8>,
}

impl Command {
    /// A command with nothing in it.
    pub const fn new(code: CommandCode) -> Self {
        Self {
            locality: 0,
            code,
            handles: Vec::new(),
            sessions: Vec::new(),
            body: Vec::new(),
            damage: None,
            starts: None,
        }
    }

    /// With this handle.
    #[must_use]
    pub fn handle(mut self, handle: Handle) -> Self {
        self.handles.push(handle);
        self
    }

    /// With these octets behind the parameters so far.
    #[must_use]
    pub fn octets(self, octets: crate::octets::Octets) -> Self {
        self.piece(Piece::Octets(octets.0))
    }

    /// With this behind the parameters so far.
    #[must_use]
    pub fn piece(mut self, piece: Piece) -> Self {
        self.body.push(piece);
        self
    }

    /// The steps whose responses it uses.
    pub fn references(&self) -> impl Iterator<Item = StepId> {
        let of = |handle: &Handle| match handle {
            Handle::Of(step) => Some(*step),
            Handle::Fixed(_) => None,
        };
        let handles = self.handles.iter().filter_map(of);
        let sessions = self.sessions.iter().filter_map(move |used| of(&used.session));
        let body = self.body.iter().filter_map(move |piece| match piece {
            Piece::Field(step, _) | Piece::Nonce(step) => Some(*step),
            Piece::Handle(handle) => of(handle),
            Piece::Octets(_) => None,
        });
        handles.chain(sessions).chain(body)
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(handle) => write!(formatter, "{handle:#x}"),
            Self::Of(step) => write!(formatter, "handle#{step}"),
        }
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Octets(octets) => write!(formatter, "{}", hex(octets)),
            Self::Field(step, field) => write!(formatter, "field#{step}.{field}"),
            Self::Handle(handle) => write!(formatter, "{handle}"),
            Self::Nonce(step) => write!(formatter, "nonce#{step}"),
        }
    }
}

impl fmt::Display for SessionUse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, attributes, proof, .. } = self;
        match proof {
            Proof::Plain(octets) => write!(formatter, "{session}/{attributes:02x}={}", hex(octets)),
            Proof::Hmac(auth) => write!(formatter, "{session}/{attributes:02x} key {}", hex(auth)),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "#{} ", self.id)?;
        let Action::Command(command) = &self.action else { return write!(formatter, "power") };
        write!(formatter, "{}", command.code.name())?;
        let list = |all: &mut dyn Iterator<Item = String>| all.collect::<Vec<_>>().join(" ");
        write!(formatter, " [{}]", list(&mut command.handles.iter().map(Handle::to_string)))?;
        write!(formatter, " ({})", list(&mut command.sessions.iter().map(SessionUse::to_string)))?;
        write!(formatter, " {}", list(&mut command.body.iter().map(Piece::to_string)))?;
        if command.locality != 0 {
            write!(formatter, " locality {}", command.locality)?;
        }
        match &command.damage {
            Some(damage) => write!(formatter, " {damage:x?}"),
            None => Ok(()),
        }
    }
}

/// Octets as hexadecimal digits.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
